//! Scenario `copy`: a text is written out again with a few edits, and one that repeats nothing. What do drafts gain on the first and
//! cost on the second? It must not know how drafts are made.
//!
//! Both answers are dictated, so that they are real text whatever the weights: a source file of this program with two names changed
//! and some lines more, as an editor would ask for it, and prose of its documents.

use std::time::Instant;

use harmony::Vocabulary;

use super::prompts::Prompts;
use super::section::{Column, Row, Section};
use super::target::{Clock, Dictate, Request, Target, observe};
use crate::arguments::LoadArguments;
use crate::bench::median;
use crate::error::Error;

/// What is edited.
const SOURCE: &str = include_str!("../../../../engine/src/scheduler.rs");
/// Prose that repeats itself little.
const PROSE: &str = include_str!("../../../../../ARCHITECTURE.md");
/// Tokens of the longest prompt, generously.
pub(super) const PROMPT_TOKENS_MAX: usize = 6000;
/// Lines between two lines that are new.
const NEW_LINE_EVERY: usize = 25;

const COLUMNS: &[Column] = &[
    Column::plain("answer_tokens", "tokens", 0),
    Column::plain("plain_tokens_per_second", "plain t/s", 2),
    Column::plain("drafted_tokens_per_second", "drafted t/s", 2),
    Column::plain("ratio", "ratio", 2),
    Column::plain("ratio_least", "least", 2),
];

/// A prompt, and what is said to it.
struct Task {
    name: &'static str,
    prompt: Vec<u32>,
    answer: Vec<u32>,
}

pub(super) fn run(target: &mut dyn Target, load: &LoadArguments, prompts: &mut Prompts) -> Result<Section, Error> {
    let mut rows = Vec::new();
    let mut notes =
        vec!["answers are dictated; drafted against plain in turn, medians; least: the worst pair".to_owned()];
    for task in tasks(target.vocabulary_size(), load.copy_tokens, prompts.seed()) {
        let (mut plain, mut drafted, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        // Whoever was asked first has read the prompt.
        if !task.tell(target, false, 1)?.is_finite() {
            notes = vec!["its words cannot be dictated".to_owned()];
            rows.push(Row { name: task.name.into(), values: vec![None; COLUMNS.len()] });
            continue;
        }
        for _ in 0..load.copy_runs {
            let pair = [false, true].map(|drafts| task.tell(target, drafts, task.answer.len()));
            let [without, with] = pair;
            let (without, with) = (without?, with?);
            plain.push(without);
            drafted.push(with);
            ratios.push(with / without);
        }
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let values = [task.answer.len() as f64, median(&plain), median(&drafted), median(&ratios), least];
        rows.push(Row { name: task.name.into(), values: values.map(Some).to_vec() });
    }
    target.dictate(None);
    let title = "a text is written out again with a few edits; another repeats nothing".into();
    Ok(Section { title, columns: COLUMNS, rows, notes, findings: Vec::new() })
}

impl Task {
    /// Has the first tokens of the answer said; tokens per second after the first, NaN where nothing can be dictated.
    fn tell(&self, target: &dyn Target, drafts: bool, tokens: usize) -> Result<f64, Error> {
        let text = [&self.prompt[..], &self.answer].concat();
        if !target.dictate(Some(Dictate { text, drafts, form: None })) {
            return Ok(f64::NAN);
        }
        let mut times = Vec::new();
        let request = Request::new(self.prompt.clone(), tokens);
        observe(target, &request, Clock::start(), &mut |_| {
            times.push(Instant::now());
            true
        })?;
        let took = times.last().zip(times.first()).map_or(0.0, |(last, first)| (*last - *first).as_secs_f64());
        Ok((times.len() - 1) as f64 / took.max(f64::EPSILON))
    }
}

fn tasks(vocabulary_size: usize, answer_tokens: usize, seed: u64) -> [Task; 2] {
    let known = Vocabulary::o200k_harmony();
    // A model with a smaller vocabulary gets other tokens, which agree where the text does.
    let ids = |text: &str| -> Vec<u32> {
        known.encode(text).into_iter().map(|id| (u64::from(id) % vocabulary_size as u64) as u32).collect()
    };
    let cut = |mut answer: Vec<u32>| {
        answer.truncate(answer_tokens);
        answer
    };
    let source = SOURCE.split("#[cfg(test)]").next().unwrap_or(SOURCE);
    let edit =
        format!("{seed}: rename `views` to `glances` and `order` to `queue`, and mark every tenth part:\n{source}");
    let half = PROSE.len() / 2;
    let middle = (half..PROSE.len()).find(|&at| PROSE.is_char_boundary(at)).unwrap_or(0);
    let (first, second) = PROSE.split_at(middle);
    [
        Task { name: "edit", prompt: ids(&edit), answer: cut(ids(&edited(source))) },
        Task { name: "prose", prompt: ids(&format!("{seed}: go on.\n{first}")), answer: cut(ids(second)) },
    ]
}

/// The source with two names changed and some lines more.
fn edited(source: &str) -> String {
    let mut out = String::new();
    for (number, line) in source.lines().enumerate() {
        out += &line.replace("views", "glances").replace("order", "queue");
        out.push('\n');
        if number % NEW_LINE_EVERY == NEW_LINE_EVERY - 1 {
            out += &format!("    // Part {} ends here.\n", number / NEW_LINE_EVERY + 1);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{edited, tasks};

    #[test]
    fn an_edit_changes_names_and_adds_lines() {
        let source = "let order = views;\n".repeat(30);
        let found = edited(&source);
        assert_eq!(found.lines().count(), 31);
        assert!(found.starts_with("let queue = glances;\n") && found.contains("// Part 1 ends here.\n"));
    }

    #[test]
    fn tasks_are_real_text_in_any_vocabulary() {
        for vocabulary_size in [500, 201_088] {
            let [edit, prose] = tasks(vocabulary_size, 200, 7);
            for task in [&edit, &prose] {
                assert_eq!(task.answer.len(), 200);
                assert!(task.prompt.iter().chain(&task.answer).all(|&id| (id as usize) < vocabulary_size));
            }
            let copied = edit.answer.windows(8).filter(|gram| edit.prompt.windows(8).any(|other| other == *gram));
            assert!(copied.count() > 100, "most of an edit is copied");
        }
    }
}
