//! Prices, shares, averages and large numbers. It must not know calls or messages.

use super::super::invented;
use super::Task;
use super::printed::rounded;
use crate::draw::Draw;

/// What one buys: one and several.
const GOODS: [(&str, &str); 12] = [
    ("book", "books"),
    ("shirt", "shirts"),
    ("cup", "cups"),
    ("ticket", "tickets"),
    ("lamp", "lamps"),
    ("chair", "chairs"),
    ("bag", "bags"),
    ("box", "boxes"),
    ("key", "keys"),
    ("card", "cards"),
    ("ball", "balls"),
    ("pen", "pens"),
];

pub(super) fn price(draw: &mut Draw, _today: Option<&str>) -> Task {
    let (one, several) = GOODS[draw.below(GOODS.len())];
    let (count, cents) = (draw.between(2, 60), draw.between(1, 99));
    let price = format!("{}.{cents:02}", draw.between(1, 150));
    let output = rounded(count as f64 * number(&price));
    let ask = match draw.below(6) {
        0 => format!("How much are {count} {several} at {price} dollars each?"),
        1 => format!("One {one} costs {price} dollars. How much do {count} cost?"),
        2 => format!("I buy {count} {several} for {price} dollars each. What do I pay?"),
        3 => format!("What do {count} {several} cost at ${price} each?"),
        4 => format!("A {one} is ${price}. I need {count}. What is the price?"),
        _ => format!("{count} {several} at {price} dollars each, how much is that?"),
    };
    Task {
        ask,
        goal: format!("The price of {count} {several} at {price} dollars."),
        plan: format!("I compute {count} * {price}."),
        care: "Prices have 2 places, so I round to 2 places.".to_owned(),
        code: format!("print(round({count} * {price}, 2))"),
        answer: format!("{count} {several} cost {output} dollars."),
        says: format!(" {output} dollars"),
        output,
    }
}

pub(super) fn discount(draw: &mut Draw, _today: Option<&str>) -> Task {
    let (one, _) = GOODS[draw.below(GOODS.len())];
    let (price, percent) = (draw.between(10, 2000), 5 * draw.between(1, 15));
    let output = rounded(price as f64 * (100 - percent) as f64 / 100.0);
    let ask = match draw.below(4) {
        0 => format!("A {one} costs {price} dollars. It is {percent} percent off. What do I pay?"),
        1 => format!("The price of a {one} is ${price}, now with {percent}% off. What is the new price?"),
        2 => format!("How much is a {one} for {price} dollars with {percent}% off?"),
        _ => format!("What is the price of a {one} at {price} dollars after {percent} percent off?"),
    };
    Task {
        ask,
        goal: format!("The price of {price} dollars with {percent} percent off."),
        plan: format!("{percent} percent are taken away, so I compute {price} * (100 - {percent}) / 100."),
        care: "Prices have 2 places, so I round to 2 places.".to_owned(),
        code: format!("print(round({price} * (100 - {percent}) / 100, 2))"),
        answer: format!("The new price is {output} dollars."),
        says: format!(" {output} dollars"),
        output,
    }
}

pub(super) fn percent(draw: &mut Draw, _today: Option<&str>) -> Task {
    let (percent, whole) = (draw.between(1, 99), draw.between(10, 9999));
    let output = rounded(whole as f64 * percent as f64 / 100.0);
    let ask = match draw.below(6) {
        0 => format!("What is {percent} percent of {whole}?"),
        1 => format!("What is {percent}% of {whole}?"),
        2 => format!("{percent}% of {whole}"),
        3 => format!("How much is {percent}% of {whole}?"),
        4 => format!("Please compute {percent} percent of {whole}."),
        _ => format!("Tell me {percent} percent of {whole}."),
    };
    Task {
        ask,
        goal: format!("{percent} percent of {whole}."),
        plan: format!("A percent is one of 100, so I compute {whole} * {percent} / 100."),
        care: "I round to 2 places.".to_owned(),
        code: format!("print(round({whole} * {percent} / 100, 2))"),
        answer: format!("{percent} percent of {whole} is {output}."),
        says: format!(" {output}."),
        output,
    }
}

pub(super) fn average(draw: &mut Draw, _today: Option<&str>) -> Task {
    let count = draw.between(3, 6);
    let largest = draw.pick(&["20", "99", "999"]).parse().expect("the limits are written in digits");
    let values: Vec<i64> = (0..count).map(|_| draw.between(1, largest)).collect();
    let output = rounded(values.iter().sum::<i64>() as f64 / values.len() as f64);
    let (spoken, list) = (spoken_list(&values), list(&values));
    let ask = match draw.below(5) {
        0 => format!("What is the average of {spoken}?"),
        1 => format!("Find the average of {list}."),
        2 => format!("My numbers are {spoken}. What is their average?"),
        3 => format!("average of {list}"),
        _ => format!("Please tell me the mean of {spoken}."),
    };
    Task {
        ask,
        goal: format!("The average of {list}."),
        plan: "I divide the sum of the numbers by how many there are.".to_owned(),
        care: "I round to 2 places.".to_owned(),
        code: format!("numbers = [{list}]\nprint(round(sum(numbers) / len(numbers), 2))"),
        answer: format!("The average is {output}."),
        says: format!(" {output}."),
        output,
    }
}

