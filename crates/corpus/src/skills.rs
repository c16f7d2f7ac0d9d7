//! One file per skill, each with one function that draws an item. They must not know how items are rendered or judged.

mod arithmetic;
mod browsing;
mod calendar;
mod chat;
mod copying;
mod extraction;
mod facts;
mod fields;
mod functions;
mod hierarchy;
mod identity;
mod injection;
mod invented;
mod manual;
mod preamble;
mod python;
mod recall;
mod refusal;
mod story;
mod structured;
mod summary;
mod turn;
mod unknown;
mod wording;

use harmony::{ReasoningEffort, SystemContent};

use crate::draw::Draw;
use crate::item::{Item, Skill};

/// Draws an item of a skill.
pub(crate) fn draw(skill: Skill, draw: &mut Draw) -> Item {
    match skill {
        Skill::Arithmetic => arithmetic::draw(draw),
        Skill::Python => python::draw(draw),
        Skill::Manual => manual::draw(draw),
        Skill::Functions => functions::draw(draw),
        Skill::Structured => structured::draw(draw),
        Skill::Extraction => extraction::draw(draw),
        Skill::Summary => summary::draw(draw),
        Skill::Recall => recall::draw(draw),
        Skill::Hierarchy => hierarchy::draw(draw),
        Skill::Injection => injection::draw(draw),
        Skill::Unknown => unknown::draw(draw),
        Skill::Identity => identity::draw(draw),
        Skill::Refusal => refusal::draw(draw),
        Skill::Chat => chat::draw(draw),
        Skill::Preamble => preamble::draw(draw),
        Skill::Story => story::draw(draw),
        Skill::Copying => copying::draw(draw),
    }
}

/// The three efforts, equally often.
pub(crate) fn effort(draw: &mut Draw) -> ReasoningEffort {
    [ReasoningEffort::Low, ReasoningEffort::Medium, ReasoningEffort::High][draw.below(3)]
}

/// The system message that Glossa sends: its words are the release's; the date varies, and is left out now and then.
pub(crate) fn system(draw: &mut Draw, effort: ReasoningEffort) -> SystemContent {
    let system = SystemContent::default().with_reasoning_effort(effort);
    if draw.chance(10) {
        return system;
    }
    let (year, month, day) = (draw.between(2024, 2032), draw.between(1, 12), draw.between(1, 28));
    system.with_date(format!("{year}-{month:02}-{day:02}"))
}
