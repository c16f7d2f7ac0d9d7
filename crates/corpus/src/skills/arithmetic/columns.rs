//! An operation worked out so that each figure follows from figures just before it: the digits are named first, every
//! column has the same form, and carries are written even when they are 0. It must not know how anybody asks.

use std::fmt::Write as _;

const COLUMNS: [(&str, i64); 3] = [("ones", 1), ("tens", 10), ("hundreds", 100)];

/// What is to be worked out.
pub(super) enum Operation {
    /// Two numbers below 1,000.
    Sum(i64, i64),
    /// Two numbers below 1,000, in any order.
    Difference(i64, i64),
    /// One of them has one digit and the other at most two, or both are below 13.
    Product(i64, i64),
    /// It leaves no rest, and the result is at most 12.
    Quotient(i64, i64),
    SumOfThree([i64; 3]),
}

impl Operation {
    pub(super) fn result(&self) -> i64 {
        match self {
            Self::Sum(a, b) => a + b,
            Self::Difference(a, b) => a - b,
            Self::Product(a, b) => a * b,
            Self::Quotient(a, b) => a / b,
            Self::SumOfThree(terms) => terms.iter().sum(),
        }
    }

    pub(super) fn expression(&self) -> String {
        match self {
            Self::Sum(a, b) => format!("{a} + {b}"),
            Self::Difference(a, b) => format!("{a} - {b}"),
            Self::Product(a, b) => format!("{a} x {b}"),
            Self::Quotient(a, b) => format!("{a} / {b}"),
            Self::SumOfThree([a, b, c]) => format!("{a} + {b} + {c}"),
        }
    }

    pub(super) fn equation(&self) -> String {
        format!("{} = {}.", self.expression(), self.result())
    }

    /// What one does with the numbers of a story.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Sum(..) | Self::SumOfThree(_) => "I add",
            Self::Difference(..) => "I take away",
            Self::Product(..) => "I multiply",
            Self::Quotient(..) => "I divide",
        }
    }

    /// The way to the result.
    pub(super) fn steps(&self) -> String {
        match *self {
            Self::Sum(a, b) => sum(a, b),
            Self::Difference(a, b) => format!(
                "{}\n{}\n{}\n{}",
                digits_named(a),
                digits_named(b),
                comparison(a, b),
                if a < b {
                    format!("{}\n{}\n{}", digits_named(b), digits_named(a), difference_columns(b, a))
                } else {
                    difference_columns(a, b)
                }
            ),
            Self::Product(a, b) if a < 10 => product(a, b),
            Self::Product(a, b) if b < 10 => product(b, a),
            Self::Product(a, b) => product_in_parts(a, b),
            Self::Quotient(a, b) => format!("I look for {b} x ? = {a}.\n{b} x {} = {a}.", a / b),
            Self::SumOfThree([a, b, c]) => format!("{a} + {b} = {}.\n{} + {c} = {}.", a + b, a + b, a + b + c),
        }
    }

    /// Another way that must come to the same.
    pub(super) fn check(&self) -> String {
        match *self {
            Self::Sum(a, b) => {
                let result = a + b;
                let named = format!("{}\n{}", digits_named(result), digits_named(b));
                format!("Check: {result} - {b}.\n{named}\n{}\n{a} is the first number.", difference_columns(result, b))
            }
            Self::Difference(a, b) => {
                let (large, small) = (a.max(b), a.min(b));
                let rest = large - small;
                format!("Check: {rest} + {small}.\n{}\n{large} is the number at the start.", sum(rest, small))
            }
            Self::Product(a, b) if a < 10 => format!("Check: {}", product_in_parts(a, b)),
            Self::Product(a, b) => format!("Check: {}", product_in_parts(b, a)),
            Self::Quotient(a, b) => format!("Check: {}", product_in_parts(b, a / b)),
            Self::SumOfThree([a, b, c]) => {
                format!("Check: {c} + {b} = {}.\n{} + {a} = {}.", b + c, b + c, a + b + c)
            }
        }
    }
}

