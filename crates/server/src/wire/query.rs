//! Reads the part of a path behind `?`, parameter by parameter. It must not know any request.

use std::cell::RefCell;

use axum::extract::{FromRequestParts, Query as Pairs};
use axum::http::request::Parts;
use store::Order;

use crate::error::ApiError;

/// What clients add that says nothing about the request.
const PASSED_OVER: [&str; 2] = ["beta", "api-version"];
/// Entries of a page, as in OpenAI's API.
const PAGE_ENTRIES_MAX: i64 = 100;
/// Entries of a page where a request does not say.
const PAGE_ENTRIES: i64 = 20;

/// The parameters, and which were asked for.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    asked: RefCell<Vec<&'static str>>,
}

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageQuery {
    /// The id of the entry before the page.
    pub(crate) after: Option<String>,
    /// Entries at most.
    pub(crate) limit: u32,
    /// From the newest unless asked otherwise.
    pub(crate) order: Order,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let pairs = Pairs::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Pairs(pairs) = pairs.map_err(|refused| {
            let message = format!("what stands behind ? cannot be read: {}; mend it", refused.body_text());
            ApiError::bad_request("invalid_query", message)
        })?;
        Ok(Self { pairs, asked: RefCell::default() })
    }
}

impl Query {
    /// A parameter as text.
    pub(crate) fn text(&self, name: &'static str) -> Option<&str> {
        self.all(name).last()
    }

    /// A parameter that may come several times, as `name=a&name=b` or `name[]=a&name[]=b`.
    pub(crate) fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.asked.borrow_mut().push(name);
        self.pairs.iter().filter(move |(key, _)| base(key) == name).map(|(_, value)| value.as_str())
    }

    /// Pairs of names and values, as `name[a]=b&name[c]=d`.
    pub(crate) fn pairs(&self, name: &'static str) -> Vec<(String, String)> {
        self.asked.borrow_mut().push(name);
        let inner = |key: &str| key.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']').map(str::to_owned);
        self.pairs.iter().filter_map(|(key, value)| Some((inner(key)?, value.clone()))).collect()
    }

    /// A parameter that is an integer in a range, both ends included.
    pub(crate) fn integer(&self, name: &'static str, least: i64, most: i64) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let integer = text.parse().ok().filter(|integer| (least..=most).contains(integer));
        let wrong = || wrong(name, text, &format!("an integer from {least} to {most}"));
        integer.ok_or_else(wrong).map(Some)
    }

    /// A parameter that is `true` or `false`; false if it is not there.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1" | "") => Ok(true),
            Some(text) => Err(wrong(name, text, "true or false")),
        }
    }

    /// From which end a list is told.
    pub(crate) fn order(&self) -> Result<Order, ApiError> {
        match self.text("order") {
            None | Some("desc") => Ok(Order::Desc),
            Some("asc") => Ok(Order::Asc),
            Some(text) => Err(wrong("order", text, "asc or desc")),
        }
    }

    /// Which part of a list.
    pub(crate) fn page(&self) -> Result<PageQuery, ApiError> {
        Ok(PageQuery { order: self.order()?, limit: self.limit()?, after: self.after() })
    }

    /// Entries of a page at most.
    pub(crate) fn limit(&self) -> Result<u32, ApiError> {
        let limit = self.integer("limit", 1, PAGE_ENTRIES_MAX)?.unwrap_or(PAGE_ENTRIES);
        Ok(u32::try_from(limit).unwrap_or(u32::MAX))
    }

    /// The id of the entry before a page.
    pub(crate) fn after(&self) -> Option<String> {
        self.text("after").filter(|after| !after.is_empty()).map(str::to_owned)
    }

    /// Refuses what was not asked for.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let asked = self.asked.borrow();
        let known = |key: &str| asked.contains(&base(key)) || PASSED_OVER.contains(&key);
        let Some((name, _)) = self.pairs.iter().find(|(key, _)| !known(key)) else { return Ok(()) };
        let message = format!("unknown parameter {name} behind ?; nothing is ignored silently, so leave it out");
        Err(ApiError::unknown_parameter(name, message))
    }
}

/// The name of a list's parameter without `[]` or `[0]`.
fn base(key: &str) -> &str {
    key.split_once('[').map_or(key, |(name, _)| name)
}

fn wrong(name: &str, text: &str, expected: &str) -> ApiError {
    let text: String = text.chars().take(60).collect();
    ApiError::invalid(name, format!("{name} is {text:?}: expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        let pairs = pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Query { pairs, asked: RefCell::default() }
    }

    #[test]
    fn pages_have_defaults_and_bounds() {
        let page = query(&[]).page().unwrap();
        assert_eq!(page, PageQuery { after: None, limit: 20, order: Order::Desc });
        let page = query(&[("limit", "100"), ("order", "asc"), ("after", "msg_1")]).page().unwrap();
        assert_eq!(page, PageQuery { after: Some("msg_1".into()), limit: 100, order: Order::Asc });
        for (name, value) in [("limit", "0"), ("limit", "101"), ("limit", "x"), ("order", "up")] {
            assert_eq!(query(&[(name, value)]).page().unwrap_err().param.as_deref(), Some(name));
        }
    }

    #[test]
    fn lists_come_in_several_spellings_and_strangers_are_refused() {
        let query =
            query(&[("include[]", "a"), ("include", "b"), ("include[1]", "c"), ("beta", "true"), ("colour", "red")]);
        assert_eq!(query.all("include").collect::<Vec<_>>(), ["a", "b", "c"]);
        let refused = query.finish().unwrap_err();
        assert_eq!((refused.param.as_deref(), refused.code), (Some("colour"), Some("unknown_parameter")));
    }
}
