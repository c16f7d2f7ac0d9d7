//! Scenario `turns`: a conversation goes on after somebody else was served, branches, and goes on after a restart. What of it is
//! read again? It must not know who answers.

use super::prompts::Prompts;
use super::section::{Column, Row, Section};
use super::target::{Clock, Observation, Request, Restart, Target, observe};
use crate::arguments::LoadArguments;
use crate::error::Error;

/// Tokens of each answer.
pub(super) const ANSWER_TOKENS: usize = 16;
/// Tokens that a user adds per turn.
pub(super) const NEW_TOKENS: usize = 200;
/// Tokens of the other user's prompt.
pub(super) const OTHER_TOKENS: usize = 1000;

const COLUMNS: &[Column] = &[
    Column::plain("prompt_tokens", "prompt", 0),
    Column::plain("found_tokens", "found", 0),
    Column::plain("computed_tokens", "computed", 0),
    Column::plain("first_token_seconds", "first token s", 2),
];

/// A conversation so far.
#[derive(Clone)]
struct Conversation {
    tokens: Vec<u32>,
    /// Where its messages end.
    ends: Vec<usize>,
}

pub(super) fn run(target: &mut dyn Target, load: &LoadArguments, prompts: &mut Prompts) -> Result<Section, Error> {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    let mut conversation = Conversation { tokens: Vec::new(), ends: Vec::new() };
    let system_tokens = load.turn_tokens / 2;
    conversation.add(&prompts.random(system_tokens));
    conversation.add(&prompts.random(load.turn_tokens - system_tokens));
    let first = conversation.ask(target, 0)?;
    rows.push(row("turn 1", &conversation, &first));
    let mut other = Conversation { tokens: Vec::new(), ends: Vec::new() };
    other.add(&prompts.random(OTHER_TOKENS));
    rows.push(row("another user", &other, &other.ask(target, 1)?));
    let mut branch = conversation.beginning(system_tokens);
    notes.extend(conversation.go_on(&first, prompts));
    let second = conversation.ask(target, 0)?;
    rows.push(row("turn 2", &conversation, &second));
    branch.add(&prompts.random(NEW_TOKENS));
    rows.push(row("branch", &branch, &branch.ask(target, 0)?));
    notes.extend(conversation.go_on(&second, prompts));
    match target.restart()? {
        Restart::Done => {
            rows.push(row("turn 3, restarted", &conversation, &conversation.ask(target, 0)?));
        }
        Restart::Skipped(why) => {
            rows.push(Row { name: "turn 3, restarted".into(), values: vec![None; COLUMNS.len()] });
            notes.push(format!("no turn after a restart: {why}"));
        }
    }
    notes.dedup();
    let title = format!(
        "a conversation of {} tokens goes on by {NEW_TOKENS} per turn; the branch leaves it after {system_tokens}",
        load.turn_tokens
    );
    Ok(Section { title, columns: COLUMNS, rows, notes, findings: Vec::new() })
}

fn row(name: &str, conversation: &Conversation, seen: &Observation) -> Row {
    let count = |tokens: Option<usize>| tokens.map(|tokens| tokens as f64);
    let prompt = Some(conversation.tokens.len());
    let values = [prompt, seen.ending.found_tokens, seen.ending.computed_tokens].map(count);
    Row { name: name.into(), values: values.into_iter().chain([seen.first_token_seconds()]).collect() }
}

impl Conversation {
    fn add(&mut self, message: &[u32]) {
        self.tokens.extend(message);
        self.ends.push(self.tokens.len());
    }

    /// Its first tokens, where a message ends.
    fn beginning(&self, tokens: usize) -> Self {
        let ends = self.ends.iter().copied().filter(|&end| end <= tokens).collect();
        Self { tokens: self.tokens[..tokens].to_vec(), ends }
    }

    fn ask(&self, target: &dyn Target, tenant: u8) -> Result<Observation, Error> {
        let request = Request::new(self.tokens.clone(), ANSWER_TOKENS);
        let request = Request { boundaries: self.ends.clone(), tenant, ..request };
        observe(target, &request, Clock::start(), &mut |_| true)
    }

    /// Adds the answer and what the user says to it. Where the server did not tell a token's id, another stands in its place and
    /// for all that follow, so that lengths stay the same; then a note says so.
    fn go_on(&mut self, seen: &Observation, prompts: &mut Prompts) -> Option<String> {
        let known: Vec<u32> = seen.tokens.iter().map_while(|token| token.id).collect();
        let mut answer = prompts.random(ANSWER_TOKENS);
        let known_tokens = known.len().min(ANSWER_TOKENS);
        answer[..known_tokens].copy_from_slice(&known[..known_tokens]);
        self.add(&answer);
        self.add(&prompts.random(NEW_TOKENS));
        (known_tokens < ANSWER_TOKENS).then(|| {
            "ids of some tokens of an answer were not told: the next turn has others in their place".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompts::Prompts;
    use super::super::target::{Ending, Observation, Token};
    use super::{ANSWER_TOKENS, Conversation, NEW_TOKENS};

    #[test]
    fn a_turn_begins_with_the_one_before_and_its_answer() {
        let mut conversation = Conversation { tokens: Vec::new(), ends: Vec::new() };
        conversation.add(&[1, 2, 3]);
        conversation.add(&[4, 5]);
        assert_eq!((conversation.beginning(3).tokens, conversation.beginning(3).ends), (vec![1, 2, 3], vec![3]));
        let token = |id| Token { id, seconds: 0.0 };
        let mut tokens: Vec<Token> = (600..600 + ANSWER_TOKENS as u32).map(|id| token(Some(id))).collect();
        let seen =
            |tokens: &[Token]| Observation { sent_seconds: 0.0, tokens: tokens.to_vec(), ending: Ending::left("") };
        let mut prompts = Prompts::new(1, 500);
        let mut next = conversation.clone();
        assert_eq!(next.go_on(&seen(&tokens), &mut prompts), None);
        assert_eq!(next.tokens[..5], [1, 2, 3, 4, 5]);
        assert!(next.tokens[5..5 + ANSWER_TOKENS].iter().copied().eq(600..600 + ANSWER_TOKENS as u32));
        assert_eq!(next.ends, [3, 5, 5 + ANSWER_TOKENS, 5 + ANSWER_TOKENS + NEW_TOKENS]);
        tokens[2].id = None;
        let mut other = conversation.clone();
        assert!(other.go_on(&seen(&tokens), &mut prompts).is_some());
        assert_eq!(other.tokens.len(), next.tokens.len());
        assert_eq!(other.tokens[5..7], [600, 601]);
        assert!(other.tokens[7..].iter().all(|&id| id < 500));
    }
}
