//! Which tokens count as reasoning, and when the budget strikes.

use engine::{Guard, GuardKind, GuardReport, LoopLimits};

use crate::{
    ANALYSIS, ASSISTANT, CALL, CHANNEL, CLOSE, END, FINAL, MESSAGE, OPEN, RETURN, START, TEXT, guards, reports,
};

fn spent(at_token: usize, reasoning_tokens: usize) -> Vec<GuardReport> {
    vec![GuardReport { kind: GuardKind::Budget, at_token, reasoning_tokens, period_tokens: None }]
}

#[test]
fn the_budget_strikes_at_the_token_that_spends_it() {
    let turn = [&OPEN[..], &[TEXT; 9]].concat();
    for budget in 1..=9 {
        assert_eq!(reports(&guards(Some(budget), None), &[START, ASSISTANT], &turn), spent(3 + budget, budget));
    }
    assert_eq!(reports(&guards(Some(10), None), &[], &turn), []);
    assert_eq!(reports(&guards(None, None), &[], &turn), []);
    assert_eq!(reports(&guards(Some(0), None), &[], &turn), spent(3, 0), "nothing may be thought at all");
}

#[test]
fn reasoning_of_several_messages_is_added_up() {
    let call = [&OPEN[..], &[TEXT; 4], &[CALL, START, ASSISTANT]].concat();
    let turn = call.repeat(3);
    let mut guard = Guard::new(&guards(Some(10), None), &[]);
    let struck: Vec<_> = turn.iter().filter_map(|&id| guard.push(id)).collect();
    assert_eq!(struck, spent(2 * call.len() + 3 + 2, 10));
    assert_eq!(guard.reasoning_tokens(), 12, "counting goes on");
    let turn = [call, OPEN.to_vec()].concat();
    assert_eq!(reports(&guards(Some(4), None), &[], &turn), spent(7, 4));
}

#[test]
fn a_budget_that_was_spent_exactly_strikes_when_more_reasoning_is_opened() {
    // The message ends with the token that would have spent the budget of five.
    let turn = [&OPEN[..], &[TEXT; 4], &[END, START, ASSISTANT], &OPEN, &[TEXT]].concat();
    assert_eq!(reports(&guards(Some(5), None), &[], &turn), spent(turn.len(), 5));
}

#[test]
fn other_messages_are_not_reasoning() {
    let last = [CHANNEL, FINAL, MESSAGE];
    let to_tool = [CHANNEL, ANALYSIS, TEXT, TEXT, MESSAGE];
    for header in [&last[..], &to_tool, &[CHANNEL, MESSAGE], &[ANALYSIS, MESSAGE], &[CHANNEL, CHANNEL, MESSAGE]] {
        let turn = [header, &[TEXT; 500]].concat();
        assert_eq!(
            reports(&guards(Some(1), Some(LoopLimits::default())), &[START, ASSISTANT], &turn),
            [],
            "{header:?}"
        );
    }
    let doubled = [CHANNEL, CHANNEL, ANALYSIS, MESSAGE, TEXT];
    assert_eq!(reports(&guards(Some(1), None), &[], &doubled), spent(5, 1), "the last header tokens decide");
}

#[test]
fn the_opening_may_lie_in_the_prompt_or_across_its_end() {
    let whole = [&[TEXT, END, START, ASSISTANT], &OPEN[..], &[TEXT; 3]].concat();
    for cut in 0..=whole.len() {
        let (prompt, generated) = whole.split_at(cut);
        let in_prompt = cut.saturating_sub(7);
        let mut guard = Guard::new(&guards(None, None), prompt);
        assert!(generated.iter().all(|&id| guard.push(id).is_none()));
        assert_eq!(guard.reasoning_tokens(), 3 - in_prompt, "only what is generated counts, cut at {cut}");
    }
    let ended = [&OPEN[..], &[TEXT, RETURN]].concat();
    assert_eq!(reports(&guards(Some(1), None), &ended, &[TEXT; 9]), [], "the prompt's reasoning has ended");
}

#[test]
fn forced_tokens_go_through_the_guard_and_it_strikes_once() {
    let turn = [&OPEN[..], &[TEXT; 5], &CLOSE, &[TEXT; 600], &[END], &OPEN, &[TEXT; 600]].concat();
    let mut guard = Guard::new(&guards(Some(5), Some(LoopLimits::default())), &[]);
    let struck: Vec<_> = turn.iter().filter_map(|&id| guard.push(id)).collect();
    assert_eq!(struck, spent(8, 5));
    assert_eq!(guard.reasoning_tokens(), 605);
}

#[test]
fn a_loop_does_not_reach_across_messages() {
    let message = [&OPEN[..], &[TEXT; 90], &[END]].concat();
    assert_eq!(reports(&guards(None, Some(LoopLimits::default())), &[], &message.repeat(8)), []);
    let longer = [&OPEN[..], &[TEXT; 255], &[END], &OPEN, &[TEXT; 256]].concat();
    let found = reports(&guards(Some(1000), Some(LoopLimits::default())), &[], &longer);
    let (at_token, reasoning_tokens) = (longer.len(), 255 + 256);
    assert_eq!(found, [GuardReport { kind: GuardKind::Loop, at_token, reasoning_tokens, period_tokens: Some(1) }]);
}
