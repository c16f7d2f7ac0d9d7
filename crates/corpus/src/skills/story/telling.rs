//! A plan told as text: sentences are picked from the data, filled and put into paragraphs. It must not know what was asked.

use std::sync::LazyLock;

use super::{Length, Plan, cast};
use crate::draw::Draw;
use crate::skills::invented::capitalized;
use crate::skills::wording::fill;

/// The plot that is about anything at all, the last one.
pub(super) const TOPIC: usize = 6;

/// A story and what happens in it, for the plan.
pub(super) struct Told {
    pub(super) text: String,
    pub(super) wish: String,
    pub(super) troubles: Vec<String>,
    pub(super) helpers: Vec<&'static str>,
}

/// A part of a story: its lines by their first word, each with its variants.
type Part = Vec<(&'static str, Vec<&'static str>)>;

static PLOTS: LazyLock<Vec<Part>> = LazyLock::new(|| parts(include_str!("plots.txt")));
static TROUBLES: LazyLock<Vec<Part>> = LazyLock::new(|| parts(include_str!("troubles.txt")));
static WAYS: LazyLock<Vec<&str>> = LazyLock::new(|| sentences(include_str!("ways.txt")));
static ENDINGS: LazyLock<Vec<&str>> = LazyLock::new(|| sentences(include_str!("endings.txt")));

/// What a helper and a hero say; no sentence of one meeting stands in the other.
const MEETINGS: [[&[&str]; 5]; 2] = [
    [
        &["Just then {a} {h} came by.", "Luckily, {a} {h} was near.", "Then {he} heard the voice of {a} {h}."],
        &["\"Why are you so sad?\" asked the {h}.", "\"Can I help you?\" asked the {h}."],
        &["\"I don't know how to go on,\" said {N}.", "\"I need help,\" {he} answered."],
        &["\"Come with me,\" said the {h}.", "\"I know what to do,\" said the {h}."],
        &["\"Thank you!\" said {N}.", "\"You are a true friend,\" said {N}."],
    ],
    [
        &["But {he} was lucky again, for {a} {h} lived close by.", "Soon {a} {h} looked out from behind a bush."],
        &["\"You look tired, little one,\" the {h} said to {him}.", "\"What are you doing here?\" asked the {h}."],
        &["{N} told the whole story.", "{N} pointed at the way and told everything."],
        &["\"That is easy,\" said the {h}.", "\"Wait, I will show you something,\" said the {h}."],
        &["{N} thanked the {h} with all {his} heart.", "{N} gave the {h} {his} last apple."],
    ],
];

pub(super) fn tell(draw: &mut Draw, plan: &Plan) -> Told {
    let mut teller = Teller::new(draw, plan);
    let plot = &PLOTS[plan.plot];
    let (troubles, ways) = match plan.length {
        Length::Short => (1, 0),
        Length::Medium => (1, 2),
        Length::Long => (2, 3),
    };
    let mut order: Vec<usize> = (0..TROUBLES.len()).collect();
    draw.shuffle(&mut order);
    let mut helpers = cast::HELPERS;
    draw.shuffle(&mut helpers);
    let mut walks: Vec<usize> = (0..WAYS.len()).collect();
    draw.shuffle(&mut walks);

    let mut home = vec![teller.opening(draw)];
    home.extend(teller.told(draw, plot, "home"));
    let mut paragraphs = vec![home];
    let mut names = Vec::new();
    for meeting in 0..troubles {
        let trouble = &TROUBLES[order[meeting]];
        names.push(teller.first(trouble, "name"));
        teller.helper = helpers[meeting];
        let mut walked: Vec<usize> = walks.drain(..ways).collect();
        walked.sort_unstable();
        let mut way: Vec<String> = walked.into_iter().map(|walk| teller.filled(WAYS[walk])).collect();
        way.extend(teller.told(draw, trouble, "meet"));
        way.extend(teller.told(draw, trouble, "stuck"));
        paragraphs.push(way);
        let mut help: Vec<String> =
            MEETINGS[meeting].iter().take(4).map(|said| teller.filled(draw.pick(said))).collect();
        help.extend(teller.told(draw, trouble, "solve"));
        help.push(teller.filled(draw.pick(MEETINGS[meeting][4])));
        paragraphs.push(help);
    }
    let mut end = teller.told(draw, plot, "reach");
    if plan.length != Length::Short {
        end.extend(teller.told(draw, plot, "close"));
    }
    end.push(teller.filled(draw.pick(&ENDINGS)));
    paragraphs.push(end);
    let text = paragraphs.iter().map(|paragraph| paragraph.join(" ")).collect::<Vec<_>>().join("\n\n");
    Told { text, wish: teller.first(plot, "wish"), troubles: names, helpers: helpers[..troubles].to_vec() }
}

