//! Forms that many applications have, with natural texts that fill them. In a text `{key}` is the value of a field; optional
//! fields without a place are not given. Data, and how a form of it is drawn.

use super::super::fields::{Field, Kind};
use super::super::wording::one;
use super::{Case, filled};
use crate::draw::Draw;

struct Form {
    names: &'static [&'static str],
    /// Keys and kinds; those after the bar of `required` may be absent.
    fields: &'static [(&'static str, Kind)],
    required: usize,
    texts: &'static [&'static str],
}

pub(super) fn case(draw: &mut Draw) -> Case {
    let form = one(draw, FORMS);
    let field = |(index, (key, kind)): (usize, &(&str, Kind))| Field {
        key: (*key).to_owned(),
        spoken: key.replace('_', " "),
        kind: kind.clone(),
        is_required: index < form.required,
        description: None,
    };
    let mut fields: Vec<Field> = form.fields.iter().enumerate().map(field).collect();
    if draw.chance(40) {
        for field in &mut fields {
            field.description = Some(format!("The {}.", field.spoken));
        }
    }
    if draw.chance(40) {
        draw.shuffle(&mut fields);
    }
    let name = draw.pick(form.names);
    filled(draw, name, fields, form.texts)
}

const DAYS: Kind = Kind::Choice(&["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]);

const FORMS: &[Form] = &[
    Form {
        names: &["person", "contact", "user"],
        fields: &[("name", Kind::Name), ("age", Kind::Integer(1, 99)), ("city", Kind::Place), ("job", Kind::Words)],
        required: 2,
        texts: &[
            "{name} is {age} years old and lives in {city}.",
            "My friend {name} from {city} is {age}.",
            "My name is {name}. I am {age} years old.",
            "I am {name}, {age}, and I live in {city}.",
            "We met {name} in {city} today. The job is \"{job}\", the age is {age}.",
            "{name} ({age})",
        ],
    },
    Form {
        names: &["order", "purchase", "cart"],
        fields: &[
            ("item", Kind::Name),
            ("count", Kind::Integer(1, 60)),
            ("price", Kind::Number),
            ("customer", Kind::Name),
        ],
        required: 2,
        texts: &[
            "I want {count} pieces of {item}.",
            "Please send me {count} {item} at {price} dollars.",
            "{customer} orders {count} {item} for {price} dollars each.",
            "An order of {customer}: {count} times {item}.",
            "We need {item}, {count} of them.",
        ],
    },
    Form {
        names: &["event", "meeting", "calendar_entry"],
        fields: &[("title", Kind::Words), ("day", DAYS), ("hour", Kind::Integer(7, 22)), ("people", Kind::Names)],
        required: 3,
        texts: &[
            "On {day} at {hour} o'clock we have \"{title}\".",
            "Let us do \"{title}\" on {day} at {hour} o'clock with {people}.",
            "The meeting \"{title}\" is on {day} at {hour} o'clock.",
            "Next {day}, {hour} o'clock: {title}.",
        ],
    },
    Form {
        names: &["book", "library_entry"],
        fields: &[
            ("title", Kind::Words),
            ("author", Kind::Name),
            ("year", Kind::Integer(1850, 2030)),
            ("pages", Kind::Integer(20, 900)),
        ],
        required: 2,
        texts: &[
            "I read \"{title}\" by {author}.",
            "The book \"{title}\" was written by {author} in {year}.",
            "{author} wrote \"{title}\" in {year}. It has {pages} pages.",
            "There is a new book by {author}: \"{title}\", {pages} pages.",
        ],
    },
    Form {
        names: &["weather", "weather_report"],
        fields: &[
            ("city", Kind::Place),
            ("temperature", Kind::Integer(-20, 40)),
            ("sky", Kind::Choice(&["sunny", "cloudy", "rainy", "windy"])),
        ],
        required: 3,
        texts: &[
            "It is {sky} in {city} and {temperature} degrees.",
            "In {city} we have {temperature} degrees today. It is {sky}.",
            "{city}: {sky}, {temperature} degrees.",
            "Today it is {temperature} degrees in {city}. The day is {sky}.",
        ],
    },
    Form {
        names: &["message", "mail", "ticket"],
        fields: &[("from", Kind::Name), ("to", Kind::Name), ("text", Kind::Words)],
        required: 3,
        texts: &[
            "{from} writes to {to}: \"{text}\"",
            "A message from {from} to {to} says \"{text}\".",
            "To {to}, from {from}: {text}",
            "{to} gets \"{text}\" from {from}.",
        ],
    },
    Form {
        names: &["trip", "flight", "ride"],
        fields: &[("start", Kind::Place), ("end", Kind::Place), ("day", DAYS), ("price", Kind::Integer(20, 900))],
        required: 2,
        texts: &[
            "I go from {start} to {end} on {day}.",
            "A ticket from {start} to {end} costs {price} dollars.",
            "We travel to {end}. We start in {start} on {day} and pay {price} dollars.",
            "From {start} to {end}",
        ],
    },
    Form {
        names: &["review", "opinion"],
        fields: &[("product", Kind::Name), ("opinion", Kind::Choice(&["good", "bad"])), ("stars", Kind::Integer(1, 5))],
        required: 3,
        texts: &[
            "The {product} is {opinion}. I give it {stars} stars.",
            "{stars} stars for {product}, it is {opinion}!",
            "I bought {product} and it is {opinion}: {stars} stars.",
            "What a {opinion} thing {product} is. {stars} of 5 stars.",
        ],
    },
];
