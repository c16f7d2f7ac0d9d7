//! How tokens are chosen: the standard parameters, and those that routers and agents send besides. It must not know their meaning.

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};

/// What was asked for; `None` takes the server's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sampling {
    /// 0 ..= 2.
    pub(crate) temperature: Option<f64>,
    /// 0 ..= 1; 0 keeps the likeliest token.
    pub(crate) top_p: Option<f64>,
    /// 0 keeps all.
    pub(crate) top_k: Option<usize>,
    /// 0 ..= 1.
    pub(crate) min_p: Option<f64>,
    /// −2 ..= 2.
    pub(crate) presence_penalty: Option<f64>,
    /// −2 ..= 2.
    pub(crate) frequency_penalty: Option<f64>,
    /// 0.01 ..= 100.
    pub(crate) repetition_penalty: Option<f64>,
    /// Makes the choice repeatable.
    pub(crate) seed: Option<i64>,
}

impl Sampling {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, ApiError> {
        let number = |name, least, most| fields.optional(name, |at| at.number(least, most));
        // Both -1 and 0 are spellings of "all".
        let top_k = fields.optional("top_k", |at| at.integer(-1, 1 << 31))?;
        Ok(Self {
            temperature: number("temperature", 0.0, 2.0)?,
            top_p: number("top_p", 0.0, 1.0)?,
            top_k: top_k.map(|count| count.max(0) as usize),
            min_p: number("min_p", 0.0, 1.0)?,
            presence_penalty: number("presence_penalty", -2.0, 2.0)?,
            frequency_penalty: number("frequency_penalty", -2.0, 2.0)?,
            repetition_penalty: number("repetition_penalty", 0.01, 100.0)?,
            seed: fields.optional("seed", |at: At<'_>| at.integer(i64::MIN, i64::MAX))?,
        })
    }
}
