//! The text of messages and of tools' outputs: a string, or parts. Pictures and sounds are refused by name. It must not know items.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};

/// The text of a string or of parts. `between` stands between two parts.
pub(super) fn read_text(at: At<'_>, between: &str) -> Result<String, ApiError> {
    if at.value.is_string() {
        return at.string();
    }
    if !at.value.is_array() {
        return Err(at.expected("a text or an array of parts"));
    }
    let parts: Vec<String> = at.array()?.map(read_part).collect::<Result<_, _>>()?;
    Ok(parts.join(between))
}

fn read_part(at: At<'_>) -> Result<String, ApiError> {
    let path = at.path.clone();
    if at.value.is_string() {
        return at.string();
    }
    let fields = at.object()?;
    let kind = fields.need("type")?;
    match kind.str()? {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => fields.need("text")?.string(),
        "refusal" => fields.need("refusal")?.string(),
        "input_file" => read_file(&fields, path),
        "input_image" | "input_audio" | "input_video" | "computer_screenshot" | "image" => {
            let message = format!("{path} is {}: this model reads text only; describe it, or leave it out", kind.value);
            Err(ApiError::unsupported(path, message))
        }
        _ => Err(kind.unknown("a type of part: input_text, output_text, refusal, input_file")),
    }
}

/// A file that stands in the request itself and is text.
fn read_file(fields: &Fields<'_>, path: String) -> Result<String, ApiError> {
    for (name, what) in [("file_id", "files that were uploaded"), ("file_url", "files from elsewhere")] {
        if fields.get(name).is_some() {
            let path = fields.path_of(name);
            let message =
                format!("{path}: {what} are not read here; send the file's text as file_data, or as input_text");
            return Err(ApiError::unsupported(path, message));
        }
    }
    let data = fields.need("file_data")?.str()?;
    let encoded = match data.strip_prefix("data:") {
        Some(url) => url.split_once(";base64,").map(|(_, encoded)| encoded),
        None => Some(data),
    };
    let bytes = encoded.and_then(|encoded| STANDARD.decode(encoded.trim()).ok());
    let Some(bytes) = bytes else {
        let path = fields.path_of("file_data");
        let message = format!("{path} is not base64: expected data:text/plain;base64,… or base64 alone");
        return Err(ApiError::invalid(path, message));
    };
    let Ok(text) = String::from_utf8(bytes) else {
        let message = format!("{path} is not a text in UTF-8; send the text that it contains");
        return Err(ApiError::unsupported(fields.path_of("file_data"), message));
    };
    Ok(match fields.optional("filename", At::string)? {
        Some(name) => format!("{name}:\n{text}"),
        None => text,
    })
}
