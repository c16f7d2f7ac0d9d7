//! Days between dates, weekdays, and dates some days ahead. It must not know calls or messages.

use time::{Date, Duration, Month};

use super::Task;
use crate::draw::Draw;
use crate::skills::calendar::MONTHS;

pub(super) fn days_between(draw: &mut Draw, _today: Option<&str>) -> Task {
    let (first, last) = two_dates(draw);
    let style = draw.below(STYLES);
    let (spoken_first, spoken_last) = (spoken(first, style), spoken(last, style));
    let ask = match draw.below(5) {
        0 => format!("How many days are there from {spoken_first} to {spoken_last}?"),
        1 => format!("How many days are between {spoken_first} and {spoken_last}?"),
        2 => format!("Days from {spoken_first} to {spoken_last}"),
        3 => format!("I arrive on {spoken_first} and leave on {spoken_last}. How many days is that?"),
        _ => format!("Please count the days from {spoken_first} to {spoken_last}."),
    };
    between(ask, first, last, format!("From {first} to {last}: how many days?"))
}

/// Days from the date in the system message, if there is one.
pub(super) fn days_until(draw: &mut Draw, today: Option<&str>) -> Task {
    let Some(today) = today.and_then(parsed) else { return days_between(draw, None) };
    let last = today + Duration::days(draw.between(1, 400));
    let day = spoken(last, draw.below(STYLES));
    let ask = match draw.below(4) {
        0 => format!("How many days is it until {day}?"),
        1 => format!("How many days from today to {day}?"),
        2 => format!("How many days are left until {day}?"),
        _ => format!("My friend comes on {day}. In how many days is that?"),
    };
    between(ask, today, last, format!("Today is {today}. How many days to {last}?"))
}

fn between(ask: String, first: Date, last: Date, goal: String) -> Task {
    let output = (last - first).whole_days().to_string();
    Task {
        ask,
        goal,
        plan: "I take the first date away from the last date.".to_owned(),
        care: format!("{}, {}.", in_parts(first), in_parts(last)),
        code: format!("from datetime import date\nprint(({} - {}).days)", literal(last), literal(first)),
        answer: format!("There are {output} days from {first} to {last}."),
        says: format!(" {output} days"),
        output,
    }
}

pub(super) fn weekday(draw: &mut Draw, _today: Option<&str>) -> Task {
    let date = date(draw);
    let day = spoken(date, draw.below(STYLES));
    let output = date.weekday().to_string();
    let ask = match draw.below(6) {
        0 => format!("What day of the week is {day}?"),
        1 => format!("Which weekday is {day}?"),
        2 => format!("On what day of the week was my friend born? The date is {day}."),
        3 => format!("Tell me the weekday of {day}."),
        4 => format!("Is {day} a Monday or what day is it?"),
        _ => format!("weekday of {day}"),
    };
    Task {
        ask,
        goal: format!("The weekday of {date}."),
        plan: "I print the name of the day.".to_owned(),
        care: format!("{}.", in_parts(date)),
        code: format!("from datetime import date\nprint({}.strftime(\"%A\"))", literal(date)),
        answer: format!("{date} is a {output}."),
        says: output.clone(),
        output,
    }
}

pub(super) fn date_after(draw: &mut Draw, today: Option<&str>) -> Task {
    let from_today = today.and_then(parsed).filter(|_| draw.chance(30));
    let first = from_today.unwrap_or_else(|| date(draw));
    let day = spoken(first, draw.below(STYLES));
    let days = if draw.chance(70) { draw.between(2, 120) } else { draw.between(121, 1000) };
    let is_back = draw.chance(30);
    let (sign, word) = if is_back { ('-', "before") } else { ('+', "after") };
    let output = (first + Duration::days(if is_back { -days } else { days })).to_string();
    let ask = match (from_today.is_some(), draw.below(4)) {
        (true, 0..2) if is_back => format!("What date was it {days} days ago?"),
        (true, _) if is_back => format!("Which date was {days} days before today?"),
        (true, 0..2) => format!("What date is it in {days} days?"),
        (true, _) => format!("Which date is {days} days from today?"),
        (false, 0) => format!("What date is {days} days {word} {day}?"),
        (false, 1) => format!("Which date comes {days} days {word} {day}?"),
        (false, 2) => format!("{days} days {word} {day}"),
        (false, _) => format!("The day is {day}. What is the date {days} days {word} it?"),
    };
    let today = if from_today.is_some() { format!("Today is {first}. ") } else { String::new() };
    Task {
        ask,
        goal: format!("{today}{days} days {word} {first}."),
        plan: format!("I compute the date {sign} {days} days."),
        care: format!("{}.", in_parts(first)),
        code: format!("from datetime import date, timedelta\nprint({} {sign} timedelta(days={days}))", literal(first)),
        answer: format!("{days} days {word} {first} is {output}."),
        says: format!(" {output}."),
        output,
    }
}

fn date(draw: &mut Draw) -> Date {
    let days = draw.between(0, 365 * 60);
    Date::from_calendar_date(1980, Month::January, 1).expect("it is a date") + Duration::days(days)
}

/// Two dates, the second later.
fn two_dates(draw: &mut Draw) -> (Date, Date) {
    let first = date(draw);
    let days = if draw.chance(80) { draw.between(2, 400) } else { draw.between(401, 4000) };
    (first, first + Duration::days(days))
}

/// As Python code.
fn literal(date: Date) -> String {
    format!("date({}, {}, {})", date.year(), u8::from(date.month()), date.day())
}

fn in_parts(date: Date) -> String {
    format!("{date} is year {}, month {}, day {}", date.year(), u8::from(date.month()), date.day())
}

const STYLES: usize = 5;

/// As people write dates.
fn spoken(date: Date, style: usize) -> String {
    let (year, month, day) = (date.year(), MONTHS[usize::from(u8::from(date.month())) - 1], date.day());
    match style {
        0 => format!("{month} {day}, {year}"),
        1 => format!("{day} {month} {year}"),
        2 => format!("{month} {day} {year}"),
        _ => date.to_string(),
    }
}

fn parsed(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let year = parts.next()?.parse().ok()?;
    let month: u8 = parts.next()?.parse().ok()?;
    let day = parts.next()?.parse().ok()?;
    Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()
}
