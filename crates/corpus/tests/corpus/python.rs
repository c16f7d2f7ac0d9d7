//! What the `python` tool returns is what its code computes, by a reading of the code that shares nothing with the corpus.

use corpus::Skill;
use harmony::{Message, Role};

use crate::drawn::{answer, asked, assert_effort_shows, calls, items, last_turn, numbers};

/// Days since 1970-01-01 by the proleptic Gregorian calendar: years that begin in March make the leap day the last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

fn date_text(days: i64) -> String {
    let years = 1900..2100;
    let year = years.rev().find(|&year| days_of(year, 1, 1) <= days).unwrap();
    let month = (1..=12).rev().find(|&month| days_of(year, month, 1) <= days).unwrap();
    format!("{year:04}-{month:02}-{:02}", days - days_of(year, month, 1) + 1)
}

/// Arithmetic with the usual precedence; the value, and whether Python would have an int.
fn evaluated(text: &str) -> (f64, bool) {
    // The last sign outside brackets that binds least splits the expression.
    for signs in [['+', '-'], ['*', '/']] {
        let mut depth = 0;
        for (place, character) in text.char_indices().rev() {
            match character {
                ')' => depth += 1,
                '(' => depth -= 1,
                sign if depth == 0 && place > 1 && signs.contains(&sign) && text[..place].ends_with(' ') => {
                    let ((left, left_whole), (right, right_whole)) =
                        (evaluated(text[..place].trim()), evaluated(text[place + 1..].trim()));
                    let whole = left_whole && right_whole && sign != '/';
                    let value = match sign {
                        '+' => left + right,
                        '-' => left - right,
                        '*' => left * right,
                        _ => left / right,
                    };
                    return (value, whole);
                }
                _ => {}
            }
        }
    }
    match text.strip_prefix('(') {
        Some(inner) => evaluated(inner.strip_suffix(')').unwrap()),
        None => (text.parse().unwrap(), !text.contains('.')),
    }
}

/// What the code prints.
fn printed(code: &str) -> String {
    let line = code.lines().last().unwrap().strip_prefix("print(").unwrap().strip_suffix(')').unwrap();
    let parts = numbers(line);
    if line.ends_with(".days") {
        return (days_of(parts[0], parts[1], parts[2]) - days_of(parts[3], parts[4], parts[5])).to_string();
    }
    if line.ends_with("strftime(\"%A\")") {
        let names = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
        return names[days_of(parts[0], parts[1], parts[2]).rem_euclid(7) as usize].to_owned();
    }
    if line.contains("timedelta") {
        let sign = if line.contains("+ timedelta") { 1 } else { -1 };
        return date_text(days_of(parts[0], parts[1], parts[2]) + sign * parts[3]);
    }
    let Some(rounded) = line.strip_prefix("round(").map(|rest| rest.strip_suffix(", 2)").unwrap()) else {
        let (value, whole) = evaluated(line);
        assert!(whole, "{code}");
        return format!("{value}");
    };
    let value = match code.lines().next().unwrap().strip_prefix("numbers = ") {
        Some(list) => {
            let values = numbers(list);
            values.iter().sum::<i64>() as f64 / values.len() as f64
        }
        None => evaluated(rounded).0,
    };
    let text = format!("{value:.2}");
    let text = text.strip_suffix('0').map_or(text.clone(), str::to_owned);
    if text == "-0.0" { "-0.0".to_owned() } else { text }
}

#[test]
fn the_reader_of_dates_knows_its_calendar() {
    assert_eq!((days_of(1970, 1, 1), days_of(2000, 2, 29), days_of(2000, 3, 1)), (0, 11_016, 11_017));
    assert_eq!(date_text(11_016), "2000-02-29");
    assert_eq!(evaluated("(5 - 2) * 3 / 2 + 1"), (5.5, false));
}

#[test]
fn the_tool_returns_what_the_code_prints_and_the_answer_says_it() {
    let mut seen = 0;
    for item in items(Skill::Python, 4_000).chain(items(Skill::Preamble, 2_000)) {
        let calls = calls(&item.conversation);
        let Some(call) = calls.first().filter(|call| call.recipient.as_deref() == Some("python")) else { continue };
        assert_eq!(calls.len(), 1);
        let of_tool = |message: &&Message| message.author.role == Role::Tool;
        let result = last_turn(&item.conversation).iter().find(of_tool).unwrap().text();
        let result = result.trim_end_matches('\n');
        assert_eq!(printed(&call.text()), result, "{}", call.text());
        assert!(answer(&item.conversation).unwrap().contains(result), "{item:?}");
        seen += 1;
    }
    assert!(seen > 3_000, "{seen}");
}

#[test]
fn numbers_of_the_question_reach_the_code() {
    for item in items(Skill::Python, 2_000) {
        let Some(call) = calls(&item.conversation).first().map(|call| numbers(&call.text())) else { continue };
        let question = asked(&item.conversation);
        for number in numbers(&question) {
            assert!(call.contains(&number), "{question}: {call:?}");
        }
    }
}

#[test]
fn easy_questions_are_answered_without_a_call() {
    let direct = items(Skill::Python, 2_000).filter(|item| calls(&item.conversation).is_empty()).count();
    assert!((100..400).contains(&direct), "{direct}");
}

#[test]
fn effort_shows() {
    assert_effort_shows(Skill::Python);
}
