//! Lengths, weights, volumes, times and temperatures from one unit to another. It must not know calls or messages.

use super::Task;
use super::printed::rounded;
use crate::draw::Draw;

/// A unit as the answer names it, and as users also name it.
struct Unit {
    name: &'static str,
    also: &'static [&'static str],
}

const fn unit(name: &'static str, also: &'static [&'static str]) -> Unit {
    Unit { name, also }
}

const MILES: Unit = unit("miles", &["mi", "miles"]);
const KILOMETERS: Unit = unit("km", &["km", "kilometers", "kilometres"]);
const METERS: Unit = unit("meters", &["m", "meters", "metres"]);
const FEET: Unit = unit("feet", &["ft", "feet"]);
const INCHES: Unit = unit("inches", &["in", "inches"]);
const CENTIMETERS: Unit = unit("cm", &["cm", "centimeters"]);
const KILOGRAMS: Unit = unit("kg", &["kg", "kilograms", "kilos"]);
const POUNDS: Unit = unit("pounds", &["lb", "lbs", "pounds"]);
const GRAMS: Unit = unit("grams", &["g", "grams"]);
const OUNCES: Unit = unit("ounces", &["oz", "ounces"]);
const LITERS: Unit = unit("liters", &["l", "liters", "litres"]);
const GALLONS: Unit = unit("gallons", &["gal", "gallons"]);
const HOURS: Unit = unit("hours", &["h", "hours"]);
const MINUTES: Unit = unit("minutes", &["min", "minutes"]);
const SECONDS: Unit = unit("seconds", &["s", "seconds"]);
const DAYS: Unit = unit("days", &["days"]);
const WEEKS: Unit = unit("weeks", &["weeks"]);

/// From, to, how many of the second one of the first is, as Python would read it; and the first unit in the singular.
const FACTORS: [(&Unit, &Unit, &str, &str); 22] = [
    (&KILOMETERS, &MILES, "0.621371", "km"),
    (&MILES, &KILOMETERS, "1.609344", "mile"),
    (&METERS, &FEET, "3.28084", "meter"),
    (&FEET, &METERS, "0.3048", "foot"),
    (&INCHES, &CENTIMETERS, "2.54", "inch"),
    (&CENTIMETERS, &INCHES, "0.393701", "cm"),
    (&KILOGRAMS, &POUNDS, "2.20462", "kg"),
    (&POUNDS, &KILOGRAMS, "0.453592", "pound"),
    (&GRAMS, &OUNCES, "0.035274", "gram"),
    (&OUNCES, &GRAMS, "28.3495", "ounce"),
    (&LITERS, &GALLONS, "0.264172", "liter"),
    (&GALLONS, &LITERS, "3.78541", "gallon"),
    (&KILOMETERS, &METERS, "1000", "km"),
    (&METERS, &CENTIMETERS, "100", "meter"),
    (&FEET, &INCHES, "12", "foot"),
    (&KILOGRAMS, &GRAMS, "1000", "kg"),
    (&HOURS, &MINUTES, "60", "hour"),
    (&MINUTES, &SECONDS, "60", "minute"),
    (&HOURS, &SECONDS, "3600", "hour"),
    (&DAYS, &HOURS, "24", "day"),
    (&WEEKS, &DAYS, "7", "week"),
    (&WEEKS, &HOURS, "168", "week"),
];

pub(super) fn conversion(draw: &mut Draw, _today: Option<&str>) -> Task {
    let (from, to, factor, one) = FACTORS[draw.below(FACTORS.len())];
    let is_whole = !factor.contains('.');
    let amount = if is_whole { whole_amount(draw) } else { amount(draw) };
    let product = number(&amount) * number(factor);
    let code =
        if is_whole { format!("print({amount} * {factor})") } else { format!("print(round({amount} * {factor}, 2))") };
    let output = if is_whole { format!("{product}") } else { rounded(product) };
    let (spoken_from, spoken_to) = (draw.pick(from.also), draw.pick(to.also));
    let spoken_to = if spoken_to.len() < 3 { to.name } else { spoken_to };
    let ask = match draw.below(9) {
        0 => format!("How many {spoken_to} are {amount} {spoken_from}?"),
        1 => format!("Convert {amount} {spoken_from} to {spoken_to}."),
        2 => format!("What is {amount} {spoken_from} in {spoken_to}?"),
        3 => format!("{amount} {spoken_from} in {spoken_to}"),
        4 => format!("{amount} {spoken_from} to {spoken_to}"),
        5 => format!("How much is {amount} {spoken_from} in {spoken_to}?"),
        6 => format!("Please convert {amount} {spoken_from} into {spoken_to}."),
        7 => format!("I have {amount} {spoken_from}. How many {spoken_to} is that?"),
        _ => format!("Tell me how many {spoken_to} {amount} {spoken_from} are."),
    };
    let (from, to) = (from.name, to.name);
    Task {
        ask,
        goal: format!("From {from} to {to}: {amount} {from}."),
        plan: format!("1 {one} is {factor} {to}, so I compute {amount} * {factor}."),
        care: if is_whole { "The result is exact.".to_owned() } else { "I round to 2 places.".to_owned() },
        code,
        answer: format!("{amount} {from} is {output} {to}."),
        says: format!(" {output} {to}"),
        output,
    }
}

pub(super) fn temperature(draw: &mut Draw, _today: Option<&str>) -> Task {
    let degrees = if draw.chance(80) { draw.between(-40, 120).to_string() } else { amount(draw) };
    let value = number(&degrees);
    let is_celsius = draw.chance(50);
    let (from, to) = if is_celsius { ("Celsius", "Fahrenheit") } else { ("Fahrenheit", "Celsius") };
    let (expression, result) = if is_celsius {
        (format!("{degrees} * 9 / 5 + 32"), value * 9.0 / 5.0 + 32.0)
    } else {
        (format!("({degrees} - 32) * 5 / 9"), (value - 32.0) * 5.0 / 9.0)
    };
    let rule = if is_celsius { "times 9, by 5, plus 32" } else { "minus 32, times 5, by 9" };
    let output = rounded(result);
    let (short_from, short_to) = (&from[..1], &to[..1]);
    let ask = match draw.below(8) {
        0 => format!("What is {degrees} degrees {from} in {to}?"),
        1 => format!("Convert {degrees} {short_from} to {short_to}."),
        2 => format!("{degrees} °{short_from} in °{short_to}"),
        3 => format!("How much is {degrees}°{short_from} in {to}?"),
        4 => format!("Please convert {degrees} degrees {from} to {to}."),
        5 => format!("It is {degrees} °{short_from} here. What is that in °{short_to}?"),
        6 => format!("{degrees} {from} to {to}"),
        _ => format!("How many degrees {to} are {degrees} degrees {from}?"),
    };
    Task {
        ask,
        goal: format!("From {from} to {to}: {degrees} °{short_from}."),
        plan: format!("The rule is {rule}, so I compute {expression}."),
        care: "I round to 2 places.".to_owned(),
        code: format!("print(round({expression}, 2))"),
        answer: format!("{degrees} °{short_from} is {output} °{short_to}."),
        says: format!(" {output} °{short_to}"),
        output,
    }
}

/// A number with at most one decimal.
fn amount(draw: &mut Draw) -> String {
    if draw.chance(25) { format!("{}.{}", draw.between(1, 99), draw.between(1, 9)) } else { whole_amount(draw) }
}

fn whole_amount(draw: &mut Draw) -> String {
    match draw.below(10) {
        0..2 => draw.between(2, 9),
        2..6 => draw.between(10, 99),
        6..9 => draw.between(100, 999),
        _ => draw.between(1000, 9999),
    }
    .to_string()
}

fn number(digits: &str) -> f64 {
    digits.parse().expect("an amount is written in digits")
}
