//! Questions that need no code though the tool is there. It must not know the tasks.

use harmony::{Conversation, ReasoningEffort};

use super::super::wording::{one, said};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

/// A question, its answer, and the part of the answer that counts.
const FACTS: [(&str, &str, &str); 20] = [
    ("How many days does a week have?", "A week has 7 days.", "7"),
    ("How many months are in a year?", "A year has 12 months.", "12"),
    ("How many hours does a day have?", "A day has 24 hours.", "24"),
    ("How many minutes are in an hour?", "An hour has 60 minutes.", "60"),
    ("How many seconds does a minute have?", "A minute has 60 seconds.", "60"),
    ("How many meters are in a km?", "A km has 1000 meters.", "1000"),
    ("How many cm does a meter have?", "A meter has 100 cm.", "100"),
    ("How many grams are in a kg?", "A kg has 1000 grams.", "1000"),
    ("Which day comes after Monday?", "Tuesday comes after Monday.", "Tuesday"),
    ("Which day comes before Sunday?", "Saturday comes before Sunday.", "Saturday"),
    ("Which month comes after May?", "June comes after May.", "June"),
    ("What is the first month of the year?", "The first month is January.", "January"),
    ("What is the last month of the year?", "The last month is December.", "December"),
    ("Which is longer, a mile or a km?", "A mile is longer than a km.", "A mile"),
    ("Which is more, a pound or a kg?", "A kg is more than a pound.", "A kg"),
    ("Hello!", "Hello! How can I help you?", "Hello"),
    ("Hi", "Hello! How can I help you?", "Hello"),
    ("Thank you!", "You are welcome!", "welcome"),
    ("Can you work with dates?", "Yes, I can compute with dates. What do you need?", "Yes"),
    ("Can you convert miles to km?", "Yes, I can convert miles to km. How many miles?", "Yes"),
];

/// The last turn, without a call.
pub(super) fn item(draw: &mut Draw, effort: ReasoningEffort, conversation: Conversation) -> Item {
    let (ask, answer, says) = if draw.chance(40) { small_sum(draw) } else { fact(draw) };
    let low = "This is easy, I need no python.";
    let thought = match effort {
        ReasoningEffort::Low => low.to_owned(),
        ReasoningEffort::Medium => format!("{low} I know the answer."),
        ReasoningEffort::High => format!("{low} I know the answer. There is nothing to compute, so I answer at once."),
    };
    let conversation =
        conversation.with_user(said(draw, &ask)).with_assistant("analysis", thought).with_assistant("final", answer);
    Item { skill: Skill::Python, effort, conversation, checks: vec![Check::SameCalls, Check::Says(says)] }
}

/// An earlier exchange without a call.
pub(super) fn exchange(draw: &mut Draw) -> (String, String) {
    let (ask, answer, _) = fact(draw);
    (said(draw, &ask), answer)
}

fn fact(draw: &mut Draw) -> (String, String, String) {
    let (ask, answer, says) = one(draw, &FACTS);
    ((*ask).to_owned(), (*answer).to_owned(), (*says).to_owned())
}

fn small_sum(draw: &mut Draw) -> (String, String, String) {
    let (a, b) = (draw.between(1, 9), draw.between(1, 9));
    let ask = match draw.below(4) {
        0 => format!("What is {a} + {b}?"),
        1 => format!("{a} + {b}"),
        2 => format!("How much is {a} plus {b}?"),
        _ => format!("Add {a} and {b}."),
    };
    (ask, format!("{a} + {b} = {}.", a + b), format!(" {}.", a + b))
}
