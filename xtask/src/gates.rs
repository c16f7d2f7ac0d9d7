//! `cargo xtask gates`: what the trained small model must be able to do before it ships, measured with the real engine on
//! questions that it has not seen.
//!
//! It must not know what is asked or how an answer is judged: the corpus does.

mod figures;
mod play;
mod show;
mod standards;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use corpus::{Check, Item, Mixture, Skill, Split, Stream};
use harmony::{ReasoningEffort, Role, Vocabulary};
use model::{Checkpoint, VocabularySource};
use serde_json::json;

use crate::arguments::Arguments;
use crate::error::{Error, Result};
use figures::Figures;
use play::{Played, Player};

/// The extra sums are looked for among so many items for each one that is wanted.
const SUMS_LOOKED_AT: usize = 64;

/// What the command line asks for.
struct Options {
    model: PathBuf,
    items_per_skill: u64,
    /// Only this one, to look at: then there are no gates.
    skill: Option<Skill>,
    seed: u64,
    threads: usize,
    temperature: f32,
    show: usize,
    json: Option<PathBuf>,
}

/// A question to the model.
struct Case {
    item: Item,
    kind: CaseKind,
}

/// Why an item is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CaseKind {
    /// As one of its skill.
    Skill,
    /// As a sum of numbers of up to three digits, at medium or high effort.
    Sum,
}

/// Asks, judges, prints.
pub(crate) fn run(arguments: &mut Arguments) -> Result<()> {
    let options = parse(arguments)?;
    let checkpoint = Checkpoint::open(&options.model)?;
    let VocabularySource::TokenizerJson(file) = &checkpoint.vocabulary else {
        return Err(Error::NoTokenizer(options.model));
    };
    let vocabulary = Vocabulary::from_tokenizer_json(&fs::read(file).map_err(|source| Error::file(file, source))?)?;
    let cases = cases(&options);
    let played = play_all(&options, &checkpoint, &vocabulary, &cases)?;
    show::failures(&vocabulary, &cases, &played, options.show)?;
    let figures = Figures::of(&cases, &played);
    print!("{figures}");
    let standards = if options.skill.is_none() { standards::of(&figures) } else { Vec::new() };
    standards.iter().for_each(|standard| println!("{standard}"));
    if let Some(path) = &options.json {
        let report =
            json!({"figures": figures.json(), "gates": standards.iter().map(|gate| gate.json()).collect::<Vec<_>>()});
        fs::write(path, format!("{report:#}\n")).map_err(|source| Error::file(path, source))?;
    }
    match standards.iter().filter(|standard| !standard.passes()).count() {
        0 => Ok(()),
        failed => Err(Error::Gates(failed)),
    }
}

fn parse(arguments: &mut Arguments) -> Result<Options> {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        items_per_skill: arguments.number("--items-per-skill")?.unwrap_or(100),
        skill: match arguments.option("--skill")? {
            None => None,
            Some(name) => Some(name.parse().map_err(|error: corpus::Error| Error::Usage(error.to_string()))?),
        },
        seed: arguments.number("--seed")?.unwrap_or(1),
        threads: arguments.number("--threads")?.unwrap_or(all),
        show: arguments.number("--show")?.unwrap_or(0),
        temperature: match arguments.option("--temperature")? {
            None => 0.0,
            Some(text) => text.parse().map_err(|_| Error::Usage(format!("--temperature {text}: expected a number")))?,
        },
        json: arguments.option("--json")?.map(PathBuf::from),
        model: arguments
            .option("--model")?
            .map(PathBuf::from)
            .ok_or_else(|| Error::Usage("gates needs --model DIR".into()))?,
    };
    arguments.finish()?;
    if options.items_per_skill == 0 || !(1..=1024).contains(&options.threads) {
        return Err(Error::Usage("--items-per-skill is at least 1, --threads from 1 to 1024".into()));
    }
    Ok(options)
}

/// The held-out items of each skill, and as many sums.
fn cases(options: &Options) -> Vec<Case> {
    let items = |skill| {
        let stream = Stream::new(options.seed, Split::HeldOut, Mixture::only(skill));
        (0..).map(move |index| stream.item(index))
    };
    let wanted = |skill| options.skill.is_none_or(|only| only == skill);
    let count = usize::try_from(options.items_per_skill).unwrap_or(usize::MAX);
    let of_skills = Skill::ALL.into_iter().filter(|&skill| wanted(skill)).flat_map(|skill| items(skill).take(count));
    let looked_at = if wanted(Skill::Arithmetic) { count.saturating_mul(SUMS_LOOKED_AT) } else { 0 };
    let thoughtful = |item: &Item| item.effort != ReasoningEffort::Low && is_small_sum(item);
    let sums = items(Skill::Arithmetic).skip(count).take(looked_at).filter(thoughtful).take(count);
    let case = |kind| move |item| Case { item, kind };
    of_skills.map(case(CaseKind::Skill)).chain(sums.map(case(CaseKind::Sum))).collect()
}