/// The words that stay the same through a story.
struct Teller<'a> {
    plan: &'a Plan,
    helper: &'static str,
    values: Vec<(&'static str, String)>,
}

impl<'a> Teller<'a> {
    fn new(draw: &mut Draw, plan: &'a Plan) -> Self {
        let [he, him, his, himself] = cast::pronouns(&plan.name);
        let other = loop {
            let other = draw.pick(&cast::HEROES);
            if !plan.hero.ends_with(other) {
                break other;
            }
        };
        // Nobody sets out to see what is at home.
        let sight = loop {
            let sight = draw.pick(&cast::SIGHTS);
            if sight.rsplit(' ').next().is_some_and(|word| !plan.place.contains(word)) {
                break sight;
            }
        };
        let values = vec![
            ("N", plan.name.clone()),
            ("he", he.to_owned()),
            ("him", him.to_owned()),
            ("his", his.to_owned()),
            ("himself", himself.to_owned()),
            ("He", capitalized(he)),
            ("His", capitalized(his)),
            ("thing", draw.pick(&cast::THINGS).to_owned()),
            ("color", draw.pick(&cast::COLORS).to_owned()),
            ("sight", sight.to_owned()),
            ("gift", draw.pick(&cast::GIFTS).to_owned()),
            ("skill", draw.pick(&cast::SKILLS).to_owned()),
            ("other", other.to_owned()),
            ("topic", plan.topic.clone()),
        ];
        Self { plan, helper: "", values }
    }

    fn opening(&self, draw: &mut Draw) -> String {
        let Plan { name, hero, place, .. } = self.plan;
        let article = cast::article(hero);
        match draw.below(3) {
            0 => format!("Once upon a time, {article} {hero} called {name} lived {place}."),
            1 => format!("There once was {article} {hero} called {name} who lived {place}."),
            _ => format!("Long ago, {place}, lived {article} {hero}. {} name was {name}.", self.his()),
        }
    }

    fn his(&self) -> String {
        capitalized(cast::pronouns(&self.plan.name)[2])
    }

    /// One variant of each line that starts with the word.
    fn told(&self, draw: &mut Draw, part: &Part, word: &str) -> Vec<String> {
        let lines = part.iter().filter(|(first, _)| *first == word);
        lines.map(|(_, variants)| self.filled(draw.pick(variants))).collect()
    }

    /// The only variant of the only line that starts with the word.
    fn first(&self, part: &Part, word: &str) -> String {
        let line = part.iter().find(|(first, _)| *first == word);
        self.filled(line.expect("each part has a line for the plan").1[0])
    }

    fn filled(&self, sentence: &str) -> String {
        let mut values: Vec<(&str, &str)> = self.values.iter().map(|(key, value)| (*key, value.as_str())).collect();
        values.extend([("h", self.helper), ("a", cast::article(self.helper))]);
        fill(sentence, &values)
    }
}

fn parts(text: &'static str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for line in sentences(text) {
        if line.starts_with('[') {
            parts.push(Part::new());
            continue;
        }
        let (word, variants) = line.split_once(' ').expect("a line has a word and a text");
        let part = parts.last_mut().expect("a part opens with its name");
        part.push((word, variants.split(" | ").collect()));
    }
    parts
}

fn sentences(text: &'static str) -> Vec<&'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}
