//! Scenario `clients`: so many send a prompt at the same moment. It must not know who answers.

use super::prompts::Prompts;
use super::section::{Column, Row, Section};
use super::target::{Clock, Observation, Request, Target, at_once};
use crate::arguments::LoadArguments;
use crate::bench::median;
use crate::error::Error;

const COLUMNS: &[Column] = &[
    Column::plain("clients", "", 0),
    Column::plain("first_token_seconds", "first token s", 2),
    Column::plain("first_token_worst_seconds", "worst s", 2),
    Column::plain("tokens_per_second", "tokens/s", 1),
    Column::plain("decode_tokens_per_second", "all running", 1),
    Column::milliseconds("gap_seconds", "gap ms"),
];

pub(super) fn run(target: &mut dyn Target, load: &LoadArguments, prompts: &mut Prompts) -> Result<Section, Error> {
    let mut rows = Vec::new();
    for &clients in &load.clients {
        let request = |_| Request::new(prompts.random(load.client_prompt), load.client_answer);
        let requests: Vec<Request> = (0..clients).map(request).collect();
        let observations = at_once(target, &requests, Clock::start())?;
        let name = if clients == 1 { "1 client".into() } else { format!("{clients} clients") };
        rows.push(Row { name, values: figures(&observations) });
    }
    let title = format!(
        "clients send prompts of {} tokens at the same moment, answers have {}",
        load.client_prompt, load.client_answer
    );
    let note = "all running: tokens/s while every client is answered; gap: between a client's tokens; medians";
    Ok(Section { title, columns: COLUMNS, rows, notes: vec![note.into()], findings: Vec::new() })
}

/// In the order of the columns.
fn figures(observations: &[Observation]) -> Vec<Option<f64>> {
    let known = |value: f64| value.is_finite().then_some(value);
    let firsts: Vec<f64> = observations.iter().filter_map(Observation::first_token_seconds).collect();
    let worst = firsts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sent = observations.iter().map(|one| one.sent_seconds).fold(f64::INFINITY, f64::min);
    let last = observations.iter().flat_map(Observation::arrivals).fold(f64::NEG_INFINITY, f64::max);
    let tokens: usize = observations.iter().map(|one| one.tokens.len()).sum();
    let gaps: Vec<f64> = observations.iter().flat_map(gaps).collect();
    vec![
        Some(observations.len() as f64),
        (!firsts.is_empty()).then(|| median(&firsts)),
        known(worst),
        (tokens > 0).then(|| tokens as f64 / (last - sent)),
        all_running(observations),
        (!gaps.is_empty()).then(|| median(&gaps)),
    ]
}

/// Seconds between neighbouring tokens.
fn gaps(observation: &Observation) -> impl Iterator<Item = f64> {
    observation.tokens.windows(2).map(|pair| pair[1].seconds - pair[0].seconds)
}

/// Tokens per second from when the last client has its first token to when the first client has its last one.
fn all_running(observations: &[Observation]) -> Option<f64> {
    let begin = observations.iter().map(|one| one.arrivals().next()).collect::<Option<Vec<f64>>>()?;
    let begin = begin.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let end = observations.iter().filter_map(|one| one.arrivals().last()).fold(f64::INFINITY, f64::min);
    let within = |&at: &f64| begin < at && at <= end;
    let tokens = observations.iter().flat_map(Observation::arrivals).filter(within).count();
    (end > begin && tokens > 0).then(|| tokens as f64 / (end - begin))
}

#[cfg(test)]
mod tests {
    use super::super::target::seen;
    use super::figures;

    #[test]
    fn figures_of_two_clients() {
        // Together from 0 to 5; both are answered from 2 to 4.
        let values = figures(&[seen(0.0, &[1.0, 2.0, 3.0, 4.0]), seen(0.0, &[2.0, 3.0, 4.0, 5.0])]);
        assert_eq!(values, [2.0, 2.0, 2.0, 8.0 / 5.0, 2.0, 1.0].map(Some));
    }

    #[test]
    fn the_clock_of_the_load_counts() {
        let values = figures(&[seen(10.0, &[1.0, 2.0]), seen(10.5, &[1.5, 3.5])]);
        assert_eq!(values[1..4], [Some(1.5), Some(1.5), Some(4.0 / 4.0)]);
        assert_eq!(values[4], None, "the first has ended when the second begins");
        assert_eq!(values[5], Some(2.0));
    }

    #[test]
    fn what_nobody_saw_is_not_known() {
        assert_eq!(figures(&[seen(0.0, &[]), seen(0.0, &[1.0])])[4..], [None, None]);
        assert_eq!(figures(&[seen(0.0, &[])]), [Some(1.0), None, None, None, None, None]);
    }
}
