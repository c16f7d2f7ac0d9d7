//! To be written.

use harmony::Conversation;

use super::{effort, system};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

pub(super) fn draw(draw: &mut Draw) -> Item {
    let effort = effort(draw);
    let conversation = Conversation::default()
        .with_system(system(draw, effort))
        .with_user("Hello!")
        .with_assistant("analysis", "The user greets me.")
        .with_assistant("final", "Hello! How can I help?");
    Item { skill: Skill::Unknown, effort, conversation, checks: vec![Check::Says("Hello".to_owned())] }
}
