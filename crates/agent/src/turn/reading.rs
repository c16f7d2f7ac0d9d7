//! What the model's tokens do to a turn: items are said, and what must not come is taken back. It must not know the engine's jobs.

use engine::{FinishReason, Sampled};
use harmony::{Header, Terminator};

use super::{Next, PARALLEL_CALLS_MAX, STEERS_MAX, Turn};
use crate::agent::Agent;
use crate::event::{Ending, TokenLogprob};
use crate::item::{Part, Phase};
use crate::policy::{Kind, channel_or};
use crate::raw::told;
use crate::reader::Read;
use crate::replay;
use crate::speaker::Over;

impl Turn {
    /// Takes a token that the model has said.
    pub(super) fn on_token(&mut self, token: &Sampled) {
        let vocabulary = self.agent.vocabulary();
        // A control token has no part in a text.
        let is_text = vocabulary.special_name(token.id).is_none();
        let logprob = self.request.top_logprobs.filter(|_| is_text).map(|_| told(vocabulary, token));
        self.take(token.id, logprob, false);
    }

    /// Takes tokens that the model had no choice about.
    pub(super) fn force(&mut self, tokens: &[u32]) {
        for &id in tokens {
            self.take(id, None, true);
        }
    }

    fn take(&mut self, id: u32, logprob: Option<TokenLogprob>, is_forced: bool) {
        let mut reads = Vec::new();
        let (was_between, had_started) = (self.reader.is_between(), self.reader.has_started());
        if self.reader.push(id, &mut reads) {
            self.sequence.push(id);
        }
        if was_between && !self.reader.is_between() {
            self.message_at = self.sequence.len();
        }
        if let Some(logprob) = logprob.filter(|_| had_started) {
            self.speaker.token(logprob);
        }
        for read in reads {
            debug_assert!(!is_forced || read != Read::Astray, "what is forced fits where it is forced");
            self.on_read(read, is_forced);
            if self.next.is_some() {
                break;
            }
        }
    }

    fn on_read(&mut self, read: Read, is_forced: bool) {
        match read {
            Read::Started(header) => self.on_header(&header, is_forced),
            Read::Text(text) => {
                if let Some(which) = self.speaker.text(&text) {
                    self.count_thought();
                    self.speaker.end(None, false);
                    self.next = Some(Next::Finish(Ending::StopText(which)));
                }
            }
            Read::Ended(terminator) => self.on_end(terminator),
            Read::Empty => self.steer(),
            Read::Astray => self.reopen(),
        }
    }

    /// A message begins, unless it must not.
    fn on_header(&mut self, header: &Header, is_forced: bool) {
        let kind = self.policy.kind(header);
        if !is_forced && !self.policy.allows(&kind, &self.progress) {
            return self.steer();
        }
        self.speaker.begin(kind, &self.policy, header.channel.clone(), Agent::next_call_id);
    }

    fn on_end(&mut self, terminator: Terminator) {
        if terminator == Terminator::Implied {
            let ids = &self.agent.envelope().ids;
            let end = if matches!(self.speaker.kind(), Some(Kind::Call(_))) { ids.call } else { ids.end };
            self.reader.amend(end);
            self.sequence.push(end);
        }
        self.count_thought();
        let tokens = self.reader.tokens();
        let tokens = replay::is_sound(self.agent.envelope(), tokens).then(|| tokens.to_vec());
        let Some(over) = self.speaker.end(tokens, false) else { return };
        self.ended_at = self.sequence.len();
        self.decide(over, terminator);
    }

