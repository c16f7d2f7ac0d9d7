//! Texts in sentences. They must not know which of their facts is asked for.

use super::{Fact, Text, amount, day, fact, hour, things};
use crate::draw::Draw;
use crate::skills::invented::{self, code};
use crate::skills::wording::fill;

const JOBS: [&str; 10] =
    ["teacher", "doctor", "baker", "driver", "farmer", "cook", "painter", "lawyer", "singer", "nurse"];

/// Two people with places, work and ages.
pub(super) fn people(draw: &mut Draw) -> Text {
    let [one, other, place, second, stranger] = invented::names(draw);
    let mut facts = vec![lives(&one, &place), lives(&other, &second)];
    for name in [&one, &other] {
        let age = draw.between(18, 90).to_string();
        let job = draw.pick(&JOBS);
        facts.push(fact(
            format!("{name} is {age} years old."),
            format!("how old {name} is"),
            asks(&["How old is {x}?", "What is the age of {x}?", "Tell me the age of {x}."], name),
            &age,
            format!("{name} is {age} years old."),
        ));
        facts.push(fact(
            format!("{name} works as a {job}."),
            format!("the work of {name}"),
            asks(&["What is the job of {x}?", "What does {x} do?", "What is the work of {x}?"], name),
            job,
            format!("{name} works as a {job}."),
        ));
    }
    let absent = match draw.below(3) {
        0 => (format!("Where does {stranger} live?"), format!("where {stranger} lives")),
        1 => (format!("How old is {stranger}?"), format!("how old {stranger} is")),
        _ => (format!("What is the phone number of {one}?"), format!("the phone number of {one}")),
    };
    Text { separator: " ", opening: None, facts, absent }
}

/// Who meets whom, when and where.
pub(super) fn appointment(draw: &mut Draw) -> Text {
    let [one, other, place] = invented::names(draw);
    let (day, hour, room) = (day(draw), hour(draw), code(draw));
    let topic = draw.pick(&["prices", "plans", "weather", "new house", "school", "garden", "money"]);
    let facts = vec![
        fact(
            format!("The meeting is on {day}."),
            "the day of the meeting".to_owned(),
            asks(&["When is the meeting?", "On which day is the meeting?", "What is the day of the meeting?"], ""),
            &day,
            format!("The meeting is on {day}."),
        ),
        fact(
            format!("It begins at {hour}."),
            "when the meeting begins".to_owned(),
            asks(&["At what time does the meeting begin?", "What time does it begin?", "When does it begin?"], ""),
            &hour,
            format!("It begins at {hour}."),
        ),
        fact(
            format!("It is held in room {room}."),
            "the room".to_owned(),
            asks(&["Which room is it?", "In which room is the meeting?", "What is the number of the room?"], ""),
            &room,
            format!("It is held in room {room}."),
        ),
        fact(
            format!("They will talk about the {topic}."),
            "what they talk about".to_owned(),
            asks(&["What is the meeting about?", "What will they talk about?", "What is the topic?"], ""),
            topic,
            format!("They will talk about the {topic}."),
        ),
    ];
    let absent = draw.pick(&["Who pays for the meeting?", "How long is the meeting?", "What will they eat?"]);
    let topic = match absent {
        "Who pays for the meeting?" => "who pays for the meeting",
        "How long is the meeting?" => "how long the meeting is",
        _ => "what they will eat",
    };
    let opening = Some(format!("{one} meets {other} in {place}."));
    Text { separator: " ", opening, facts, absent: (absent.to_owned(), topic.to_owned()) }
}

/// What was sent, by whom, to where.
pub(super) fn parcel(draw: &mut Draw) -> Text {
    let [from, to, place] = invented::names(draw);
    let (number, weight, day) = (code(draw), draw.between(1, 40).to_string(), day(draw));
    let color = draw.pick(&["red", "blue", "green", "white", "black", "brown", "yellow"]);
    let facts = vec![
        fact(
            format!("{from} sent a parcel to {to}."),
            "who sent the parcel".to_owned(),
            asks(&["Who sent the parcel?", "Who sent it?", "From whom is the parcel?"], ""),
            &from,
            format!("{from} sent the parcel."),
        ),
        fact(
            format!("The number of the parcel is {number}."),
            "the number of the parcel".to_owned(),
            asks(&["What is the number of the parcel?", "Which number does the parcel have?"], ""),
            &number,
            format!("The number of the parcel is {number}."),
        ),
        fact(
            format!("The parcel weighs {weight} pounds."),
            "how much the parcel weighs".to_owned(),
            asks(&["How heavy is the parcel?", "How much does it weigh?", "What is the weight?"], ""),
            &weight,
            format!("The parcel weighs {weight} pounds."),
        ),
        fact(
            format!("The box is {color}."),
            "the color of the box".to_owned(),
            asks(&["What color is the box?", "Which color does the box have?"], ""),
            color,
            format!("The box is {color}."),
        ),
        fact(
            format!("The parcel will reach {place} on {day}."),
            "when the parcel comes".to_owned(),
            asks(&["When will it come?", "When does the parcel reach {x}?", "On which day will it come?"], &place),
            &day,
            format!("The parcel will reach {place} on {day}."),
        ),
    ];
    let absent = ("What is inside the parcel?".to_owned(), "what is inside the parcel".to_owned());
    Text { separator: " ", opening: None, facts, absent }
}

/// Who brings or buys what.
pub(super) fn lists(draw: &mut Draw) -> Text {
    let [one, other, third, place] = invented::names(draw);
    let count = draw.between(2, 4) as usize;
    let bought = things(draw, count);
    let guests: Vec<String> = invented::names::<3>(draw).into();
    let price = amount(draw);
    let spoken = joined(&bought);
    let facts = vec![
        Fact {
            line: format!("{one} bought {spoken} in {place}."),
            topic: format!("what {one} bought"),
            asks: asks(&["What did {x} buy?", "List what {x} bought.", "Which things did {x} buy?"], &one),
            values: bought,
            answer: format!("{one} bought {spoken}."),
        },
        Fact {
            line: format!("The guests of {other} are {}.", joined(&guests)),
            topic: format!("the guests of {other}"),
            asks: asks(&["Who are the guests of {x}?", "List the guests of {x}.", "Name all guests of {x}."], &other),
            answer: format!("The guests of {other} are {}.", joined(&guests)),
            values: guests,
        },
        fact(
            format!("{one} paid {price} dollars."),
            format!("how much {one} paid"),
            asks(&["How much did {x} pay?", "What did {x} pay?", "What was the price?"], &one),
            &price,
            format!("{one} paid {price} dollars."),
        ),
    ];
    let absent = (format!("What did {third} buy?"), format!("what {third} bought"));
    Text { separator: " ", opening: None, facts, absent }
}

fn lives(name: &str, place: &str) -> Fact {
    fact(
        format!("{name} lives in {place}."),
        format!("where {name} lives"),
        asks(&["Where does {x} live?", "In which town does {x} live?", "What is the home of {x}?"], name),
        place,
        format!("{name} lives in {place}."),
    )
}

fn asks(frames: &[&str], subject: &str) -> Vec<String> {
    frames.iter().map(|frame| fill(frame, &[("x", subject)])).collect()
}

/// `a, b and c`.
fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
