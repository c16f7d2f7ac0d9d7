//! Guards on reasoning, at the public edge: the shape of a turn, loops against their definition, honest texts.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod honest;
mod loops;
mod settings;
mod turns;

use engine::{Guard, GuardReport, Guards, LoopLimits, ReasoningShape};

const END: u32 = 1;
const RETURN: u32 = 2;
const CALL: u32 = 3;
const START: u32 = 4;
const CHANNEL: u32 = 5;
const MESSAGE: u32 = 6;
const ASSISTANT: u32 = 7;
const ANALYSIS: u32 = 8;
const FINAL: u32 = 9;
/// Where ordinary tokens begin.
const TEXT: u32 = 10;

const OPEN: [u32; 3] = [CHANNEL, ANALYSIS, MESSAGE];
const CLOSE: [u32; 6] = [END, START, ASSISTANT, CHANNEL, FINAL, MESSAGE];

fn guards(budget_tokens: Option<usize>, loops: Option<LoopLimits>) -> Guards {
    let reasoning = ReasoningShape { open: OPEN.to_vec(), ends: vec![END, RETURN, CALL], close: CLOSE.to_vec() };
    Guards { reasoning, budget_tokens, loops }
}

/// Every report with the number of tokens pushed until then; there should be one at most.
fn reports(guards: &Guards, prompt: &[u32], generated: &[u32]) -> Vec<GuardReport> {
    let mut guard = Guard::new(guards, prompt);
    let reports: Vec<GuardReport> = generated.iter().filter_map(|&id| guard.push(id)).collect();
    assert!(reports.len() <= 1, "{reports:?}");
    reports
}

/// The loop found first in a thought of these tokens: tokens until then, and period.
fn first_loop(limits: LoopLimits, thought: &[u32]) -> Option<(usize, usize)> {
    let reports = reports(&guards(None, Some(limits)), &OPEN, thought);
    reports.first().map(|report| (report.at_token, report.period_tokens.unwrap()))
}
