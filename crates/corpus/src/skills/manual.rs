//! Questions that are looked up with `browser.search` and `browser.open` and answered with a citation: about Glossa's manual, and
//! about invented things, so that the model must read. It must not know how a display looks.

use harmony::{Conversation, DeveloperContent, ReasoningEffort, ToolNamespace};
use serde_json::json;

use super::browsing::{Place, call_with, found, page, result, results_page, walked};
use super::turn::{Thought, Turn};
use super::wording::{fill, said};
use super::{effort, facts, invented, system};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

mod pages;

/// What is looked up, and where it is found.
struct Search {
    user: String,
    /// What the user asks about, as a thought names it.
    topic: String,
    query: String,
    source: String,
    /// Titles of the results, and words beside them.
    links: Vec<(String, String)>,
    /// The result that is opened.
    id: usize,
    /// Whether its title fits; else it is opened because it comes first.
    fits: bool,
    lines: Vec<String>,
    /// The line that answers, and what of it must be said; none if the page holds no answer.
    found: Option<(usize, String)>,
}

pub(super) fn draw(draw: &mut Draw) -> Item {
    let search = match draw.weighted(&[44, 38, 6, 6, 6]) {
        0 => real(draw),
        1 => made_up(draw, true),
        2 => made_up(draw, false),
        3 => real_without_answer(draw),
        _ => return direct(draw),
    };
    item(draw, search)
}

/// A question about Glossa, what it is about, and the line of the manual that answers.
pub(super) fn known(draw: &mut Draw) -> (&'static str, String, &'static str) {
    let question = pages::question(draw);
    (question.ask, question.page.title.to_lowercase(), &question.page.lines[question.line])
}

/// A question about Glossa, whose page is among the results.
fn real(draw: &mut Draw) -> Search {
    let question = pages::question(draw);
    let page = question.page;
    let mut others: Vec<&pages::Page> = pages::all().iter().filter(|other| other.slug != page.slug).collect();
    draw.shuffle(&mut others);
    others.truncate(draw.between(1, 3) as usize);
    others.push(page);
    draw.shuffle(&mut others);
    let id = others.iter().position(|other| other.slug == page.slug).expect("the page is among the results");
    let with_words = draw.chance(30);
    let links = others
        .iter()
        .map(|other| (other.title.clone(), if with_words { other.lines[0].clone() } else { String::new() }))
        .collect();
    let answer = page.lines[question.line].clone();
    let mut lines = page.lines.clone();
    if draw.chance(50) {
        draw.shuffle(&mut lines);
    }
    let place = lines.iter().position(|line| *line == answer).expect("the page holds its line");
    let frame = draw.pick(&["{ask}", "{ask}", "{ask}", "{ask} Look in the manual.", "What does the manual say: {ask}"]);
    let user = said(draw, &fill(frame, &[("ask", question.ask)]));
    Search {
        user,
        query: format!("Glossa: {}", page.title),
        topic: page.title.clone(),
        source: "manual".to_owned(),
        links,
        id,
        fits: true,
        lines,
        found: Some((place, answer)),
    }
}

/// A question about Glossa that the manual does not answer.
fn real_without_answer(draw: &mut Draw) -> Search {
    let name = invented::name(draw);
    let ask = draw.pick(&[
        "Does Glossa work with {name}?",
        "How do I use {name} with Glossa?",
        "What does the option --{name} do?",
        "Can Glossa load a {name} file?",
        "Where do I find {name} in Glossa?",
    ]);
    let name = if ask.contains("--") { name.to_lowercase() } else { name };
    let mut pages: Vec<&pages::Page> = pages::all().iter().collect();
    draw.shuffle(&mut pages);
    pages.truncate(draw.between(2, 3) as usize);
    Search {
        user: fill(ask, &[("name", &name)]),
        query: format!("Glossa: {name}"),
        topic: name,
        source: "manual".to_owned(),
        links: pages.iter().map(|page| (page.title.clone(), String::new())).collect(),
        id: 0,
        fits: false,
        lines: pages[0].lines.clone(),
        found: None,
    }
}

