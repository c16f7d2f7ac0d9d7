//! One item played with the model: it writes its turn, and gets the item's results for calls that are the item's.

use corpus::{Item, Judge, Verdict, is_well_formed, results_of_last_call};
use engine::{Engine, Event, Job, Limits, Sampling};
use harmony::{Message, ParsedMessage, Renderer, Role, Vocabulary, parse_all};
use kernels::IsaKind;
use model::{Checkpoint, Device, Precision};

use crate::error::Result;

/// A turn has at most so many tokens of the model.
const TURN_TOKENS_MAX: usize = 700;
/// Prompt and turn together.
const CONTEXT_TOKENS: usize = 4096;
/// Prompt tokens computed at a time.
const CHUNK_TOKENS: usize = 512;

/// What came of an item.
pub(super) struct Played {
    pub(super) verdict: Verdict,
    /// What the model wrote, control tokens as they are spelled, a line to each piece between results.
    pub(super) said: String,
}

/// A model with what it takes to talk to it.
pub(super) struct Player<'a> {
    engine: Engine,
    stage: Stage<'a>,
    sampling: Sampling,
    stop_ids: Vec<u32>,
}

/// How a turn goes, whoever writes it.
struct Stage<'a> {
    vocabulary: &'a Vocabulary,
    judge: &'a Judge,
    renderer: Renderer,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        checkpoint: &Checkpoint,
        vocabulary: &'a Vocabulary,
        judge: &'a Judge,
        temperature: f32,
        seed: u64,
    ) -> Result<Self> {
        let device = Device::Cpu { isa: IsaKind::best(), threads: 1 };
        let limits = Limits::single(CONTEXT_TOKENS, CHUNK_TOKENS);
        Ok(Self {
            engine: Engine::new(model::load(checkpoint.clone(), device, Precision::Default)?, limits)?,
            stage: Stage { vocabulary, judge, renderer: Renderer::new(vocabulary)? },
            sampling: Sampling { temperature, seed, ..Sampling::default() },
            stop_ids: vocabulary.stop_ids()?,
        })
    }

    /// Lets the model write the item's last turn.
    pub(super) fn play(&self, item: &Item) -> Result<Played> {
        self.stage.play(item, |prompt, tokens_max| self.write(prompt, tokens_max))
    }

    /// What the model writes behind a prompt, up to a stop token or the limit.
    fn write(&self, prompt: Vec<u32>, tokens_max: usize) -> Result<Vec<u32>> {
        let job = Job {
            sampling: self.sampling.clone(),
            stop_ids: self.stop_ids.clone(),
            tokens_max: Some(tokens_max),
            ..Job::new(prompt)
        };
        let mut tokens = Vec::new();
        for event in self.engine.submit(job)? {
            match event {
                Event::Guarded(_) => {}
                Event::Token(token) => tokens.push(token.id),
                Event::Failed(error) => return Err(error.into()),
                Event::PromptRead { .. } | Event::PromptLogprobs(_) | Event::Finished(_) => {}
            }
        }
        Ok(tokens)
    }
}

impl Stage<'_> {
    /// Lets a turn be written: `write` gets a prompt and the most tokens to write behind it.
    fn play(&self, item: &Item, mut write: impl FnMut(Vec<u32>, usize) -> Result<Vec<u32>>) -> Result<Played> {
        let messages = &item.conversation.messages;
        let asked = messages.iter().rposition(|message| message.author.role == Role::User).map_or(0, |place| place + 1);
        let mut seen: Vec<Message> = messages[..asked].to_vec();
        let mut own: Vec<ParsedMessage> = Vec::new();
        let mut pieces: Vec<String> = Vec::new();
        let (mut malformed, mut tokens_left) = (false, TURN_TOKENS_MAX);
        loop {
            let prompt = self.renderer.render_for_completion(&seen.clone().into(), Role::Assistant)?;
            let tokens = write(prompt, tokens_left)?;
            tokens_left -= tokens.len();
            malformed |= !is_well_formed(self.vocabulary, &tokens);
            pieces.push(self.vocabulary.decode(&tokens));
            let written = parse_all(self.vocabulary, Some(Role::Assistant), &tokens)?;
            seen.extend(written.iter().map(|parsed| parsed.message.clone()));
            own.extend(written);
            let results = results_of_last_call(item, &own).filter(|_| !malformed && tokens_left > 0);
            let Some(results) = results else { break };
            seen.extend_from_slice(results);
        }
        Ok(Played { verdict: self.judge.judge(item, &own, malformed), said: pieces.join("\n") })
    }
}

#[cfg(test)]
mod tests {
    use corpus::{Document, DocumentRenderer, Item, Judge, Mixture, Skill, Split, Stream};
    use harmony::{Renderer, Vocabulary};

    use super::{Played, Stage};

    /// The turn that is written by looking up what stands behind the prompt in the item's own document.
    fn recited(stage: &Stage<'_>, item: &Item, change: impl Fn(usize, &mut Vec<u32>)) -> (Played, usize) {
        let documents = DocumentRenderer::new(stage.vocabulary).unwrap();
        let Document { ids, learns } = documents.document(item).unwrap();
        let mut rounds = 0;
        let played = stage.play(item, |prompt, _| {
            assert_eq!(ids[..prompt.len()], prompt, "the prompt is what was learnt from");
            let length = learns[prompt.len()..].iter().take_while(|&&learns| learns).count();
            let mut tokens = ids[prompt.len()..prompt.len() + length].to_vec();
            change(rounds, &mut tokens);
            rounds += 1;
            Ok(tokens)
        });
        (played.unwrap(), rounds)
    }

    fn with_stage(test: impl Fn(&Stage<'_>)) {
        let vocabulary = Vocabulary::o200k_harmony();
        let judge = Judge::new(&vocabulary);
        test(&Stage { vocabulary: &vocabulary, judge: &judge, renderer: Renderer::new(&vocabulary).unwrap() });
    }

    #[test]
    fn whoever_recites_the_corpus_passes() {
        with_stage(|stage| {
            for skill in Skill::ALL {
                let stream = Stream::new(4, Split::HeldOut, Mixture::only(skill));
                for index in 0..20 {
                    let item = stream.item(index);
                    let (Played { verdict, said }, _) = recited(stage, &item, |_, _| {});
                    assert!(verdict.is_right(), "{skill} {index}: {verdict:?}\n{said}");
                }
            }
        });
    }

    #[test]
    fn results_come_only_after_whole_calls() {
        with_stage(|stage| {
            let item = Stream::new(4, Split::HeldOut, Mixture::only(Skill::Python)).item(0);
            assert_eq!(recited(stage, &item, |_, _| {}).1, 2);
            // Without its end the call is no call; with another text it is another call.
            let (cut, rounds) = recited(stage, &item, |_, tokens| tokens.truncate(tokens.len() - 1));
            assert!(rounds == 1 && !cut.verdict.well_formed && !cut.verdict.is_right());
            let more = stage.vocabulary.encode(" + 1");
            let (other, rounds) = recited(stage, &item, |_, tokens| {
                drop(tokens.splice(tokens.len() - 1..tokens.len() - 1, more.clone()))
            });
            assert!(rounds == 1 && other.verdict.well_formed && !other.verdict.same_calls && !other.verdict.is_right());
        });
    }
}
