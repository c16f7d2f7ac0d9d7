//! Tools as Chat Completions and Messages both have them: a list in which each has a name of its own. It must not know what else a tool
//! says.

use agent::Tool;

use crate::error::ApiError;
use crate::wire::fields::At;

/// Most letters of a name. OpenAI allows 64; tools of MCP servers are longer.
const NAME_MAX: usize = 128;

/// At most so many tools, each read by `one`.
pub(crate) fn list(
    at: At<'_>,
    most: usize,
    one: impl Fn(At<'_>) -> Result<Tool, ApiError>,
) -> Result<Vec<Tool>, ApiError> {
    if at.value.as_array().is_none_or(|tools| tools.len() > most) {
        return Err(at.expected(&format!("an array of at most {most} tools")));
    }
    let mut tools = Vec::<Tool>::new();
    for at in at.array()? {
        let path = at.path.clone();
        let tool = one(at)?;
        if tools.iter().any(|other| other.name == tool.name) {
            let message = format!("tool {:?} is given twice; rename one", tool.name.name);
            return Err(ApiError::invalid(path, message));
        }
        tools.push(tool);
    }
    Ok(tools)
}

/// A name that can stand in the header of a message.
pub(crate) fn name(at: At<'_>) -> Result<String, ApiError> {
    let name = at.str()?;
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(sign) {
        return Err(at.expected(&format!("a name of 1 to {NAME_MAX} letters, digits, _ or -")));
    }
    Ok(name.to_owned())
}
