//! Names of the items of a response. They are made of the response's own, so that an item that a client only names can be found, and
//! so that a response that is made again has the same names. It must not know items.

/// The names of a response's items, one after another; the prefix says what an item is.
pub(crate) fn item_names(response_id: &str) -> impl FnMut(&str) -> String + Send + 'static {
    let letters = response_id.strip_prefix(RESPONSE).unwrap_or(response_id).to_owned();
    let mut count = 0_u32;
    move |prefix| {
        let name = format!("{prefix}_{letters}{count:0DIGITS$x}");
        count += 1;
        name
    }
}

/// The response whose item has this name; `None` if no response's can have it.
pub(crate) fn response_of(item_id: &str) -> Option<String> {
    let (_, rest) = item_id.split_once('_')?;
    let end = rest.len().checked_sub(DIGITS)?;
    let (letters, count) = rest.split_at_checked(end)?;
    let good = !letters.is_empty()
        && letters.chars().all(|letter| letter.is_ascii_alphanumeric())
        && count.chars().all(|letter| letter.is_ascii_hexdigit());
    good.then(|| format!("{RESPONSE}{letters}"))
}

/// Begins the names of responses.
const RESPONSE: &str = "resp_";
/// Digits that count items; a response with more items than they can say has longer names, which are not found.
const DIGITS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_leads_to_its_response() {
        let mut names = item_names("resp_0aZ");
        let (first, second) = (names("msg"), names("rs"));
        assert_eq!((first.as_str(), second.as_str()), ("msg_0aZ0000", "rs_0aZ0001"));
        assert_eq!(response_of(&second).as_deref(), Some("resp_0aZ"));
    }

    #[test]
    fn other_names_lead_nowhere() {
        for id in ["", "msg", "msg_", "msg_1234", "msg_../0000", "msg_aé00", "msg_ü"] {
            assert_eq!(response_of(id), None, "{id}");
        }
    }
}
