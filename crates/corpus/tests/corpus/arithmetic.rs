//! Sums and the like are right, in the answer and in every line of the way to it.

use corpus::{Check, Skill};
use harmony::ReasoningEffort;

use crate::drawn::{answer, asked, assert_effort_shows, items, numbers, thought};

/// The value of `7 x 3`, `2 - 8 - 1` or `347 + 285`, from left to right.
fn value(expression: &str) -> i64 {
    let mut words = expression.split(' ');
    let mut value: i64 = words.next().unwrap().parse().unwrap();
    while let Some(sign) = words.next() {
        let operand: i64 = words.next().unwrap().parse().unwrap();
        match sign {
            "+" => value += operand,
            "-" => value -= operand,
            "x" => value *= operand,
            "/" => {
                assert_eq!(value % operand, 0, "{expression}");
                value /= operand;
            }
            _ => panic!("{expression}"),
        }
    }
    value
}

/// The equations of a thought: what stands around each ` = ` up to a comma, a colon or the end of a sentence.
fn equations(text: &str) -> Vec<(String, i64)> {
    let pieces = text.split([',', ':', '.', '\n']).map(|piece| piece.trim().trim_start_matches("So "));
    let equations = pieces.filter_map(|piece| piece.split_once(" = "));
    equations
        .filter(|(left, _)| left.contains(' ') && !left.contains('?'))
        .map(|(left, right)| (left.to_owned(), right.parse().unwrap()))
        .collect()
}

#[test]
fn every_equation_holds() {
    let mut seen = 0;
    for item in items(Skill::Arithmetic, 4_000) {
        for (left, right) in equations(&thought(&item.conversation)) {
            assert_eq!(value(&left), right, "{left} = {right} in {item:?}");
            seen += 1;
        }
    }
    assert!(seen > 15_000, "{seen}");
}

#[test]
fn the_answer_follows_from_the_numbers_of_the_question() {
    for item in items(Skill::Arithmetic, 4_000) {
        let (question, answer) = (asked(&item.conversation), answer(&item.conversation).unwrap());
        if answer.contains("too long") {
            continue;
        }
        let thought = thought(&item.conversation);
        let (expression, result) = equations(&thought).pop().unwrap();
        let mut operands = numbers(&expression);
        let mut given = numbers(&question);
        operands.sort_unstable();
        given.sort_unstable();
        assert_eq!(operands, given, "{question}: {expression}");
        // The sign agrees with the question where the question has one.
        for (sign, words) in [
            ('+', [" + ", " plus ", "sum"]),
            ('-', [" - ", " minus ", "away from"]),
            ('x', [" x ", " times ", "ultiply"]),
            ('/', [" / ", " divided ", "ivide "]),
        ] {
            if words.iter().any(|word| question.contains(word)) {
                assert!(expression.contains(sign), "{question}: {expression}");
            }
        }
        assert!(answer.contains(&format!(" {result}")), "{question}: {answer}");
        let Check::Says(says) = &item.checks[0] else { panic!("{:?}", item.checks) };
        assert!(answer.contains(says.as_str()) && says.contains(&result.to_string()), "{answer}: {says}");
    }
}

#[test]
fn digits_are_named_and_gathered() {
    for item in items(Skill::Arithmetic, 2_000).filter(|item| item.effort != ReasoningEffort::Low) {
        let thought = thought(&item.conversation);
        let mut gathered = None;
        for line in thought.lines() {
            if let Some((number, digits)) = line.split_once(": hundreds ") {
                let parts = numbers(digits);
                assert_eq!(number.parse::<i64>().unwrap(), 100 * parts[0] + 10 * parts[1] + parts[2], "{line}");
            }
            if let Some(digits) = line.strip_prefix("Digits: ") {
                gathered = digits.replace([' ', '.'], "").parse::<i64>().ok();
                assert!(gathered.is_some(), "{line}");
            }
            if let Some(equation) = line.strip_prefix("So ") {
                let result: i64 = equation.split_once(" = ").unwrap().1.trim_end_matches('.').parse().unwrap();
                if let Some(gathered) = gathered {
                    assert_eq!(gathered, result.abs(), "{thought}");
                }
            }
        }
    }
}

#[test]
fn three_digits_are_usual_and_differences_may_be_below_nothing() {
    let sums: Vec<Vec<i64>> = items(Skill::Arithmetic, 3_000)
        .filter(|item| asked(&item.conversation).contains(" + "))
        .map(|item| numbers(&asked(&item.conversation)))
        .collect();
    let long = sums.iter().flatten().filter(|operand| **operand > 99).count();
    let all = sums.iter().flatten().count();
    assert!((40..70).contains(&(100 * long / all)), "{long} of {all}");
    let below = items(Skill::Arithmetic, 3_000).filter(|item| answer(&item.conversation).unwrap().contains(" -"));
    assert!(below.count() > 30);
}

#[test]
fn only_numbers_of_more_than_three_digits_are_too_long() {
    let mut seen = 0;
    for item in items(Skill::Arithmetic, 4_000) {
        let is_long = numbers(&asked(&item.conversation)).iter().any(|number| *number > 999);
        assert_eq!(answer(&item.conversation).unwrap().contains("too long"), is_long);
        seen += usize::from(is_long);
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn effort_shows() {
    assert_effort_shows(Skill::Arithmetic);
}
