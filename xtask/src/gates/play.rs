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
    vocabulary: &'a Vocabulary,
    judge: &'a Judge,
    renderer: Renderer,
    sampling: Sampling,
    stop_ids: Vec<u32>,
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
        let limits = Limits { context_tokens: CONTEXT_TOKENS, chunk_tokens: CHUNK_TOKENS };
        Ok(Self {
            engine: Engine::new(model::load(checkpoint.clone(), device, Precision::Default)?, limits)?,
            vocabulary,
            judge,
            renderer: Renderer::new(vocabulary)?,
            sampling: Sampling { temperature, seed, ..Sampling::default() },
            stop_ids: vocabulary.stop_ids()?,
        })
    }

    /// Lets the model write the item's last turn.
    pub(super) fn play(&self, item: &Item) -> Result<Played> {
        let messages = &item.conversation.messages;
        let asked = messages.iter().rposition(|message| message.author.role == Role::User).map_or(0, |place| place + 1);
        let mut seen: Vec<Message> = messages[..asked].to_vec();
        let mut own: Vec<ParsedMessage> = Vec::new();
        let mut pieces: Vec<String> = Vec::new();
        let (mut malformed, mut tokens_left) = (false, TURN_TOKENS_MAX);
        loop {
            let prompt = self.renderer.render_for_completion(&seen.clone().into(), Role::Assistant)?;
            let tokens = self.write(prompt, tokens_left)?;
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

    /// What the model writes behind a prompt, up to a stop token or the limit.
    fn write(&self, prompt: Vec<u32>, tokens_max: usize) -> Result<Vec<u32>> {
        let job = Job {
            prompt,
            sampling: self.sampling.clone(),
            stop_ids: self.stop_ids.clone(),
            tokens_max: Some(tokens_max),
        };
        let mut tokens = Vec::new();
        for event in self.engine.submit(job)? {
            match event {
                Event::Token(token) => tokens.push(token.id),
                Event::Failed(error) => return Err(error.into()),
                Event::PromptRead { .. } | Event::Finished(_) => {}
            }
        }
        Ok(tokens)
    }
}
