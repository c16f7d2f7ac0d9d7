//! Streams: repeatable, in the mixture's proportions, and with prompts that training never sees.

use std::collections::{BTreeMap, HashSet};

use corpus::{Mixture, Skill, Split, Stream, is_held_out};
use harmony::{Conversation, ReasoningEffort, Role, SystemContent};

#[test]
fn an_item_is_the_same_in_any_order() {
    let stream = Stream::new(7, Split::Train, Mixture::default());
    let forwards: Vec<_> = (0..40).map(|index| stream.item(index)).collect();
    let again = Stream::new(7, Split::Train, Mixture::default());
    for index in (0..40).rev() {
        assert_eq!(again.item(index), forwards[index as usize]);
    }
    let other = Stream::new(8, Split::Train, Mixture::default());
    assert!((0..40).any(|index| other.item(index) != forwards[index as usize]));
}

#[test]
fn a_stream_may_begin_with_another_mixture() {
    let usual = || Mixture::default().with([(Skill::Chat, 0)]).unwrap();
    let early = || Mixture::only(Skill::Copying).with([(Skill::Chat, 1)]).unwrap();
    let is_early = |skill| matches!(skill, Skill::Copying | Skill::Chat);
    for split in [Split::Train, Split::HeldOut] {
        let [ordinary, first] = [usual(), early()].map(|mixture| Stream::new(7, split, mixture));
        let stream = ordinary.clone().beginning_with(40, early());
        for index in (0..40).rev() {
            assert_eq!(stream.item(index), first.item(index), "{index}");
        }
        for index in (40..80).chain([1_000_000, u64::MAX]) {
            assert_eq!(stream.item(index), ordinary.item(index), "{index}");
        }
        let skills = |range: std::ops::Range<u64>| range.map(|index| stream.item(index).skill).collect::<Vec<_>>();
        assert!(skills(0..40).into_iter().all(is_early));
        assert!(skills(40..80).contains(&Skill::Functions) && !skills(40..80).contains(&Skill::Chat));
        let none = ordinary.clone().beginning_with(0, early());
        assert!((0..20).all(|index| none.item(index) == ordinary.item(index)), "no items of another mixture");
    }
}

#[test]
fn held_out_prompts_never_occur_in_training() {
    for skill in Skill::ALL {
        let prompts = |split| {
            let stream = Stream::new(3, split, Mixture::only(skill));
            (0..60).map(|index| stream.item(index)).inspect(|item| assert_eq!(item.skill, skill)).collect::<Vec<_>>()
        };
        let (seen, unseen) = (prompts(Split::Train), prompts(Split::HeldOut));
        if skill.holds_prompts_out() {
            assert!(seen.iter().all(|item| !is_held_out(&item.conversation)), "{skill}");
            assert!(unseen.iter().all(|item| is_held_out(&item.conversation)), "{skill}");
        }
        assert_ne!(seen, unseen, "{skill}");
    }
}

#[test]
fn date_and_effort_do_not_move_a_prompt_over_the_line() {
    let mut held_out = 0;
    for number in 0..640 {
        let asked = |effort, date: &str| {
            let system = SystemContent::default().with_reasoning_effort(effort).with_date(date);
            let conversation = Conversation::default().with_system(system).with_user(format!("What is {number} + 1?"));
            is_held_out(&conversation.with_assistant("final", date))
        };
        let first = asked(ReasoningEffort::Low, "2025-01-01");
        assert_eq!(asked(ReasoningEffort::High, "2031-12-31"), first);
        held_out += usize::from(first);
    }
    // A 32nd of 640 is 20, with a standard deviation of 4.4.
    assert!((5..=38).contains(&held_out), "{held_out}");
}

#[test]
fn the_line_is_where_it_was() {
    // These stand for every prompt there is: a line that moves would put held-out prompts into the training of models that
    // are measured on them.
    let asked = |text: &str| Conversation::default().with_user(text);
    let held_out: Vec<usize> = (0..100).filter(|number| is_held_out(&asked(&format!("Number {number}")))).collect();
    assert_eq!(held_out, [69, 76, 99]);
}

#[test]
fn skills_come_as_often_as_the_mixture_says() {
    let stream = Stream::new(1, Split::Train, Mixture::default());
    let mut found = BTreeMap::<Skill, usize>::new();
    for index in 0..2_000 {
        *found.entry(stream.item(index).skill).or_default() += 1;
    }
    let total: usize = Skill::ALL.into_iter().map(|skill| Mixture::default().weight(skill)).sum();
    for skill in Skill::ALL {
        let expected = 2_000.0 * Mixture::default().weight(skill) as f64 / total as f64;
        let found = found.get(&skill).copied().unwrap_or_default() as f64;
        assert!((found - expected).abs() < 5.0 * expected.sqrt(), "{skill}: {found} of {expected}");
    }
}

#[test]
fn a_recipe_names_what_it_changes() {
    let recipe: Mixture = serde_json::from_str(r#"{"story": 0, "chat": 40}"#).unwrap();
    assert_eq!((recipe.weight(Skill::Story), recipe.weight(Skill::Chat)), (0, 40));
    assert_eq!(recipe.weight(Skill::Manual), Mixture::default().weight(Skill::Manual));
    let printed = serde_json::to_string(&recipe).unwrap();
    assert_eq!(serde_json::from_str::<Mixture>(&printed).unwrap(), recipe);
    let unknown = serde_json::from_str::<Mixture>(r#"{"storey": 1}"#).unwrap_err().to_string();
    assert!(unknown.contains("storey"), "{unknown}");
    let nothing = Mixture::only(Skill::Chat).with([(Skill::Chat, 0)]).unwrap_err().to_string();
    assert!(nothing.contains("weight"), "{nothing}");
    let large = Mixture::default().with([(Skill::Chat, 1_000_001)]).unwrap_err().to_string();
    assert!(large.contains("1000001") && large.contains("chat"), "{large}");
}

#[test]
fn every_skill_has_a_name_of_its_own() {
    let names: HashSet<&str> = Skill::ALL.into_iter().map(Skill::name).collect();
    assert_eq!(names.len(), Skill::ALL.len());
    for (index, skill) in Skill::ALL.into_iter().enumerate() {
        assert_eq!(skill as usize, index);
        assert_eq!(skill.name().parse::<Skill>().unwrap(), skill);
        assert_eq!(serde_json::to_string(&skill).unwrap(), format!("{:?}", skill.name()));
    }
    assert!("juggling".parse::<Skill>().unwrap_err().to_string().contains("juggling"));
}

#[test]
fn a_turn_answers_its_last_question() {
    let stream = Stream::new(2, Split::HeldOut, Mixture::default());
    for index in 0..300 {
        let item = stream.item(index);
        let roles: Vec<Role> = item.conversation.messages.iter().map(|message| message.author.role).collect();
        assert_eq!(roles.first(), Some(&Role::System), "{item:?}");
        assert_eq!(roles.last(), Some(&Role::Assistant), "{item:?}");
        assert!(roles.contains(&Role::User) && !item.checks.is_empty(), "{item:?}");
    }
}
