//! Scenario `beside`: while some are answered, a prompt arrives. How long do they wait, and how long does it? It must not know who
//! answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::prompts::Prompts;
use super::section::{Column, Row, Section};
use super::target::{Clock, Observation, Request, Target, observe};
use crate::arguments::LoadArguments;
use crate::error::Error;

/// Tokens of the prompts of those who are answered already.
pub(super) const STREAM_PROMPT_TOKENS: usize = 32;
/// Tokens that each of them has when the prompt arrives.
const BEFORE_TOKENS: usize = 8;
/// Tokens of the answer to the prompt that arrives; the others go on meanwhile.
pub(super) const NEWCOMER_TOKENS: usize = 8;
/// Tokens after which a stream ends by itself. It is stopped when the newcomer has its answer.
pub(super) const STREAM_TOKENS_MAX: usize = 1024;

const COLUMNS: &[Column] = &[
    Column::plain("streams", "", 0),
    Column::plain("first_token_seconds", "first token s", 2),
    Column::milliseconds("gap_before_seconds", "gap before ms"),
    Column::milliseconds("gap_while_seconds", "while ms"),
    Column::milliseconds("gap_after_seconds", "after ms"),
];

pub(super) fn run(target: &mut dyn Target, load: &LoadArguments, prompts: &mut Prompts) -> Result<Section, Error> {
    let stream = |_| Request::new(prompts.random(STREAM_PROMPT_TOKENS), STREAM_TOKENS_MAX);
    let streams: Vec<Request> = (0..load.streams).map(stream).collect();
    let newcomer = Request::new(prompts.random(load.beside_prompt), NEWCOMER_TOKENS);
    let (streams, newcomer) = beside(target, &streams, &newcomer)?;
    let gaps = Gaps::of(&streams, &newcomer);
    let values = [newcomer.first_token_seconds(), gaps.before, gaps.meanwhile, gaps.after];
    let values = [Some(streams.len() as f64)].into_iter().chain(values).collect();
    let mut notes =
        vec!["gap: the longest of any running answer before, while and after the prompt is read".to_owned()];
    let cut = streams.iter().filter(|stream| stream.tokens.len() == STREAM_TOKENS_MAX).count();
    if cut > 0 {
        notes.push(format!(
            "{cut} running answers ended at {STREAM_TOKENS_MAX} tokens before the prompt had its answer"
        ));
    }
    Ok(Section {
        title: format!("a prompt of {} tokens arrives beside running answers", load.beside_prompt),
        columns: COLUMNS,
        rows: vec![Row { name: format!("{} running", load.streams), values }],
        notes,
        findings: Vec::new(),
    })
}

/// Runs the streams, sends the newcomer once all of them are well under way, and stops them when it has its answer.
fn beside(
    target: &dyn Target,
    streams: &[Request],
    newcomer: &Request,
) -> Result<(Vec<Observation>, Observation), Error> {
    let (clock, done) = (Clock::start(), AtomicBool::new(false));
    let (sender, under_way) = channel();
    thread::scope(|scope| {
        let mut running = Vec::new();
        for request in streams {
            let (sender, done) = (sender.clone(), &done);
            let body = move || stream(target, request, clock, &sender, done);
            match thread::Builder::new().name("client".into()).spawn_scoped(scope, body) {
                Ok(thread) => running.push(thread),
                Err(source) => {
                    done.store(true, Ordering::Relaxed);
                    return Err(Error::ClientThread { source });
                }
            }
        }
        // The streams have theirs; when all of those are gone, nobody is left to wait for.
        drop(sender);
        wait(&under_way, streams.len());
        let seen = observe(target, newcomer, clock, &mut |_| true);
        done.store(true, Ordering::Relaxed);
        let streams = running.into_iter().map(|thread| thread.join().unwrap_or(Err(Error::ClientStopped)));
        Ok((streams.collect::<Result<_, _>>()?, seen?))
    })
}

fn stream(
    target: &dyn Target,
    request: &Request,
    clock: Clock,
    sender: &Sender<()>,
    done: &AtomicBool,
) -> Result<Observation, Error> {
    observe(target, request, clock, &mut |tokens| {
        if tokens == BEFORE_TOKENS {
            // Nobody waits any more when another stream has failed.
            let _ = sender.send(());
        }
        !done.load(Ordering::Relaxed)
    })
}

/// Until all streams are under way, or have ended.
fn wait(under_way: &Receiver<()>, streams: usize) {
    under_way.iter().take(streams).for_each(drop);
}

/// The longest time without a token of any stream.
#[derive(Debug, PartialEq)]
struct Gaps {
    before: Option<f64>,
    meanwhile: Option<f64>,
    after: Option<f64>,
}

impl Gaps {
    /// A gap belongs to the newcomer's reading when the two overlap. The time before all streams run does not count.
    fn of(streams: &[Observation], newcomer: &Observation) -> Self {
        let mut gaps = Self { before: None, meanwhile: None, after: None };
        let sent = newcomer.sent_seconds;
        let read = newcomer.arrivals().next().unwrap_or(f64::INFINITY);
        let begin = streams.iter().filter_map(|stream| stream.arrivals().next()).fold(f64::NEG_INFINITY, f64::max);
        for stream in streams {
            let arrivals: Vec<f64> = stream.arrivals().filter(|&at| at >= begin).collect();
            for pair in arrivals.windows(2) {
                let place = if pair[1] <= sent {
                    &mut gaps.before
                } else if pair[0] < read {
                    &mut gaps.meanwhile
                } else {
                    &mut gaps.after
                };
                let gap = pair[1] - pair[0];
                *place = Some(place.map_or(gap, |longest: f64| longest.max(gap)));
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::seen;
    use super::Gaps;

    #[test]
    fn gaps_belong_to_before_while_and_after() {
        let streams = [seen(0.0, &[1.0, 1.5, 2.5, 5.0, 5.25]), seen(0.0, &[0.25, 1.0, 2.0, 4.0, 4.5, 4.75, 5.25])];
        let gaps = Gaps::of(&streams, &seen(2.5, &[1.5, 2.0]));
        // The prompt is sent at 2.5 and has its first token at 4; the first gap of 0.75 lies before both streams run.
        assert_eq!(gaps, Gaps { before: Some(1.0), meanwhile: Some(2.5), after: Some(0.5) });
    }

    #[test]
    fn a_stream_that_ended_early_has_no_gap() {
        let gaps = Gaps::of(&[seen(0.0, &[1.0, 2.0])], &seen(3.0, &[1.0]));
        assert_eq!(gaps, Gaps { before: Some(1.0), meanwhile: None, after: None });
        assert_eq!(Gaps::of(&[], &seen(3.0, &[])), Gaps { before: None, meanwhile: None, after: None });
    }
}
