//! Stories are read again: pronouns, names, sentences, and what the user asked for.

use std::collections::BTreeSet;

use corpus::Skill;

use super::{answer, between, items, thoughts, user};

fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[test]
fn pronouns_agree_with_the_hero() {
    for item in items(Skill::Story) {
        let thought = thoughts(&item).concat();
        let name = between(&thought, "Hero: ", ",").unwrap();
        let story = answer(&item);
        assert!(story.matches(name).count() >= 3, "{story}");
        let wrong: &[&str] =
            if name.ends_with(['a', 'e', 'i']) { &["he", "him", "his", "himself"] } else { &["her", "herself"] };
        let words = words(&story);
        assert!(!words.iter().any(|word| wrong.contains(&word.as_str()) && !is_grandmother(&story)), "{name}: {story}");
    }
}

/// A grandmother is "she" and "her" beside any hero.
fn is_grandmother(story: &str) -> bool {
    story.contains("grandmother")
}

#[test]
fn articles_fit_and_sentences_are_whole() {
    for item in items(Skill::Story) {
        let story = answer(&item);
        let words = words(&story);
        for pair in words.windows(2) {
            let vowel = pair[1].starts_with(['a', 'e', 'i', 'o', 'u']);
            assert!(!(pair[0] == "a" && vowel) || user(&item).contains(&format!("a {}", pair[1])), "{pair:?}: {story}");
            assert!(pair[0] != "an" || vowel, "{pair:?}: {story}");
            // Names may end one sentence and begin the next.
            assert!(pair[0] != pair[1] || !story.contains(&format!(" {0} {0}", pair[0])), "{pair:?}: {story}");
        }
        for paragraph in story.split("\n\n") {
            assert!(paragraph.starts_with(|letter: char| letter.is_uppercase() || letter == '"'), "{paragraph}");
            assert!(paragraph.ends_with(['.', '!', '"', '?']), "{paragraph}");
        }
        assert_eq!(story.matches('"').count() % 2, 0, "{story}");
    }
}

#[test]
fn the_thought_begins_with_what_the_user_wants() {
    let mut named = 0;
    for item in items(Skill::Story) {
        let thought = thoughts(&item).concat();
        let wanted = between(&thought, "Wanted: ", ". Topic: ").unwrap();
        let Some(about) = wanted.strip_prefix("a story ") else {
            assert_eq!(wanted, "any story");
            continue;
        };
        assert!(user(&item).to_lowercase().contains(&about.to_lowercase()), "{}: {thought}", user(&item));
        let topic = between(&thought, "Topic: ", ". Hero: ").unwrap();
        assert!(topic == "none" || about == format!("about {topic}"), "{thought}");
        assert_eq!(topic != "none", thought.contains(&format!("Wish: to find out about {topic}.")), "{thought}");
        named += 1;
    }
    assert!(named > 500, "{named}");
}

#[test]
fn the_plan_is_followed() {
    for item in items(Skill::Story) {
        let (thought, story) = (thoughts(&item).concat(), answer(&item).to_lowercase());
        let Some(helpers) = between(&thought, "Help: ", ". End") else { continue };
        for helper in helpers.split(", then ") {
            assert!(story.matches(helper).count() >= 2, "{helper}: {story}");
        }
    }
}

#[test]
fn stories_differ_and_are_as_long_as_asked() {
    let mut stories = BTreeSet::new();
    for item in items(Skill::Story) {
        let story = answer(&item);
        let count = words(&story).len();
        let asked = user(&item).to_lowercase();
        let (least, most) = match () {
            () if asked.contains("long story") || asked.contains("big story") => (200, 400),
            () if ["short story", "little story", "small story"].iter().any(|size| asked.contains(size)) => (90, 220),
            () => (120, 260),
        };
        assert!((least..=most).contains(&count), "{count}: {asked}\n{story}");
        stories.insert(story);
    }
    assert_eq!(stories.len() as u64, super::ITEMS);
}
