//! Who is computed in the next step, and how many of its tokens. Pure: views in, rows out. It must not know models, memory, time or
//! tokens.
//!
//! There are no phases. Every sequence has some tokens that were not computed yet; one that is generating has the one it chose last,
//! or a few that were forced upon it. Who generates gets all of them in every step, so that streams flow; the budget is for
//! prompts. Of prompts the eldest gets at least half of that, so that it is read however many come after; the rest goes to those with the least left to
//! read, so that a short question need not wait for a long document. Where a prompt's own log probabilities are wanted, each of its tokens takes a
//! row of logits, of which a step holds only so many: such prompts share those evenly, and are read in smaller parts.

/// What the planner sees of a running sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Names it in the plan.
    pub(crate) number: u64,
    /// Lower goes first.
    pub(crate) place: u64,
    /// Tokens that were not computed yet; at least one.
    pub(crate) unread: usize,
    /// Whether its prompt has been read.
    pub(crate) is_generating: bool,
    /// Tokens on trial that follow its unread ones while it is generating.
    pub(crate) drafts: usize,
    /// Where its prompt's own log probabilities are wanted: how many unread tokens come before the first that needs a row for that.
    pub(crate) unlogged: Option<usize>,
}

/// A sequence's part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) number: u64,
    /// Of its unread tokens the first so many.
    pub(crate) tokens: usize,
    /// Tokens on trial after those.
    pub(crate) drafts: usize,
}

/// Most tokens of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Prompt tokens while nobody generates.
    pub(crate) alone: usize,
    /// Prompt tokens while somebody does.
    pub(crate) shared: usize,
    /// Rows of logits beyond one of each sequence.
    pub(crate) rows: usize,
}

/// The next step: rows in the order of the sequences' places.
pub(crate) fn plan(views: &[View], budget: Budget) -> Vec<Row> {
    let mut order: Vec<&View> = views.iter().collect();
    order.sort_by_key(|view| (view.place, view.number));
    let shared = order.iter().any(|view| view.is_generating);
    let mut left = if shared { budget.shared } else { budget.alone }.max(1);
    let mut tokens: Vec<usize> = order.iter().map(|view| if view.is_generating { view.unread } else { 0 }).collect();
    let readable = readable(&order, budget.rows);
    let mut readers: Vec<usize> = (0..order.len()).filter(|&index| !order[index].is_generating).collect();
    if let Some(&eldest) = readers.first() {
        let others: usize = readers[1..].iter().map(|&index| readable[index]).sum();
        let share = left.div_ceil(2).max(left.saturating_sub(others)).min(readable[eldest]);
        tokens[eldest] = share;
        left -= share;
    }
    // The eldest is the first of equals, and has what its share left.
    readers.sort_by_key(|&index| readable[index] - tokens[index]);
    for index in readers {
        let more = left.min(readable[index] - tokens[index]);
        tokens[index] += more;
        left -= more;
    }
    let rows = order.iter().zip(tokens).filter(|&(_, tokens)| tokens > 0);
    rows.map(|(view, tokens)| Row {
        number: view.number,
        tokens,
        drafts: if view.is_generating { view.drafts } else { 0 },
    })
    .collect()
}

/// How many tokens of each can be in one step, where so many rows of logits may be held beyond one of each.
fn readable(order: &[&View], rows: usize) -> Vec<usize> {
    let drafts: usize = order.iter().map(|view| view.drafts).sum();
    let logged = order.iter().filter(|view| view.unlogged == Some(0)).count();
    let share = 1 + rows.saturating_sub(drafts) / logged.max(1);
    let most = |view: &View| match view.unlogged {
        None => view.unread,
        Some(0) => view.unread.min(share),
        Some(before) => view.unread.min(before),
    };
    order.iter().map(|view| most(view)).collect()
}

#[cfg(test)]
mod tests;
