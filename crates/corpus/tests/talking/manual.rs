//! The display is read again from its text: links, lines, cursors; and the manual again from its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use corpus::{Item, Skill};
use harmony::Message;
use serde_json::Value;

use super::{answer, between, items, results, thoughts, user};

fn calls(item: &Item) -> Vec<(String, Value)> {
    let calls = item.conversation.messages.iter().filter(|message| message.content_type.is_some());
    calls.map(|call: &Message| (call.recipient.clone().unwrap(), serde_json::from_str(&call.text()).unwrap())).collect()
}

fn cursor(display: &str) -> u64 {
    between(display, "[", "]").unwrap().parse().unwrap()
}

/// Lines by number, without list marks.
fn lines(display: &str) -> BTreeMap<u64, String> {
    let numbered = display.lines().filter_map(|line| line.strip_prefix('L')?.split_once(": "));
    numbered.map(|(number, text)| (number.parse().unwrap(), text.trim_start_matches("  * ").to_owned())).collect()
}

#[test]
fn a_search_is_followed_by_the_link_that_it_showed() {
    let mut ids = BTreeSet::new();
    for item in items(Skill::Manual) {
        let calls = calls(&item);
        if calls.is_empty() {
            assert!(!answer(&item).contains('【'));
            continue;
        }
        let results = results(&item);
        let [(search, query), (open, link)] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!((search.as_str(), open.as_str()), ("browser.search", "browser.open"));
        assert_eq!(query.as_object().unwrap().keys().collect::<Vec<_>>(), ["query"]);
        assert!(results[0].starts_with(&format!("[{}] {}\n", cursor(&results[0]), query["query"].as_str().unwrap())));
        assert_eq!(link["cursor"], cursor(&results[0]));
        assert_eq!(cursor(&results[1]), cursor(&results[0]) + 1);
        let id = link["id"].as_u64().unwrap();
        let title = between(&results[0], &format!("【{id}†"), "†").unwrap();
        assert!(results[1].starts_with(&format!("[{}] {title} (", cursor(&results[1]))));
        let thought = &thoughts(&item)[1];
        // Titles as the list has them, each refused until one fits.
        let fits = thought.contains(": yes.");
        let steps: Vec<&str> = thought.split_inclusive(['.', '\n']).filter(|step| step.contains('†')).collect();
        for (number, step) in steps.iter().enumerate() {
            let title = between(&results[0], &format!("【{number}†"), "†").unwrap();
            let verdict = if fits && number as u64 == id { "yes" } else { "no" };
            assert_eq!(step.trim(), format!("{number}†{title}: {verdict}."), "{thought}");
        }
        let tried = if fits { id as usize + 1 } else { results[0].matches('【').count() };
        assert_eq!(steps.len(), tried, "{thought}");
        assert!(fits || id == 0, "{thought}");
        ids.insert(id);
    }
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_citation_names_the_only_line_that_answers() {
    let (mut cited, mut places) = (0, BTreeSet::new());
    for item in items(Skill::Manual) {
        let answer = answer(&item);
        let Some(citation) = between(&answer, "【", "】") else { continue };
        let (display, place) = citation.split_once("†L").unwrap();
        let page = &results(&item)[1];
        assert_eq!(display.parse::<u64>().unwrap(), cursor(page));
        let lines = lines(page);
        let line = &lines[&place.parse().unwrap()];
        assert_eq!(answer.split('【').next().unwrap(), line);
        let number: u64 = place.parse().unwrap();
        let is_last = page.lines().last().unwrap().starts_with(&format!("L{number}: "));
        let next = if is_last { "It is the last.".to_owned() } else { format!("L{} is next.", number + 1) };
        let found = format!("It says: {line} {next} That is L{place} of [{display}].");
        assert!(thoughts(&item)[2].starts_with(&found), "{:?}", thoughts(&item));
        assert_eq!(lines.values().filter(|other| *other == line).count(), 1);
        cited += 1;
        places.insert(place.to_owned());
        // An invented fact is told as "The port of Torvik is 8204."; the question names both.
        let query = calls(&item)[0].1["query"].as_str().unwrap().to_owned();
        if let Some((thing, attribute)) = query.split_once(' ').filter(|_| !query.starts_with("Glossa: ")) {
            assert!(line.starts_with(&format!("The {attribute} of {thing} is ")), "{line}");
            assert!(user(&item).contains(attribute) && user(&item).contains(thing));
        }
    }
    assert!(cited > 2_000 && places.len() > 10, "{cited} {places:?}");
}

#[test]
fn what_is_not_on_the_page_is_not_found() {
    let mut missing = 0;
    for item in items(Skill::Manual) {
        let Some(topic) = between(&answer(&item), "I did not find ", ".").map(str::to_owned) else { continue };
        let page = &results(&item)[1];
        assert!(lines(page).values().all(|line| !line.to_lowercase().contains(&topic.to_lowercase())), "{page}");
        missing += 1;
    }
    assert!(missing > 200);
}

#[test]
fn every_line_of_the_manual_is_asked_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manual");
    let mut left = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(path).unwrap();
            let lines: Vec<&str> = text.lines().skip(1).filter(|line| !line.is_empty()).collect();
            assert!((3..=9).contains(&lines.len()) && lines.iter().all(|line| line.len() <= 80), "{text}");
            left.extend(lines.into_iter().map(str::to_owned));
        }
    }
    assert!(left.len() > 70);
    for item in items(Skill::Manual) {
        left.remove(answer(&item).split('【').next().unwrap());
    }
    assert!(left.is_empty(), "{left:?}");
}
