//! Scenario `soak`: random load for minutes, with clients that leave early. What went wrong, what was not given back, how much
//! memory was held? It must not know who answers.

pub(super) mod arrivals;
mod tally;

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use engine::Stats;

use super::prompts::Prompts;
use super::section::{Column, Row, Section};
use super::target::{Clock, Inside, Observation, Target, observe};
use crate::arguments::LoadArguments;
use crate::error::Error;
use crate::memory;
use arrivals::{Arrivals, Range};
use tally::{Memory, Tally, findings};

/// How often memory is looked at.
const SAMPLE_SECONDS: f64 = 1.0;
/// How long an engine may take to notice that the last client has gone.
const SETTLE_SECONDS: f64 = 10.0;

const COLUMNS: &[Column] = &[
    Column::plain("requests", "requests", 0),
    Column::plain("first_token_seconds", "first token s", 2),
    Column::plain("first_token_worst_seconds", "worst s", 2),
    Column::plain("tokens_per_second", "tokens/s", 1),
    Column::plain("prompt_tokens", "prompt", 0),
    Column::plain("found_tokens", "found", 0),
    Column::plain("ended_length", "", 0),
    Column::plain("ended_cancelled", "", 0),
    Column::plain("ended_dropped", "", 0),
    Column::plain("ended_otherwise", "", 0),
    Column::plain("failed", "", 0),
    Column::plain("preempted", "", 0),
    Column::plain("resident_start_bytes", "", 0),
    Column::plain("resident_warm_bytes", "", 0),
    Column::plain("resident_max_bytes", "", 0),
    Column::plain("resident_end_bytes", "", 0),
    Column::plain("anonymous_max_bytes", "", 0),
    Column::plain("planned_bytes", "", 0),
];

pub(super) fn run(target: &mut dyn Target, load: &LoadArguments, prompts: &mut Prompts) -> Result<Section, Error> {
    let range = Range {
        per_second: load.soak_rate,
        prompt_tokens: load.soak_tokens,
        answer_tokens: load.soak_answer,
        vocabulary_size: target.vocabulary_size(),
    };
    let arrivals = Arrivals::new(prompts.seed(), range);
    let before = settled(target);
    let seconds = load.minutes * 60.0;
    let mut soak = Soak::new(seconds, before.is_some());
    soak.drive(target, arrivals, load.soak_clients)?;
    let after = settled(target);
    let Soak { clock, tally, memory, .. } = soak;
    let both = before.as_ref().zip(after.as_ref());
    let found = after.as_ref().map_or_else(|| tally.findings(), |after| findings(after, &tally));
    let took = clock.seconds();
    let preempted = both.map(|(before, after)| (after.stats.preempted - before.stats.preempted) as f64);
    let planned = after.as_ref().map(|inside| inside.planned_bytes);
    let figures = tally.figures(took).into_iter().chain([preempted]).chain(memory.figures());
    let values = figures.chain([planned.map(|bytes| bytes as f64)]).collect();
    let notes = [Some(tally.words()), planned.map(|planned| memory.words(planned))].into_iter().flatten().collect();
    Ok(Section {
        title: format!(
            "random load for {} min: prompts up to {} tokens, answers up to {}, {} requests/s, at most {} at once",
            load.minutes, load.soak_tokens, load.soak_answer, load.soak_rate, load.soak_clients
        ),
        columns: COLUMNS,
        rows: vec![Row { name: "soak".into(), values }],
        notes,
        findings: found,
    })
}

/// A soak under way.
struct Soak {
    clock: Clock,
    seconds: f64,
    tally: Tally,
    memory: Memory,
    /// Whether the memory of this process says anything about the target.
    is_inside: bool,
    sampled_seconds: f64,
}

impl Soak {
    fn new(seconds: f64, is_inside: bool) -> Self {
        let mut soak = Self {
            clock: Clock::start(),
            seconds,
            tally: Tally::default(),
            memory: Memory::default(),
            is_inside,
            sampled_seconds: f64::NEG_INFINITY,
        };
        soak.sample();
        soak
    }

    /// Sends what arrives until the time is up, then waits for all answers.
    fn drive(&mut self, target: &dyn Target, arrivals: Arrivals, clients_max: usize) -> Result<(), Error> {
        let (sender, ended) = channel();
        let clock = self.clock;
        thread::scope(|scope| {
            let (mut due_seconds, mut under_way) = (0.0, 0);
            for arrival in arrivals {
                due_seconds += arrival.after_seconds;
                while self.clock.seconds() < self.seconds
                    && (self.clock.seconds() < due_seconds || under_way >= clients_max)
                {
                    let wake_seconds =
                        if under_way < clients_max { due_seconds.min(self.seconds) } else { self.seconds };
                    under_way -= self.wait(&ended, wake_seconds);
                }
                if self.clock.seconds() >= self.seconds {
                    break;
                }
                self.tally.sent += 1;
                let sender = sender.clone();
                let body = move || {
                    let seen = observe(target, &arrival.request, clock, &mut |_| true);
                    // Whoever counts waits for every client, unless it has panicked.
                    let _ = sender.send((arrival.request.prompt.len(), seen));
                };
                let client = thread::Builder::new().name("client".into()).spawn_scoped(scope, body);
                client.map_err(|source| Error::ClientThread { source })?;
                under_way += 1;
            }
            drop(sender);
            while under_way > 0 {
                let wake_seconds = self.clock.seconds() + SAMPLE_SECONDS;
                under_way -= self.wait(&ended, wake_seconds);
            }
            self.sample();
            Ok(())
        })
    }

    /// Waits for a client's end, at most until some time or the next look at memory; how many have ended.
    fn wait(&mut self, ended: &Receiver<(usize, Result<Observation, Error>)>, until_seconds: f64) -> usize {
        let until_seconds = until_seconds.min(self.sampled_seconds + SAMPLE_SECONDS);
        let left = Duration::try_from_secs_f64(until_seconds - self.clock.seconds()).unwrap_or_default();
        let count = match ended.recv_timeout(left) {
            Ok((prompt_tokens, seen)) => {
                self.tally.count(prompt_tokens, seen);
                1
            }
            // Nobody is left only when clients panicked; their number is then missing in the tally.
            Err(RecvTimeoutError::Disconnected) => self.tally.missing(),
            Err(RecvTimeoutError::Timeout) => 0,
        };
        if self.clock.seconds() >= self.sampled_seconds + SAMPLE_SECONDS {
            self.sample();
        }
        count
    }

    fn sample(&mut self) {
        self.sampled_seconds = self.clock.seconds();
        if self.is_inside {
            let share = self.sampled_seconds / self.seconds;
            self.memory.see(share, memory::resident_bytes(), memory::anonymous_bytes());
        }
    }
}

/// The engine's figures once it has noticed that everybody has gone, or when it has not within its time.
fn settled(target: &dyn Target) -> Option<Inside> {
    let clock = Clock::start();
    loop {
        let inside = target.inside()?;
        let Stats { running, queued, ended, .. } = inside.stats;
        let is_idle = running == 0 && queued == 0 && ended == inside.accepted;
        if is_idle || clock.seconds() > SETTLE_SECONDS {
            return Some(inside);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
