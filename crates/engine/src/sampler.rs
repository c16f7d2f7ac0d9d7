//! Logits to a token: bias → penalties → mask → temperature → top-k → min-p → top-p → choice. It must not know text or requests.

mod logprobs;
mod scan;

use std::collections::HashMap;

use model::{Choice, draw_bits};

use crate::constraint::Mask;
use crate::sampling::Sampling;
pub(crate) use logprobs::Distribution;
pub use logprobs::PromptLogprob;
use scan::{forbid, greatest};

/// Candidates that are sorted before the whole vocabulary is: top-p nearly always ends among them.
const SORTED_FIRST: usize = 1024;

/// Chooses the tokens of one sequence.
pub struct Sampler {
    sampling: Sampling,
    /// Tokens of prompt and output, for the repetition penalty.
    seen: HashMap<u32, u32>,
    /// Tokens generated so far, with their number.
    generated: HashMap<u32, u32>,
    drawn: u64,
    candidates: Vec<(f32, u32)>,
    top_logprobs: Option<usize>,
}

/// A chosen token.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// The token.
    pub id: u32,
    /// Its natural log probability under the model's own logits, before any setting; 0 for a token that was forced before the model
    /// was asked about its place, and only about right where the job asks for none.
    pub logprob: f32,
    /// The most likely tokens at its place with theirs, most likely first and the lower id first of equals; as many as the job asks
    /// for, with the same exception.
    pub top: Vec<(u32, f32)>,
}

impl Sampler {
    /// A sampler for a sequence that begins with `prompt`; the settings were checked.
    #[must_use]
    pub fn new(sampling: Sampling, prompt: &[u32]) -> Self {
        let mut seen = HashMap::new();
        if sampling.repetition_penalty != 1.0 {
            for &id in prompt {
                *seen.entry(id).or_default() += 1;
            }
        }
        Self { sampling, seen, generated: HashMap::new(), drawn: 0, candidates: Vec::new(), top_logprobs: Some(0) }
    }

    /// The same sampler, which tells so many of the most likely tokens with each; with `None` no log probability counts.
    #[must_use]
    pub fn with_top_logprobs(self, top_logprobs: Option<usize>) -> Self {
        Self { top_logprobs, ..self }
    }

    /// The choice that the next token is, where it is one of the model's own logits without settings that change them or look at many,
    /// and nothing but the token is asked for.
    pub(crate) fn choice(&self) -> Option<Choice> {
        if self.top_logprobs.is_some() || !self.is_untouched() {
            return None;
        }
        match self.is_certain() {
            true => Some(Choice::GREATEST),
            false => self.plain_draw(),
        }
    }

    /// Chooses the next token; `logits` `[vocabulary]` are changed. A logit that is not finite is never chosen, unless
    /// none is finite. Under a mask only what it allows is chosen, whatever the settings say, and the first of that if none of it has
    /// a finite logit; where it leaves one token, nothing is drawn. Log probabilities are those before mask and settings.
    ///
    /// # Panics
    /// When `logits` is empty.
    pub fn sample(&mut self, logits: &mut [f32], mask: Option<&Mask>) -> Sampled {
        let distribution = Distribution::of(logits);
        let top = distribution.top(logits, self.top_logprobs.unwrap_or(0));
        if let Some(id) = mask.and_then(Mask::only).filter(|&id| (id as usize) < logits.len()) {
            self.note(id);
            return Sampled { id, logprob: distribution.logprob(logits[id as usize]), top };
        }
        if self.is_plain() {
            let id = match mask {
                None => distribution.greatest,
                Some(mask) => greatest_allowed(logits, mask),
            };
            self.note(id);
            return Sampled { id, logprob: distribution.logprob(logits[id as usize]), top };
        }
        // Settings change logits in place, so the model's own value of each token they touch is kept aside.
        let own: HashMap<u32, f32> = self.touched().map(|id| (id, logits[id as usize])).collect();
        self.bias_and_penalize(logits);
        // What was finite stays finite, whatever the settings multiply it by.
        for (&id, _) in own.iter().filter(|(_, logit)| logit.is_finite()) {
            logits[id as usize] = logits[id as usize].clamp(f32::MIN, f32::MAX);
        }
        let best = match mask {
            None => greatest(logits),
            Some(mask) => greatest_allowed(logits, mask),
        };
        let id = if self.is_certain() { best } else { self.draw(logits, best) };
        let raw = own.get(&id).copied().unwrap_or(logits[id as usize]);
        self.note(id);
        Sampled { id, logprob: distribution.logprob(raw), top }
    }

    /// Takes a token that was not chosen but forced, with the logits of its place `[vocabulary]` where they are known.
    pub(crate) fn force(&mut self, id: u32, logits: Option<&[f32]>) -> Sampled {
        self.note(id);
        let (logprob, top) = logits.map_or((0.0, Vec::new()), |logits| {
            let distribution = Distribution::of(logits);
            (distribution.logprob(logits[id as usize]), distribution.top(logits, self.top_logprobs.unwrap_or(0)))
        });
        Sampled { id, logprob, top }
    }

    fn note(&mut self, id: u32) {
        *self.generated.entry(id).or_default() += 1;
        if self.sampling.repetition_penalty != 1.0 {
            *self.seen.entry(id).or_default() += 1;
        }
    }

