//! How many of its tokens an answer keeps for itself when there is much to think. It must not know when thinking ends.

use crate::error::ApiError;
use crate::wire::fields::Fields;

/// The field, an extension of every API.
const NAME: &str = "reserve_answer_tokens";

/// Tokens that are kept for the answer, of at most so many in all, by this field.
///
/// # Errors
/// When they are not fewer than all.
pub(crate) fn read(fields: &Fields<'_>, most: Option<usize>, most_name: &str) -> Result<Option<usize>, ApiError> {
    let Some(at) = fields.get(NAME) else { return Ok(None) };
    let path = at.path.clone();
    let kept = at.integer(0, i64::from(u32::MAX))? as usize;
    match most {
        Some(most) if kept >= most => {
            let message =
                format!("{path} is {kept} and {most_name} {most}: expected fewer; keep less, or allow more in all");
            Err(ApiError { code: Some("integer_above_max_value"), ..ApiError::invalid(path, message) })
        }
        _ => Ok(Some(kept)),
    }
}

/// Tokens that are kept for the answer: as asked for, or as the operator has it where there is room for that.
pub(crate) fn kept(asked: Option<usize>, default: usize, most: Option<usize>) -> usize {
    asked.unwrap_or_else(|| most.map_or(default, |most| default.min(most.saturating_sub(1))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn kept_of(body: &Value, most: Option<usize>) -> Result<Option<usize>, ApiError> {
        read(&Fields::of_body(body).unwrap(), most, "max_output_tokens")
    }

    #[test]
    fn something_is_left_to_think() {
        assert_eq!(kept_of(&json!({}), Some(5)).unwrap(), None);
        assert_eq!(kept_of(&json!({ "reserve_answer_tokens": 4 }), Some(5)).unwrap(), Some(4));
        assert_eq!(kept_of(&json!({ "reserve_answer_tokens": 400 }), None).unwrap(), Some(400));
        let refused = kept_of(&json!({ "reserve_answer_tokens": 5 }), Some(5)).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some("reserve_answer_tokens"));
        assert!(refused.message.contains("max_output_tokens 5"), "{}", refused.message);
        assert_eq!(kept_of(&json!({ "reserve_answer_tokens": -1 }), None).unwrap_err().status, 400);
    }

    #[test]
    fn the_operators_choice_gives_way() {
        assert_eq!((kept(None, 100, None), kept(None, 100, Some(40)), kept(None, 100, Some(1))), (100, 39, 0));
        assert_eq!((kept(Some(7), 100, Some(40)), kept(None, 0, Some(40))), (7, 0));
    }
}