/// `347: hundreds 3, tens 4, ones 7.`; a number from 1,000 on has more than nine hundreds.
fn digits_named(number: i64) -> String {
    format!("{number}: hundreds {}, tens {}, ones {}.", number / 100, number / 10 % 10, number % 10)
}

fn sum(a: i64, b: i64) -> String {
    let mut steps = format!("{}\n{}\n", digits_named(a), digits_named(b));
    let (mut carry, mut digits) = (0, String::new());
    for (column, unit) in COLUMNS {
        let (upper, lower) = (a / unit % 10, b / unit % 10);
        let total = upper + lower + carry;
        _ = write!(steps, "{column}: {upper} + {lower} + {carry} = {total}, ");
        carry = total / 10;
        _ = writeln!(steps, "write {}, carry {carry}.", total % 10);
        digits.insert_str(0, &format!(" {}", total % 10));
    }
    format!("{steps}Digits: {carry}{digits}.")
}

/// The columns of a difference that is not negative; all hundreds are one column.
fn difference_columns(a: i64, b: i64) -> String {
    let (mut steps, mut borrow, mut digits) = (String::new(), 0, String::new());
    for (column, unit) in COLUMNS {
        let is_last = unit == 100;
        let (upper, lower) = (if is_last { a / unit } else { a / unit % 10 }, b / unit % 10);
        _ = write!(steps, "{column}: {upper} - {lower} - {borrow}, ");
        let needs_ten = upper - lower - borrow < 0;
        let raised = if needs_ten { upper + 10 } else { upper };
        let digit = raised - lower - borrow;
        _ = writeln!(steps, "borrow {}: {raised} - {lower} - {borrow} = {digit}.", i64::from(needs_ten));
        borrow = i64::from(needs_ten);
        digits.insert_str(0, &format!(" {digit}"));
    }
    format!("{steps}Digits:{digits}.")
}

/// Which is larger, decided at the first digit that differs.
fn comparison(a: i64, b: i64) -> String {
    let mut line = "Compare:".to_owned();
    for (_, unit) in COLUMNS.iter().rev() {
        let (upper, lower) = (a / unit % 10, b / unit % 10);
        let sign = match upper.cmp(&lower) {
            std::cmp::Ordering::Less => '<',
            std::cmp::Ordering::Equal => '=',
            std::cmp::Ordering::Greater => '>',
        };
        _ = write!(line, " {upper} {sign} {lower}");
        match sign {
            '<' => return format!("{line}, so below 0: {b} - {a}."),
            '>' => break,
            _ => line.push(','),
        }
    }
    format!("{}, so {a} - {b}.", line.trim_end_matches(','))
}

/// A number of one digit times one of at most two, in columns.
fn product(digit: i64, number: i64) -> String {
    let mut steps = format!("{number}: tens {}, ones {}.\n", number / 10, number % 10);
    let (mut carry, mut digits) = (0, String::new());
    for (column, unit) in &COLUMNS[..2] {
        let figure = number / unit % 10;
        let part = digit * figure;
        let total = part + carry;
        _ = write!(steps, "{column}: {digit} x {figure} = {part}, {part} + {carry} = {total}, ");
        carry = total / 10;
        _ = writeln!(steps, "write {}, carry {carry}.", total % 10);
        digits.insert_str(0, &format!(" {}", total % 10));
    }
    format!("{steps}Digits: {carry}{digits}.")
}

/// A product by the tens and the ones of its second factor.
fn product_in_parts(a: i64, b: i64) -> String {
    let (tens, ones) = (b / 10 * 10, b % 10);
    format!(
        "{b} = {tens} + {ones}. {a} x {tens} = {}, {a} x {ones} = {}, {} + {} = {}.",
        a * tens,
        a * ones,
        a * tens,
        a * ones,
        a * b
    )
}
