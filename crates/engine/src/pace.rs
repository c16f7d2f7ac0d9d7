//! How many prompt tokens fit into a step beside running generations, by what steps have taken so far. It must not know who they
//! belong to.

use std::time::Duration;

use crate::job::SharedChunk;

/// Weight of the newest step.
const NEWEST: f64 = 0.2;

/// Prompt tokens beside generations before anything was measured.
const FIRST_GUESS: usize = 64;

/// What steps take.
#[derive(Default)]
pub(crate) struct Pace {
    /// Seconds of a step without prompt tokens.
    base: Option<f64>,
    /// Seconds that each prompt token adds.
    per_token: Option<f64>,
}

impl Pace {
    /// A step took so long that read `prompt_tokens`.
    pub(crate) fn observe(&mut self, prompt_tokens: usize, took: Duration) {
        let seconds = took.as_secs_f64();
        let (average, newest) = if prompt_tokens == 0 {
            (&mut self.base, seconds)
        } else if prompt_tokens >= SharedChunk::TOKENS_MIN {
            (&mut self.per_token, (seconds - self.base.unwrap_or(0.0)).max(0.0) / prompt_tokens as f64)
        } else {
            return;
        };
        *average = Some(average.map_or(newest, |average| average + NEWEST * (newest - average)));
    }

    /// Prompt tokens of the next step beside generations, at most `most`.
    pub(crate) fn shared_tokens(&self, chunk: SharedChunk, most: usize) -> usize {
        let tokens = match (chunk, self.per_token) {
            (SharedChunk::Tokens(tokens), _) => tokens.max(1),
            (SharedChunk::Within(_), None) => FIRST_GUESS,
            (SharedChunk::Within(time), Some(per_token)) => {
                let left = time.as_secs_f64() - self.base.unwrap_or(0.0);
                ((left / per_token.max(1e-9)) as usize).max(SharedChunk::TOKENS_MIN)
            }
        };
        tokens.min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_beside_generations_keeps_to_its_time() {
        let within = SharedChunk::Within(Duration::from_millis(1000));
        let mut pace = Pace::default();
        assert_eq!(pace.shared_tokens(within, 512), FIRST_GUESS);
        assert_eq!(pace.shared_tokens(SharedChunk::Tokens(0), 512), 1);
        pace.observe(0, Duration::from_millis(200));
        pace.observe(64, Duration::from_millis(200 + 640));
        assert_eq!(pace.shared_tokens(within, 512), 80, "(1000 - 200) / 10 ms");
        assert_eq!(pace.shared_tokens(within, 50), 50);
        // Steps get slower; the guess follows, but never below the least.
        for _ in 0..100 {
            pace.observe(64, Duration::from_secs(64));
        }
        assert_eq!(pace.shared_tokens(within, 512), SharedChunk::TOKENS_MIN);
        assert_eq!(pace.shared_tokens(SharedChunk::Tokens(100), 512), 100);
    }
}