/// A question about an invented thing.
fn made_up(draw: &mut Draw, is_found: bool) -> Search {
    let count = draw.between(2, 4) as usize;
    let mut things: Vec<String> = invented::names::<4>(draw).into();
    things.truncate(count);
    let id = draw.below(count);
    let thing = &things[id];
    let known = draw.between(3, 7) as usize;
    let known = facts::about(draw, thing, known);
    let place = draw.below(known.len());
    let missing = facts::absent(draw, thing, &known);
    let asked = if is_found { &known[place] } else { &missing };
    let frame =
        draw.pick(&["{ask}", "{ask}", "{ask} Look it up.", "{ask} Please search for it.", "Use the browser: {ask}"]);
    let user = said(draw, &fill(frame, &[("ask", &asked.ask)]));
    let words = draw.pick(&["", "", "All about {x}.", "A page about {x}.", "Facts and numbers of {x}."]);
    let title = draw.pick(&["{x}", "{x}", "About {x}", "{x} in short"]);
    let links = things.iter().map(|x| (fill(title, &[("x", x)]), fill(words, &[("x", x)]))).collect();
    Search {
        user,
        topic: format!("the {}", asked.topic),
        query: format!("{thing} {}", asked.attribute),
        source: if draw.chance(50) { "manual".to_owned() } else { format!("{}.com", invented::word(draw)) },
        links,
        id,
        fits: true,
        found: is_found.then(|| (place, asked.value.clone())),
        lines: known.into_iter().map(|fact| fact.line).collect(),
    }
}

/// The tool is there, but the question needs none.
fn direct(draw: &mut Draw) -> Item {
    let small = super::chat::small(draw);
    let effort = effort(draw);
    let thought = Thought::new(
        format!("I know this without a search. It is about {}.", small.topic),
        small.because,
        format!("So the answer is: {}.", small.word),
    );
    let turn = Turn {
        user: said(draw, &small.question),
        thought,
        answer: small.sentence,
        checks: vec![Check::SameCalls, Check::Says(small.word)],
    };
    let conversation = Conversation::default()
        .with_system(system(draw, effort).with_tools(ToolNamespace::browser()))
        .with_user(turn.user)
        .with_assistant("analysis", turn.thought.at(effort))
        .with_assistant("final", turn.answer);
    Item { skill: Skill::Manual, effort, conversation, checks: turn.checks }
}

fn item(draw: &mut Draw, search: Search) -> Item {
    let effort = effort(draw);
    let cursor = if draw.chance(60) { 0 } else { draw.below(12) };
    let (title, _) = &search.links[search.id];
    let url = format!("https://{}/{}", search.source, title.to_lowercase().replace(' ', "-"));
    let shown = page(draw, cursor + 1, title, &url, &search.lines);
    let mut conversation =
        Conversation::default().with_system(system(draw, effort).with_tools(ToolNamespace::browser()));
    if draw.chance(20) {
        let instructions =
            draw.pick(&["Cite your sources.", "Use the browser.", "Be brief.", "Answer from the manual."]);
        conversation = conversation.with_developer(DeveloperContent::default().with_instructions(instructions));
    }
    let conversation = conversation
        .with_user(&*search.user)
        .with_assistant("analysis", before_search(&search).at(effort))
        .with_message(call_with("browser.search", &json!({"query": search.query})))
        .with_message(result("browser.search", results_page(cursor, &search.query, &search.source, &search.links)))
        .with_assistant("analysis", before_opening(&search).at(effort))
        .with_message(call_with("browser.open", &json!({"cursor": cursor, "id": search.id})))
        .with_message(result("browser.open", shown.text));
    let Some((place, said)) = &search.found else {
        return without_answer(conversation, effort, &search);
    };
    let (line, place) = (&search.lines[*place], shown.places[*place]);
    let conversation = conversation
        .with_assistant("analysis", before_answer(line, place).at(effort))
        .with_assistant("final", format!("{line}{}", place.citation()));
    let checks = vec![Check::SameCalls, Check::Says(said.clone()), Check::Cites(line.clone())];
    Item { skill: Skill::Manual, effort, conversation, checks }
}

fn without_answer(conversation: Conversation, effort: ReasoningEffort, search: &Search) -> Item {
    let thought = Thought::new(
        "No line fits.",
        format!("The page does not say anything about {}.", search.topic),
        "I should not make something up, so I say that I did not find it and cite nothing.",
    );
    let answer = format!("I'm sorry, I did not find {}.", search.topic);
    let conversation = conversation.with_assistant("analysis", thought.at(effort)).with_assistant("final", &answer);
    Item { skill: Skill::Manual, effort, conversation, checks: vec![Check::SameCalls, Check::Is(answer)] }
}

fn before_search(search: &Search) -> Thought {
    Thought::new(
        "I look it up.",
        format!("The user asks about {}.", search.topic),
        "I search for it, open the page that fits and cite the line.",
    )
}

fn before_opening(search: &Search) -> Thought {
    let id = search.id;
    let why = if search.fits {
        format!("So I open link {id}.")
    } else {
        format!("So I try link {id}, because it comes first.")
    };
    Thought::new(walked(&search.links, id, search.fits), why, "Then I look for the line that answers.")
}

fn before_answer(line: &str, place: Place) -> Thought {
    Thought::new(found(line, place), "This is what the user asked for.", "I copy it and cite the display and the line.")
}
