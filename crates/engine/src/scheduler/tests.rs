//! What every plan must keep, for random views, and who gets what in the cases that the prose names.

use super::{Budget, Row, View, plan};

const BUDGET: Budget = Budget { alone: 512, shared: 64, rows: 48 };

fn reading(number: u64, unread: usize) -> View {
    View { number, place: number, unread, is_generating: false, drafts: 0, unlogged: None }
}

fn generating(number: u64) -> View {
    View { is_generating: true, ..reading(number, 1) }
}

fn row(number: u64, tokens: usize) -> Row {
    Row { number, tokens, drafts: 0 }
}

#[test]
fn whoever_generates_gets_its_token_and_prompts_share_the_rest() {
    assert_eq!(plan(&[reading(1, 2000)], BUDGET), [row(1, 512)]);
    assert_eq!(plan(&[generating(1), reading(2, 2000), generating(3)], BUDGET), [row(1, 1), row(2, 64), row(3, 1)]);
    assert_eq!(plan(&[View { drafts: 5, ..generating(1) }], BUDGET), [Row { number: 1, tokens: 1, drafts: 5 }]);
    assert!(plan(&[], BUDGET).is_empty());
}

#[test]
fn a_short_question_slips_past_a_long_document_and_does_not_starve_it() {
    let found = plan(&[reading(1, 9000), reading(2, 8000), reading(3, 100), reading(4, 30)], BUDGET);
    assert_eq!(found, [row(1, 256), row(2, 126), row(3, 100), row(4, 30)]);
    // Nobody else needs it: the eldest has all.
    assert_eq!(plan(&[reading(1, 9000), reading(2, 12)], BUDGET), [row(1, 500), row(2, 12)]);
    // The eldest is who has the lowest place, whatever its number.
    let late = View { place: 0, ..reading(9, 9000) };
    assert_eq!(plan(&[reading(1, 9000), late], BUDGET), [row(9, 512)]);
    assert_eq!(plan(&[reading(1, 300), late], BUDGET), [row(9, 256), row(1, 256)]);
}

#[test]
fn prompts_that_want_rows_of_logits_share_them() {
    let logged = |number, before| View { unlogged: Some(before), ..reading(number, 2000) };
    assert_eq!(plan(&[logged(1, 0)], BUDGET), [row(1, 49)]);
    assert_eq!(plan(&[logged(1, 0), reading(2, 2000), logged(3, 0)], BUDGET), [row(1, 25), row(2, 462), row(3, 25)]);
    assert_eq!(plan(&[logged(1, 300)], BUDGET), [row(1, 300)], "what was told already is read as any prompt");
    let drafting = View { drafts: 40, ..generating(2) };
    assert_eq!(plan(&[logged(1, 0), drafting], BUDGET), [row(1, 9), Row { number: 2, tokens: 1, drafts: 40 }]);
}

#[test]
fn equal_prompts_are_read_in_their_order() {
    let views: Vec<View> = (0..8).map(|number| reading(number, 100)).collect();
    let found = plan(&views, BUDGET);
    assert_eq!(found.iter().map(|row| row.tokens).collect::<Vec<_>>(), [100, 100, 100, 100, 100, 12]);
}

#[test]
fn random_views() {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..20_000 {
        let budget =
            Budget { alone: random(600) as usize, shared: random(100) as usize, rows: 36 + random(30) as usize };
        let views: Vec<View> = (0..random(12))
            .map(|number| {
                let is_generating = random(2) == 0;
                let unread = if is_generating { 1 } else { 1 + random(1000) as usize };
                let unlogged = (!is_generating && random(3) == 0).then(|| (random(2) * random(2000)) as usize);
                View { number, place: random(9), unread, is_generating, drafts: random(4) as usize, unlogged }
            })
            .collect();
        let rows = plan(&views, budget);
        let view = |row: &Row| views.iter().find(|view| view.number == row.number).expect("it was asked about");
        let prompts: Vec<&Row> = rows.iter().filter(|row| !view(row).is_generating).collect();
        let most = if views.iter().any(|view| view.is_generating) { budget.shared } else { budget.alone }.max(1);
        let read: usize = prompts.iter().map(|row| row.tokens).sum();
        let drafts: usize = views.iter().map(|view| view.drafts).sum();
        let logged = views.iter().filter(|view| view.unlogged == Some(0)).count();
        let readable = |view: &View| match view.unlogged {
            None => view.unread,
            Some(0) => view.unread.min(1 + (budget.rows - drafts) / logged),
            Some(before) => view.unread.min(before),
        };
        let unread: usize = views.iter().filter(|view| !view.is_generating).map(readable).sum();
        assert_eq!(read, most.min(unread), "the budget is used up, and no more");
        assert!(rows.iter().all(|row| row.tokens >= 1 && row.tokens <= readable(view(row))));
        let logits = |row: &Row| if view(row).unlogged == Some(0) { row.tokens } else { 1 + row.drafts };
        assert!(rows.iter().map(logits).sum::<usize>() <= views.len() + budget.rows, "rows of logits have a bound");
        assert!(rows.is_sorted_by_key(|row| (view(row).place, row.number)));
        let streams = views.iter().filter(|view| view.is_generating).count();
        assert_eq!(rows.len() - prompts.len(), streams, "every stream flows");
        let eldest = views.iter().filter(|view| !view.is_generating).min_by_key(|view| (view.place, view.number));
        if let Some(eldest) = eldest {
            let share = rows.iter().find(|row| row.number == eldest.number).map_or(0, |row| row.tokens);
            assert!(share >= readable(eldest).min(most.div_ceil(2)), "the eldest is read");
        }
    }
}
