//! How the next token is chosen: the settings, checked once at the edge. It must not know text or requests.

use std::ops::RangeInclusive;

use crate::error::Error;

/// Most entries of a logit bias, as in OpenAI's API times four.
const LOGIT_BIAS_MAX: usize = 4096;

/// Sampling settings; the default is what OpenAI recommends for gpt-oss: temperature 1, top-p 1, nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 means greedy. 0 ..= 2.
    pub temperature: f32,
    /// Keeps the smallest set of most likely tokens whose probability reaches this. Above 0, at most 1.
    pub top_p: f32,
    /// Keeps that many most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps tokens at least this likely relative to the most likely one. 0 ..= 1.
    pub min_p: f32,
    /// Subtracted from the logit of every token that was generated before. −2 ..= 2.
    pub presence_penalty: f32,
    /// Subtracted, times the number of occurrences, from the logit of every generated token. −2 ..= 2.
    pub frequency_penalty: f32,
    /// Divides positive and multiplies negative logits of tokens in the prompt or the output (arXiv 1909.05858).
    /// 0.01 ..= 100.
    pub repetition_penalty: f32,
    /// Added to the logits of single tokens. −100 ..= 100.
    pub logit_bias: Vec<(u32, f32)>,
    /// Makes the choice repeatable.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            repetition_penalty: 1.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    /// The first setting that is out of range, with the range.
    pub fn check(&self, vocabulary_size: usize) -> Result<(), Error> {
        let ranges = [
            ("temperature", self.temperature, 0.0..=2.0, "from 0 to 2"),
            ("top_p", self.top_p, f32::from_bits(1)..=1.0, "above 0, at most 1"),
            ("min_p", self.min_p, 0.0..=1.0, "from 0 to 1"),
            ("presence_penalty", self.presence_penalty, -2.0..=2.0, "from -2 to 2"),
            ("frequency_penalty", self.frequency_penalty, -2.0..=2.0, "from -2 to 2"),
            ("repetition_penalty", self.repetition_penalty, 0.01..=100.0, "from 0.01 to 100"),
        ];
        for (name, found, range, expected) in ranges {
            in_range(name, found, range, expected)?;
        }
        if self.logit_bias.len() > LOGIT_BIAS_MAX {
            return Err(Error::TooManyBiases { found: self.logit_bias.len(), most: LOGIT_BIAS_MAX });
        }
        for &(id, bias) in &self.logit_bias {
            if id as usize >= vocabulary_size {
                return Err(Error::BiasOutsideVocabulary { id, vocabulary_size });
            }
            in_range("logit_bias", bias, -100.0..=100.0, "from -100 to 100")?;
        }
        Ok(())
    }
}

/// NaN is in no range.
fn in_range(name: &'static str, found: f32, range: RangeInclusive<f32>, expected: &'static str) -> Result<(), Error> {
    if range.contains(&found) { Ok(()) } else { Err(Error::SettingOutOfRange { name, found, expected }) }
}