    /// Whether the most likely token is taken as it is.
    fn is_plain(&self) -> bool {
        self.is_certain() && self.is_untouched()
    }

    /// Whether nothing is drawn.
    fn is_certain(&self) -> bool {
        self.sampling.temperature == 0.0 || self.sampling.top_k == 1
    }

    /// Whether logits stay as they are.
    fn is_untouched(&self) -> bool {
        let Sampling { presence_penalty, frequency_penalty, repetition_penalty, ref logit_bias, .. } = self.sampling;
        (presence_penalty, frequency_penalty, repetition_penalty) == (0.0, 0.0, 1.0) && logit_bias.is_empty()
    }

    /// The next draw, where all tokens take part.
    fn plain_draw(&self) -> Option<Choice> {
        let Sampling { temperature, seed, top_k, min_p, top_p, .. } = self.sampling;
        let is_plain = top_k == 0 && top_p >= 1.0 && min_p <= 0.0;
        is_plain.then_some(Choice { temperature, seed, draw: self.drawn })
    }

    fn touched(&self) -> impl Iterator<Item = u32> {
        let biased = self.sampling.logit_bias.iter().map(|&(id, _)| id);
        biased.chain(self.seen.keys().copied()).chain(self.generated.keys().copied())
    }

    fn bias_and_penalize(&self, logits: &mut [f32]) {
        let settings = &self.sampling;
        for &(id, bias) in &settings.logit_bias {
            logits[id as usize] += bias;
        }
        for &id in self.seen.keys() {
            let logit = &mut logits[id as usize];
            *logit =
                if *logit > 0.0 { *logit / settings.repetition_penalty } else { *logit * settings.repetition_penalty };
        }
        for (&id, &count) in &self.generated {
            logits[id as usize] -= settings.presence_penalty + settings.frequency_penalty * count as f32;
        }
    }

    /// Draws one of the finite logits, of which `best` is the first greatest; that one if there are none.
    fn draw(&mut self, logits: &[f32], best: u32) -> u32 {
        let plain = self.plain_draw();
        let draw = uniform(self.sampling.seed, self.drawn);
        self.drawn += 1;
        if let Some(choice) = plain {
            return choice.pick(logits).unwrap_or(best);
        }
        let temperature = self.sampling.temperature;
        let top = logits[best as usize];
        // The most likely token weighs 1, so that the weights never vanish together.
        let weight = |logit: f32| if logit.is_finite() { ((logit - top) / temperature).exp() } else { 0.0 };
        let (top_k, min_p, top_p) = (self.sampling.top_k, self.sampling.min_p, self.sampling.top_p);
        let candidates = &mut self.candidates;
        candidates.clear();
        candidates.extend(logits.iter().zip(0..).map(|(&logit, id)| (weight(logit), id)));
        if top_k > 0 {
            sort_first(candidates, top_k);
            candidates.truncate(top_k);
        }
        candidates.retain(|&(weight, _)| weight >= min_p);
        if top_p < 1.0 {
            let kept = nucleus(candidates, top_p);
            candidates.truncate(kept);
        }
        choose(candidates.iter().copied(), draw).unwrap_or(best)
    }
}

/// Forbids what the mask does in `logits`, and gives the first greatest of what is left; the first allowed if none of it is finite.
fn greatest_allowed(logits: &mut [f32], mask: &Mask) -> u32 {
    forbid(logits, mask.words());
    let best = greatest(logits);
    if logits[best as usize].is_finite() {
        return best;
    }
    mask.ids().next().filter(|&id| (id as usize) < logits.len()).unwrap_or(best)
}

/// Heavier first; the lower id wins a tie.
fn order(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// Sorts the `count` heaviest candidates to the front.
fn sort_first(candidates: &mut [(f32, u32)], count: usize) {
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, order);
    }
    let count = count.min(candidates.len());
    candidates[..count].sort_unstable_by(order);
}

/// Sorts as far as needed and returns how many of the heaviest candidates reach the share `top_p` of the whole weight.
fn nucleus(candidates: &mut [(f32, u32)], top_p: f32) -> usize {
    let total: f64 = candidates.iter().map(|&(weight, _)| f64::from(weight)).sum();
    for sorted in [SORTED_FIRST.min(candidates.len()), candidates.len()] {
        sort_first(candidates, sorted);
        let mut reached = 0.0;
        for (index, &(weight, _)) in candidates[..sorted].iter().enumerate() {
            reached += f64::from(weight);
            if reached >= f64::from(top_p) * total {
                return index + 1;
            }
        }
    }
    candidates.len()
}

/// The candidate at the share `draw` (0 ≤ draw < 1) of the whole weight; nothing where there is no weight.
fn choose(candidates: impl Iterator<Item = (f32, u32)> + Clone, draw: f64) -> Option<u32> {
    let total: f64 = candidates.clone().map(|(weight, _)| f64::from(weight)).sum();
    let mut rest = draw * total;
    let mut chosen = None;
    for (weight, id) in candidates {
        if weight > 0.0 {
            chosen = Some(id);
            rest -= f64::from(weight);
            if rest < 0.0 {
                break;
            }
        }
    }
    chosen
}

/// A number in 0 .. 1 that depends on seed and number of the draw only.
fn uniform(seed: u64, draw: u64) -> f64 {
    (draw_bits(seed, draw) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests;
