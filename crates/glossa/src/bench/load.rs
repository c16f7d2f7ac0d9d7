//! `glossa bench --load`: how a model serves many at once, beside a server that gets the same load. Speeds are told, never judged.
//!
//! A scenario is a file with a function that puts a load on a [`Target`] and gives a [`Section`] of figures, a line in
//! [`SCENARIOS`], and a variant of [`Scenario`].

mod beside;
mod chart;
mod clients;
mod copy;
mod dictated;
mod engine_target;
mod forms;
mod http;
mod prompts;
mod section;
mod soak;
mod target;
mod turns;

use std::ops::ControlFlow;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::arguments::{BenchArguments, LoadArguments, Scenario};
use crate::console::{Progress, say};
use crate::error::Error;
use crate::memory;
use crate::plan::{Plan, readable};
use engine_target::Planned;
use http::Server;
use prompts::Prompts;
use section::Section;
use target::{Request, Target};

/// What a target is asked before anything is measured: the first request finds weights that were never touched.
const WARM_UP_PROMPT_TOKENS: usize = 8;
const WARM_UP_ANSWER_TOKENS: usize = 2;

/// What is measured, in turn.
type Targets = Vec<Box<dyn Target>>;

/// A scenario and what it asks for.
struct Entry {
    scenario: Scenario,
    name: &'static str,
    run: fn(&mut dyn Target, &LoadArguments, &mut Prompts) -> Result<Section, Error>,
    /// The option that decides how long its longest request is, and tokens that stand besides.
    longest: fn(&LoadArguments) -> (&'static str, usize, usize),
}

/// Every scenario, one line each.
const SCENARIOS: &[Entry] = &[
    Entry {
        scenario: Scenario::Clients,
        name: "clients",
        run: clients::run,
        longest: |load| ("client-prompt", load.client_prompt, load.client_answer),
    },
    Entry {
        scenario: Scenario::Beside,
        name: "beside",
        run: beside::run,
        longest: |load| {
            let streams = beside::STREAM_PROMPT_TOKENS + beside::STREAM_TOKENS_MAX;
            (
                "beside-prompt",
                load.beside_prompt,
                streams.saturating_sub(load.beside_prompt).max(beside::NEWCOMER_TOKENS),
            )
        },
    },
    Entry {
        scenario: Scenario::Turns,
        name: "turns",
        run: turns::run,
        longest: |load| {
            let rest = 3 * turns::ANSWER_TOKENS + 2 * turns::NEW_TOKENS;
            (
                "turn-tokens",
                load.turn_tokens,
                rest.max((turns::OTHER_TOKENS + turns::ANSWER_TOKENS).saturating_sub(load.turn_tokens)),
            )
        },
    },
    Entry {
        scenario: Scenario::Copy,
        name: "copy",
        run: copy::run,
        longest: |load| ("copy-tokens", load.copy_tokens, copy::PROMPT_TOKENS_MAX),
    },
    Entry {
        scenario: Scenario::Forms,
        name: "forms",
        run: forms::run,
        longest: |load| ("copy-tokens", load.copy_tokens, forms::PROMPT_TOKENS_MAX),
    },
    Entry {
        scenario: Scenario::Soak,
        name: "soak",
        run: soak::run,
        longest: |load| ("soak-tokens", load.soak_tokens, load.soak_answer),
    },
];

/// What was measured.
pub(super) struct Load {
    seed: u64,
    plan: Option<Plan>,
    targets: Vec<String>,
    /// Per scenario: its name, and per target one section per run.
    scenarios: Vec<(&'static str, Vec<Vec<Section>>)>,
}

/// Puts every load that was asked for on every target.
pub(super) fn measure(arguments: &BenchArguments, progress: &mut Progress) -> Result<Load, Error> {
    let load = &arguments.load;
    let (plan, mut targets) = targets(arguments, progress)?;
    let entries: Vec<&Entry> = SCENARIOS.iter().filter(|entry| load.scenarios.contains(&entry.scenario)).collect();
    for entry in &entries {
        targets.iter().try_for_each(|target| check_room(&**target, (entry.longest)(load)))?;
    }
    let vocabulary_size = targets.iter().map(|target| target.vocabulary_size()).min().unwrap_or(1);
    let seed = load.seed.unwrap_or_else(clock_seed);
    for target in &targets {
        warm_up(&**target, &mut Prompts::new(!seed, vocabulary_size))?;
    }
    let mut scenarios = Vec::new();
    for (index, entry) in (0..).zip(entries) {
        let mut sections: Vec<Vec<Section>> = targets.iter().map(|_| Vec::new()).collect();
        for pair in 0..load.pairs {
            for (target, sections) in targets.iter_mut().zip(&mut sections) {
                let (name, run) = (target.name(), pair + 1);
                progress.show(false, &format!("{} on {name}, {run} of {}", entry.name, load.pairs));
                // Another text in every run, since whoever has read it once may know it; the same for both.
                let seed = seed.wrapping_add((pair as u64 * SCENARIOS.len() as u64 + index) << 32);
                sections.push((entry.run)(&mut **target, load, &mut Prompts::new(seed, vocabulary_size))?);
            }
        }
        scenarios.push((entry.name, sections));
    }
    progress.clear();
    let targets = targets.iter().map(|target| target.name().to_owned()).collect();
    Ok(Load { seed, plan, targets, scenarios })
}

/// Refuses numbers that measure nothing, before minutes are spent.
pub(super) fn check(arguments: &BenchArguments) -> Result<(), Error> {
    let load = &arguments.load;
    let wrong = |name, found: String, expected: String| Err(Error::Option { name, found, expected });
    let within = |name, found: usize, least: usize, most: usize| {
        let expected = format!("{least} to {most}");
        if (least..=most).contains(&found) { Ok(()) } else { wrong(name, found.to_string(), expected) }
    };
    let tokens_max = 1 << 20;
    load.clients.iter().try_for_each(|&clients| within("clients", clients, 1, 256))?;
    within("client-prompt", load.client_prompt, 1, tokens_max)?;
    within("client-answer", load.client_answer, 1, tokens_max)?;
    within("streams", load.streams, 1, 256)?;
    within("beside-prompt", load.beside_prompt, 1, tokens_max)?;
    within("turn-tokens", load.turn_tokens, 2, tokens_max)?;
    within("copy-tokens", load.copy_tokens, 2, tokens_max)?;
    within("copy-runs", load.copy_runs, 1, 1000)?;
    within("soak-tokens", load.soak_tokens, soak::arrivals::PROMPT_TOKENS_LEAST, tokens_max)?;
    within("soak-answer", load.soak_answer, 1, tokens_max)?;
    within("soak-clients", load.soak_clients, 1, 256)?;
    within("pairs", load.pairs, 1, 100)?;
    within("kv-mib", load.kv_mib, 1, 1 << 24)?;
    within("sequences", load.sequences, 1, 1024)?;
    within("serving-chunk", load.serving_chunk, 1, tokens_max)?;
    within("disk-cache-mib", usize::try_from(load.disk_cache_mib).unwrap_or(usize::MAX), 0, 1 << 24)?;
    let positive = |name, found: f64, most: f64| {
        let expected = format!("more than 0, at most {most}");
        if found > 0.0 && found <= most { Ok(()) } else { wrong(name, found.to_string(), expected) }
    };
    positive("minutes", load.minutes, 7.0 * 24.0 * 60.0)?;
    positive("soak-rate", load.soak_rate, 1e4)?;
    if !load.scenarios.is_empty() && arguments.models.len() > 1 {
        return wrong("load", format!("with {} models", arguments.models.len()), "one model".into());
    }
    if load.svg.is_some() && !load.scenarios.contains(&Scenario::Clients) {
        return wrong("svg", "without that scenario".into(), "--load clients, which it draws".into());
    }
    Ok(())
}

/// The engine, unless the server is measured alone, and the server, if there is one.
fn targets(arguments: &BenchArguments, progress: &mut Progress) -> Result<(Option<Plan>, Targets), Error> {
    let load = &arguments.load;
    let server = load.compare.as_deref().map(|url| Server::connect(url, load.compare_api)).transpose()?;
    let mut targets = Targets::new();
    let mut plan = None;
    if let Some(model) = arguments.models.first().filter(|_| !load.only_compare) {
        progress.show(false, &format!("loading {}", model.display()));
        let planned = Planned::new(model, arguments)?;
        let machine = memory::total_bytes();
        progress.clear();
        say(&format!("memory that serving {} takes\n{}", model.display(), planned.plan()));
        if let Some(machine) = machine {
            say(&format!("  {:<18}{:>10}\n", "of the machine's", readable(machine)));
        }
        planned.plan().check(machine)?;
        plan = Some(planned.plan().clone());
        targets.push(Box::new(planned.load()?));
    }
    if let Some(server) = server {
        targets.push(Box::new(server));
    }
    Ok((plan, targets))
}

/// Refuses requests that a target has no room for.
fn check_room(target: &dyn Target, (name, tokens, besides): (&'static str, usize, usize)) -> Result<(), Error> {
    match target.room_tokens() {
        Some((room, what)) if tokens + besides > room => Err(Error::Option {
            name,
            found: tokens.to_string(),
            expected: format!("with {besides} tokens besides at most {room}, {what}"),
        }),
        Some(_) | None => Ok(()),
    }
}

fn warm_up(target: &dyn Target, prompts: &mut Prompts) -> Result<(), Error> {
    let request = Request::new(prompts.random(WARM_UP_PROMPT_TOKENS), WARM_UP_ANSWER_TOKENS);
    target.answer(&request, &mut |_| ControlFlow::Continue(())).map(drop)
}

/// Another number every time, small enough for every reader of JSON.
fn clock_seed() -> u64 {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    nanoseconds % (1 << 32)
}

impl Load {
    /// For programs.
    pub(super) fn json(&self) -> Value {
        let scenario = |(name, sections): &(&'static str, Vec<Vec<Section>>)| {
            let mut targets = Map::new();
            for (target, runs) in self.targets.iter().zip(sections) {
                let runs_json: Vec<Value> = runs.iter().map(Section::json).collect();
                let middle = Section::middle(runs).map(|middle| middle.json());
                targets.insert(target.clone(), json!({"middle": middle, "runs": runs_json}));
            }
            ((*name).to_owned(), Value::Object(targets))
        };
        json!({
            "seed": self.seed,
            "plan": self.plan.as_ref().map(Plan::json),
            "targets": self.targets,
            "scenarios": self.scenarios.iter().map(scenario).collect::<Map<_, _>>(),
        })
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        for (_, sections) in &self.scenarios {
            let middle: Vec<Section> = sections.iter().filter_map(|runs| Section::middle(runs)).collect();
            let named: Vec<(&str, &Section)> = self.targets.iter().map(String::as_str).zip(&middle).collect();
            text += &section::table(&named);
        }
        text + &format!("\nseed {}\n", self.seed)
    }

    /// First tokens and tokens per second by the number of clients.
    pub(super) fn svg(&self) -> String {
        let clients = self.scenarios.iter().find(|(name, _)| *name == "clients");
        let sections = clients.map_or(&[][..], |(_, sections)| sections);
        let lines = self.targets.iter().zip(sections);
        let lines: Vec<chart::Line> =
            lines.filter_map(|(target, runs)| Some(chart::Line::of(target, &Section::middle(runs)?))).collect();
        chart::svg(&lines)
    }

    /// What should not be so, of all scenarios.
    pub(super) fn check(&self) -> Result<(), Error> {
        let sections = self.scenarios.iter().flat_map(|(_, targets)| targets.iter().flatten());
        let findings: Vec<&str> = sections.flat_map(|section| &section.findings).map(String::as_str).collect();
        match findings.first() {
            None => Ok(()),
            Some(first) => Err(Error::Findings { count: findings.len(), first: (*first).to_owned() }),
        }
    }
}
