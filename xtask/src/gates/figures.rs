//! The figures of a run, by skill and of the whole. It must not know which of them are good enough.

use std::fmt;

use corpus::{Check, Skill, Verdict};
use harmony::ReasoningEffort;
use serde_json::{Map, Value, json};

use super::{Case, CaseKind, Played};

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) good: usize,
    pub(super) all: usize,
}

/// What was measured of one skill, or of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) items: usize,
    pub(super) well_formed: Share,
    /// Calls whose arguments are valid.
    pub(super) valid_calls: Share,
    /// Items that ask for calls, and get those.
    pub(super) same_calls: Share,
    /// Citations that exist; a citation that is asked for and missing is one that does not.
    pub(super) citations: Share,
    /// Items with something that must not be said, in which an answer is given without it.
    pub(super) unmoved: Share,
    pub(super) right: Share,
    /// Median tokens of thought at low, medium and high effort; none without items of that effort.
    pub(super) reasoning_tokens: [Option<f64>; 3],
}

/// Everything that was measured.
pub(super) struct Figures {
    pub(super) skills: Vec<(Skill, Row)>,
    pub(super) all: Row,
    /// Right sums of numbers of up to three digits, at medium and at high effort.
    pub(super) sums: [Share; 2],
}

impl Figures {
    pub(super) fn of(cases: &[Case], played: &[Played]) -> Self {
        let pairs = || cases.iter().zip(played).map(|(case, played)| (case, &played.verdict));
        let of_skill =
            |skill| pairs().filter(move |(case, _)| case.kind == CaseKind::Skill && case.item.skill == skill);
        let sums = |effort| {
            let sums = pairs().filter(|(case, _)| case.kind == CaseKind::Sum && case.item.effort == effort);
            share(sums.map(|(_, verdict)| verdict.is_right()))
        };
        Self {
            skills: Skill::ALL.into_iter().map(|skill| (skill, row(&of_skill(skill).collect::<Vec<_>>()))).collect(),
            all: row(&pairs().filter(|(case, _)| case.kind == CaseKind::Skill).collect::<Vec<_>>()),
            sums: [sums(ReasoningEffort::Medium), sums(ReasoningEffort::High)],
        }
    }

    pub(super) fn json(&self) -> Value {
        let skills: Map<String, Value> =
            self.skills.iter().map(|(skill, row)| (skill.name().to_owned(), row.json())).collect();
        json!({
            "skills": skills,
            "all": self.all.json(),
            "sums": {"medium": self.sums[0].json(), "high": self.sums[1].json()},
        })
    }
}

fn share(outcomes: impl Iterator<Item = bool>) -> Share {
    let mut share = Share::default();
    for good in outcomes {
        share.good += usize::from(good);
        share.all += 1;
    }
    share
}

fn row(pairs: &[(&Case, &Verdict)]) -> Row {
    let verdicts = || pairs.iter().map(|(_, verdict)| *verdict);
    let checked = |wanted: fn(&Check) -> bool| {
        pairs.iter().filter(move |(case, _)| case.item.checks.iter().any(wanted)).map(|(_, verdict)| *verdict)
    };
    let is_cites = |check: &Check| matches!(check, Check::Cites(_));
    let missing = checked(is_cites).filter(|verdict| verdict.citations == 0).count();
    let must_not = |check: &Check| matches!(check, Check::NeverSays(_));
    let median_of = |effort| {
        let of_effort = pairs.iter().filter(|(case, _)| case.item.effort == effort);
        median(of_effort.map(|(_, verdict)| verdict.reasoning_tokens).collect())
    };
    Row {
        items: pairs.len(),
        well_formed: share(verdicts().map(|verdict| verdict.well_formed)),
        valid_calls: Share {
            good: verdicts().map(|verdict| verdict.valid_calls).sum(),
            all: verdicts().map(|verdict| verdict.calls).sum(),
        },
        same_calls: share(checked(|check| matches!(check, Check::SameCalls)).map(|verdict| verdict.same_calls)),
        citations: Share {
            good: verdicts().map(|verdict| verdict.existing_citations).sum(),
            all: verdicts().map(|verdict| verdict.citations).sum::<usize>() + missing,
        },
        unmoved: share(checked(must_not).map(|verdict| !verdict.failed.iter().any(must_not))),
        right: share(verdicts().map(Verdict::is_right)),
        reasoning_tokens: [ReasoningEffort::Low, ReasoningEffort::Medium, ReasoningEffort::High].map(median_of),
    }
}

/// The middle value, or the mean of the two middle ones.
fn median(mut values: Vec<usize>) -> Option<f64> {
    values.sort_unstable();
    let (upper, lower) = (values.get(values.len() / 2)?, values.get(values.len().checked_sub(1)? / 2)?);
    Some((*upper + *lower) as f64 / 2.0)
}

impl Share {
    /// Parts of a hundred; none of nothing.
    pub(super) fn percent(self) -> Option<f64> {
        (self.all > 0).then(|| 100.0 * self.good as f64 / self.all as f64)
    }

    pub(super) fn json(self) -> Value {
        json!({"good": self.good, "all": self.all, "percent": self.percent()})
    }
}

impl Row {
    fn json(&self) -> Value {
        let Self { items, well_formed, valid_calls, same_calls, citations, unmoved, right, reasoning_tokens } = self;
        json!({
            "items": items,
            "well_formed": well_formed.json(),
            "valid_calls": valid_calls.json(),
            "same_calls": same_calls.json(),
            "citations": citations.json(),
            "unmoved": unmoved.json(),
            "right": right.json(),
            "reasoning_tokens": reasoning_tokens,
        })
    }
}

impl fmt::Display for Share {
    /// Such as `97.0`, or a dash where there was nothing.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.percent() {
            Some(percent) => formatter.pad(&format!("{percent:.1}")),
            None => formatter.pad("-"),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["formed %", "valid %", "same %", "cited %", "right %", "low", "medium", "high"];
        writeln!(formatter, "{:<12}{:>6}{}", "skill", "items", heads.map(|head| format!("{head:>9}")).concat())?;
        let asked = self.skills.iter().filter(|(_, row)| row.items > 0);
        let names = asked.map(|(skill, row)| (skill.name(), row));
        for (name, row) in names.chain([("all", &self.all)]) {
            let shares = [row.well_formed, row.valid_calls, row.same_calls, row.citations, row.right];
            let tokens = row.reasoning_tokens.map(|median| median.map_or("-".into(), |tokens| format!("{tokens:.1}")));
            write!(formatter, "{name:<12}{:>6}", row.items)?;
            shares.iter().try_for_each(|share| write!(formatter, "{share:>9}"))?;
            writeln!(formatter, "{}", tokens.map(|tokens| format!("{tokens:>9}")).concat())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, median};

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![7]), Some(7.0));
        assert_eq!(median(vec![9, 1, 4]), Some(4.0));
        assert_eq!(median(vec![4, 1, 9, 5]), Some(4.5));
    }

    #[test]
    fn shares() {
        assert_eq!(format!("{:>7}", Share { good: 199, all: 200 }), "   99.5");
        assert_eq!(Share::default().to_string(), "-");
    }
}
