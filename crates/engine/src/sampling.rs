//! How the next token is chosen: the settings, checked once at the edge. It must not know text or requests.

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
    /// Divides positive and multiplies negative logits of tokens in the prompt or the output (arXiv 1909.05858). Above 0.
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
            ("temperature", self.temperature, 0.0, 2.0),
            ("top_p", self.top_p, f32::MIN_POSITIVE, 1.0),
            ("min_p", self.min_p, 0.0, 1.0),
            ("presence_penalty", self.presence_penalty, -2.0, 2.0),
            ("frequency_penalty", self.frequency_penalty, -2.0, 2.0),
            ("repetition_penalty", self.repetition_penalty, f32::MIN_POSITIVE, f32::MAX),
        ];
        for (name, found, least, most) in ranges {
            if !(least..=most).contains(&found) {
                return Err(Error::SettingOutOfRange { name, found, least, most });
            }
        }
        if self.logit_bias.len() > LOGIT_BIAS_MAX {
            return Err(Error::TooManyBiases { found: self.logit_bias.len(), most: LOGIT_BIAS_MAX });
        }
        for &(id, bias) in &self.logit_bias {
            if id as usize >= vocabulary_size {
                return Err(Error::BiasOutsideVocabulary { id, vocabulary_size });
            }
            if !(-100.0..=100.0).contains(&bias) {
                return Err(Error::SettingOutOfRange { name: "logit_bias", found: bias, least: -100.0, most: 100.0 });
            }
        }
        Ok(())
    }
}
