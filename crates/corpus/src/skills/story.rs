//! Small stories: a hero with a wish sets out, meets trouble, is helped and gets there. What can happen is data: plots, troubles,
//! sentences for the way and endings; a new one is a few lines there. It must not hold a sentence of its own but the first.

use super::invented;
use super::turn::{Thought, Turn};
use super::unknown::topic;
use super::wording::{fill, said};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

mod cast;
mod telling;

/// What the story is to have, and what of it the user asked for.
struct Plan {
    name: String,
    /// With the manner, as in `little fox`.
    hero: String,
    place: String,
    plot: usize,
    /// The words that fill the plot.
    topic: String,
    length: Length,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Short,
    Medium,
    Long,
}

pub(super) fn draw(draw: &mut Draw) -> Item {
    let Request { user, about, plan, wanted } = request(draw);
    let told = telling::tell(draw, &plan);
    let Plan { name, hero, place, length, .. } = &plan;
    let article = cast::article(hero);
    // Said before the hero: else something that nobody knows is taken for one.
    let topic = if plan.topic.is_empty() { "none" } else { &plan.topic };
    let [she, ..] = cast::pronouns(name);
    let troubles = told.troubles.join(", then ");
    let helpers = told.helpers.join(", then the ");
    let (size, words_min) = match length {
        Length::Short => ("short", 70),
        Length::Medium => ("of middle length", 100),
        Length::Long => ("long", 160),
    };
    let mut checks = vec![Check::Prose { words_min }];
    checks.extend(wanted.into_iter().map(Check::Says));
    let turn = Turn {
        user,
        thought: Thought::new(
            format!("Wanted: {about}. Topic: {topic}. Hero: {name}, {article} {hero}, {place}. Wish: {}.", told.wish),
            format!("Trouble: {troubles}. Help: the {helpers}. End: happy."),
            format!(
                "The story is {size}. {name} is \"{she}\". First home and the wish, then the way, the trouble, the help \
                     and the end."
            ),
        ),
        answer: told.text,
        checks,
    };
    turn.item(Skill::Story, draw)
}

/// The user's wish, the plan that grants it, and what the story has to hold.
struct Request {
    user: String,
    /// What the user asked for, as a thought names it.
    about: String,
    plan: Plan,
    wanted: Vec<String>,
}

fn request(draw: &mut Draw) -> Request {
    let length = [Length::Short, Length::Medium, Length::Medium, Length::Long][draw.below(4)];
    let kind = draw.pick(&cast::HEROES).to_owned();
    let mut plan = Plan {
        name: cast::own_name(draw),
        hero: format!("{} {kind}", draw.pick(&cast::MANNERS)),
        place: draw.pick(&cast::PLACES).to_owned(),
        plot: draw.below(telling::TOPIC),
        topic: String::new(),
        length,
    };
    let story = match length {
        Length::Short => draw.pick(&["short story", "very short story", "little story", "small story"]),
        Length::Medium => "story",
        Length::Long => draw.pick(&["long story", "very long story", "big story"]),
    };
    let (about, wanted) = match draw.weighted(&[13, 20, 14, 13, 12, 28]) {
        0 => (String::new(), Vec::new()),
        1 => (format!("about {} {kind}", cast::article(&kind)), vec![kind]),
        2 => {
            plan.name = cast::given_name(draw);
            (format!("about {} {kind} called {}", cast::article(&kind), plan.name), vec![kind, plan.name.clone()])
        }
        3 => {
            plan.name = cast::given_name(draw);
            (format!("about {}", plan.name), vec![plan.name.clone()])
        }
        4 => {
            let bare = format!("in {}", invented::name(draw));
            plan.place = if draw.chance(50) { bare } else { plan.place };
            (format!("about {} {kind} {}", cast::article(&kind), plan.place), vec![kind, plan.place.clone()])
        }
        _ => {
            plan.plot = telling::TOPIC;
            plan.topic = wondrous(draw);
            (format!("about {}", plan.topic), vec![plan.topic.clone()])
        }
    };
    let frame = draw.pick(&[
        "Tell me a {story} {about}.",
        "Tell a {story} {about}.",
        "Write a {story} {about}.",
        "Please tell me a {story} {about}.",
        "Can you tell me a {story} {about}?",
        "I want to hear a {story} {about}.",
        "Make up a {story} {about}.",
        "Write me a {story} {about} for my child.",
        "a {story} {about}, please",
        "{story} {about}",
    ]);
    let user = fill(frame, &[("story", story), ("about", &about)]).replace("  ", " ").replace(" .", ".");
    let user = user.replace(" ?", "?").replace(" ,", ",");
    let about = if about.is_empty() { "any story".to_owned() } else { format!("a story {about}") };
    Request { user: said(draw, user.trim_end()), about, plan, wanted }
}

/// Anything that a story can be asked to be about.
fn wondrous(draw: &mut Draw) -> String {
    match draw.below(4) {
        0 => format!("a {}", invented::word(draw)),
        1 => format!("the {}", draw.pick(&["moon", "sun", "sea", "stars", "night", "winter", "rain", "king", "clock"])),
        2 => draw
            .pick(&["friendship", "love", "snow", "music", "courage", "trains", "a lost key", "a birthday"])
            .to_owned(),
        _ => topic(draw),
    }
}