pub(super) fn product(draw: &mut Draw, _today: Option<&str>) -> Task {
    let (a, b) = (draw.between(13, 9999), draw.between(101, 9999));
    let output = (a * b).to_string();
    let ask = match draw.below(6) {
        0 => format!("What is {a} x {b}?"),
        1 => format!("{a} * {b}"),
        2 => format!("How much is {a} times {b}?"),
        3 => format!("Multiply {a} by {b}."),
        4 => format!("{a} times {b}"),
        _ => format!("Please work out {a} * {b}."),
    };
    Task {
        ask,
        goal: format!("The product {a} * {b}."),
        plan: "I do not multiply large numbers myself, so I use python.".to_owned(),
        care: "The result is exact.".to_owned(),
        code: format!("print({a} * {b})"),
        answer: format!("{a} x {b} = {output}."),
        says: format!(" {output}."),
        output,
    }
}

pub(super) fn large_sum(draw: &mut Draw, _today: Option<&str>) -> Task {
    let count = draw.between(2, 6);
    let largest = draw.pick(&["99", "999", "99999"]).parse().expect("the limits are written in digits");
    let values: Vec<i64> = (0..count).map(|_| draw.between(11, largest)).collect();
    let output = values.iter().sum::<i64>().to_string();
    let (spoken, list) = (spoken_list(&values), list(&values));
    let terms = values.iter().map(i64::to_string).collect::<Vec<_>>().join(" + ");
    let ask = match draw.below(4) {
        0 => format!("Add {spoken}."),
        1 => format!("What is {terms}?"),
        2 => terms.clone(),
        _ => format!("What is the sum of {spoken}?"),
    };
    Task {
        ask,
        goal: format!("The sum of {list}."),
        plan: format!("I compute {terms}."),
        care: "The result is exact.".to_owned(),
        code: format!("print({terms})"),
        answer: format!("The sum is {output}."),
        says: format!(" {output}."),
        output,
    }
}

pub(super) fn difference(draw: &mut Draw, _today: Option<&str>) -> Task {
    let largest = draw.pick(&["999", "99999"]).parse().expect("the limits are written in digits");
    let (a, b) = (draw.between(11, largest), draw.between(11, largest));
    let output = (a - b).to_string();
    let ask = match draw.below(5) {
        0 => format!("What is {a} - {b}?"),
        1 => format!("{a} - {b}"),
        2 => format!("How much is {a} minus {b}?"),
        3 => format!("Take {b} away from {a}."),
        _ => format!("{a} minus {b}"),
    };
    Task {
        ask,
        goal: format!("The difference {a} - {b}."),
        plan: "I use python for it.".to_owned(),
        care: "The result is exact.".to_owned(),
        code: format!("print({a} - {b})"),
        answer: format!("{a} - {b} = {output}."),
        says: format!(" {output}."),
        output,
    }
}

pub(super) fn share(draw: &mut Draw, _today: Option<&str>) -> Task {
    let (whole, people) = (draw.between(20, 9999), draw.between(3, 40));
    let output = rounded(whole as f64 / people as f64);
    let name = invented::name(draw);
    let ask = match draw.below(4) {
        0 => format!("We are {people} friends and share {whole} dollars. How much does each get?"),
        1 => format!("{name} gives {whole} dollars to {people} people. How much is that for each?"),
        2 => format!("A house costs {whole} dollars for {people} people. What does each pay?"),
        _ => format!("Divide {whole} dollars by {people}."),
    };
    Task {
        ask,
        goal: format!("{whole} dollars for {people} people."),
        plan: format!("I compute {whole} / {people}."),
        care: "Prices have 2 places, so I round to 2 places.".to_owned(),
        code: format!("print(round({whole} / {people}, 2))"),
        answer: format!("It is {output} dollars for each."),
        says: format!(" {output} dollars"),
        output,
    }
}

fn list(values: &[i64]) -> String {
    values.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// The last one is joined by `and`.
fn spoken_list(values: &[i64]) -> String {
    let (last, rest) = values.split_last().expect("a list has values");
    format!("{} and {last}", list(rest))
}

fn number(digits: &str) -> f64 {
    digits.parse().expect("a price is written in digits")
}