    /// What comes behind a message that is over.
    fn decide(&mut self, over: Over, terminator: Terminator) {
        let Over { kind, part, channel } = over;
        self.progress.note(&kind);
        match kind {
            Kind::Thought | Kind::Message(Phase::Commentary) => {}
            Kind::Message(Phase::Final) => self.next = Some(Next::Finish(Ending::Answered)),
            Kind::Call(tool) => {
                let callee = self.policy.callee(tool);
                let channel = channel_or(channel, callee.channel);
                self.next = Some(match (callee.built_in, part) {
                    (Some(_), Part::Call(call)) => Next::Run { call, tool, channel },
                    _ if self.request.parallel_tool_calls && self.progress.calls < PARALLEL_CALLS_MAX => {
                        self.progress.calls_only = true;
                        Next::Force(self.agent.envelope().opening.clone())
                    }
                    _ => Next::Finish(Ending::Called),
                });
            }
        }
        if matches!(self.next, Some(Next::Finish(_))) {
            return;
        }
        // More follows, so this is not the end of the turn.
        let ids = &self.agent.envelope().ids;
        if let Some(last) = self.sequence.last_mut().filter(|last| **last != ids.call) {
            *last = ids.end;
        }
        let goes_on = matches!(terminator, Terminator::End | Terminator::Implied);
        if self.next.is_none() && !goes_on {
            // The model has thought, perhaps announced something, and then ended the turn.
            self.steer_behind();
        }
    }

    /// Takes the message that has just begun back, and forces the one that must come.
    fn steer(&mut self) {
        if self.progress.calls_only {
            return self.give_up_calls();
        }
        self.sequence.truncate(self.message_at);
        self.reader.begin();
        let header = self.forced();
        self.next = Some(Next::Force(header));
    }

    /// Forces the message that must come behind one that is over.
    fn steer_behind(&mut self) {
        let header = self.forced();
        self.next = Some(Next::Force([self.agent.envelope().opening.clone(), header].concat()));
    }

    /// Something other than `<|start|>assistant` stands between two messages: puts that there and lets the model go on.
    fn reopen(&mut self) {
        if self.progress.calls_only {
            return self.give_up_calls();
        }
        self.sequence.truncate(self.ended_at);
        self.reader.close();
        if self.steers >= STEERS_MAX {
            return self.steer_behind();
        }
        self.steers += 1;
        self.next = Some(Next::Force(self.agent.envelope().opening.clone()));
    }

    /// No further call came.
    fn give_up_calls(&mut self) {
        self.sequence.truncate(self.ended_at);
        self.next = Some(Next::Finish(Ending::Called));
    }

    /// The header that must come. When the model has been steered often enough it has nothing to choose any more, and since an answer
    /// or a call ends the turn however it ends, so does the turn.
    fn forced(&mut self) -> Vec<u32> {
        self.steers += 1;
        self.policy.forced(&self.progress, self.steers >= STEERS_MAX, self.agent.envelope())
    }

    /// The generation has ended and nothing was decided: by a token that only the checkpoint names as an end, or by a limit.
    pub(super) fn end_of_generation(&mut self, reason: FinishReason) {
        if !matches!(reason, FinishReason::Stop(_)) {
            return;
        }
        if self.reader.is_between() {
            return self.reopen();
        }
        let mut reads = Vec::new();
        self.reader.finish(&mut reads);
        let says = reads.iter().any(|read| matches!(read, Read::Ended(_)));
        for read in reads {
            let read = if let Read::Ended(_) = read { Read::Ended(Terminator::Implied) } else { read };
            self.on_read(read, false);
            if self.next.is_some() {
                return;
            }
        }
        if says { self.steer_behind() } else { self.steer() }
    }

    /// The item that is open, if any, ends here, unfinished.
    pub(super) fn cut(&mut self) {
        let mut reads = Vec::new();
        self.count_thought();
        self.reader.finish(&mut reads);
        for read in reads {
            match read {
                Read::Started(header) => {
                    let kind = self.policy.kind(&header);
                    if self.policy.allows(&kind, &self.progress) {
                        self.speaker.begin(kind, &self.policy, header.channel, Agent::next_call_id);
                    }
                }
                Read::Text(text) => {
                    self.speaker.text(&text);
                }
                Read::Ended(_) | Read::Empty | Read::Astray => {}
            }
        }
        self.speaker.end(None, true);
    }

    fn count_thought(&mut self) {
        if self.speaker.kind() == Some(&Kind::Thought) {
            self.usage.reasoning_tokens += self.reader.content_tokens();
        }
    }
}