/// Whether an item asks for the sum of two numbers of up to three digits, however it is worded: there are two numbers in the
/// question, and what must be said is their sum.
fn is_small_sum(item: &Item) -> bool {
    let question = item.conversation.messages.iter().rfind(|message| message.author.role == Role::User);
    let text = question.map(harmony::Message::text).unwrap_or_default();
    let &[left, right] = numbers(&text).as_slice() else { return false };
    let says_sum = |check: &Check| match check {
        Check::Says(text) | Check::Is(text) => numbers(text) == [left.saturating_add(right)],
        Check::SameCalls
        | Check::Announces
        | Check::NeverSays(_)
        | Check::Json(_)
        | Check::Cites(_)
        | Check::Prose { .. } => false,
    };
    left < 1000 && right < 1000 && item.checks.iter().any(says_sum)
}

/// The whole numbers in a text.
fn numbers(text: &str) -> Vec<u64> {
    let digits = text.split(|character: char| !character.is_ascii_digit());
    digits.filter_map(|digits| digits.parse().ok()).collect()
}

/// What the model makes of each case, in the cases' order. A tiny model is not worth sharing one forward pass among threads,
/// so each thread has a model of its own.
fn play_all(
    options: &Options,
    checkpoint: &Checkpoint,
    vocabulary: &Vocabulary,
    cases: &[Case],
) -> Result<Vec<Played>> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = channel();
    let (next, judge) = (&next, &corpus::Judge::new(vocabulary));
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            let sender = sender.clone();
            scope.spawn(move || {
                let player = match Player::new(checkpoint, vocabulary, judge, options.temperature, options.seed) {
                    Ok(player) => player,
                    Err(error) => return drop(sender.send((0, Err(error)))),
                };
                while let Some((index, case)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, cases.get(index)?)))
                {
                    // Nobody listens any more after the first error.
                    if sender.send((index, player.play(&case.item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut played = Vec::with_capacity(cases.len());
        for (index, outcome) in receiver {
            played.push((index, outcome?));
            if played.len() % 200 == 0 {
                eprintln!("{} of {} items", played.len(), cases.len());
            }
        }
        played.sort_unstable_by_key(|(index, _)| *index);
        Ok(played.into_iter().map(|(_, played)| played).collect())
    })
}

#[cfg(test)]
mod tests {
    use corpus::Skill;

    use super::{CaseKind, Options, cases, is_small_sum, parse};
    use crate::arguments::Arguments;
    use crate::error::Result;

    fn parsed(line: &str) -> Result<Options> {
        parse(&mut Arguments::new(line.split(' ').map(String::from)))
    }

    #[test]
    fn mistakes_are_named() {
        for (line, word) in [
            ("--seed 1", "--model"),
            ("--model x --threads 0", "--threads"),
            ("--model x --items-per-skill 0", "--items-per-skill"),
            ("--model x --temperature warm", "warm"),
            ("--model x --skill juggling", "juggling"),
            ("--model x --colour", "--colour"),
        ] {
            let error = parsed(line).err().unwrap().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn every_skill_is_asked_and_sums_besides() {
        let cases = cases(&parsed("--model x --items-per-skill 4").unwrap());
        for skill in Skill::ALL {
            let of_skill = cases.iter().filter(|case| case.kind == CaseKind::Skill && case.item.skill == skill);
            assert_eq!(of_skill.count(), 4, "{skill}");
        }
        let sums: Vec<_> = cases.iter().filter(|case| case.kind == CaseKind::Sum).collect();
        assert_eq!(sums.len(), 4);
        assert!(sums.iter().all(|case| is_small_sum(&case.item)));
    }

    #[test]
    fn one_skill_is_asked_alone() {
        let cases = cases(&parsed("--model x --items-per-skill 4 --skill chat").unwrap());
        assert_eq!(cases.len(), 4);
        assert!(cases.iter().all(|case| case.item.skill == Skill::Chat));
    }
}
