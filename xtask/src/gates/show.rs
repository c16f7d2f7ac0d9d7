//! What the model got wrong, to read.

use corpus::Skill;
use harmony::{AnalysisPolicy, Conversation, RenderOptions, Renderer, Role, Vocabulary};

use super::{Case, CaseKind, Played};
use crate::error::Result;

/// Prints up to `most` failures of each skill: the conversation, the item's own turn, the model's.
pub(super) fn failures(vocabulary: &Vocabulary, cases: &[Case], played: &[Played], most: usize) -> Result<()> {
    let options = RenderOptions { analysis: AnalysisPolicy::Keep, ..RenderOptions::default() };
    let renderer = Renderer::new(vocabulary)?.with_options(options);
    for skill in Skill::ALL {
        let of_skill =
            cases.iter().zip(played).filter(|(case, _)| case.kind == CaseKind::Skill && case.item.skill == skill);
        for (case, played) in of_skill.filter(|(_, played)| !played.verdict.is_right()).take(most) {
            println!("======== {skill}, {} effort", case.item.effort);
            println!("{}", conversation(vocabulary, &renderer, case)?);
            println!("-------- the model:\n{}", played.said);
            println!("-------- {:?}\n", played.verdict);
        }
    }
    Ok(())
}

/// The item's text without the system message, which is the same in all, a line to each message.
fn conversation(vocabulary: &Vocabulary, renderer: &Renderer, case: &Case) -> Result<String> {
    let messages = case.item.conversation.messages.iter().filter(|message| message.author.role != Role::System);
    let conversation = Conversation::from(messages.cloned().collect::<Vec<_>>());
    Ok(vocabulary
        .decode(&renderer.render_for_training(&conversation)?)
        .replace("<|start|>", "\n<|start|>")
        .trim()
        .to_owned())
}
