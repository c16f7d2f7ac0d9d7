//! What users ask and how the answer is said. `{a}` and `{b}` are the numbers, `{c}` is the result. Data only.

/// A question and the answer in the same style.
pub(super) type Phrase = (&'static str, &'static str);

pub(super) const INSTRUCTIONS: [&str; 8] = [
    "You are a helpful assistant.",
    "Help the user with numbers.",
    "Answer in one short sentence.",
    "Be brief.",
    "You help children with their sums.",
    "Be kind and brief.",
    "Answer with the result.",
    "Help the user.",
];

pub(super) const SUMS: [Phrase; 16] = [
    ("What is {a} + {b}?", "{a} + {b} = {c}."),
    ("{a} + {b}", "{a} + {b} = {c}."),
    ("{a}+{b}", "{a} + {b} = {c}."),
    ("{a} + {b} = ?", "{a} + {b} = {c}."),
    ("{a}+{b}=", "{a} + {b} = {c}."),
    ("How much is {a} + {b}?", "{a} + {b} = {c}."),
    ("What's {a} + {b}?", "{a} + {b} = {c}."),
    ("Add {a} and {b}.", "{a} + {b} = {c}."),
    ("Please add {a} and {b}.", "{a} + {b} = {c}."),
    ("Can you work out {a} + {b}?", "{a} + {b} = {c}."),
    ("Work out {a} + {b}, please.", "{a} + {b} = {c}."),
    ("What is the sum of {a} and {b}?", "The sum of {a} and {b} is {c}."),
    ("Tell me the sum of {a} and {b}.", "The sum of {a} and {b} is {c}."),
    ("What is {a} plus {b}?", "{a} plus {b} is {c}."),
    ("How much is {a} plus {b}?", "{a} plus {b} is {c}."),
    ("{a} plus {b}", "{a} plus {b} is {c}."),
];

pub(super) const DIFFERENCES: [Phrase; 12] = [
    ("What is {a} - {b}?", "{a} - {b} = {c}."),
    ("{a} - {b}", "{a} - {b} = {c}."),
    ("{a}-{b}", "{a} - {b} = {c}."),
    ("{a} - {b} = ?", "{a} - {b} = {c}."),
    ("How much is {a} - {b}?", "{a} - {b} = {c}."),
    ("Work out {a} - {b}, please.", "{a} - {b} = {c}."),
    ("What's {a} - {b}?", "{a} - {b} = {c}."),
    ("Take {b} away from {a}.", "{a} - {b} = {c}."),
    ("Please take {b} from {a}.", "{a} - {b} = {c}."),
    ("What is {a} minus {b}?", "{a} minus {b} is {c}."),
    ("How much is {a} minus {b}?", "{a} minus {b} is {c}."),
    ("{a} minus {b}", "{a} minus {b} is {c}."),
];

pub(super) const PRODUCTS: [Phrase; 11] = [
    ("What is {a} x {b}?", "{a} x {b} = {c}."),
    ("{a} x {b}", "{a} x {b} = {c}."),
    ("{a} * {b}", "{a} x {b} = {c}."),
    ("{a}*{b}", "{a} x {b} = {c}."),
    ("What is {a} * {b}?", "{a} x {b} = {c}."),
    ("How much is {a} x {b}?", "{a} x {b} = {c}."),
    ("Multiply {a} by {b}.", "{a} x {b} = {c}."),
    ("Please multiply {a} and {b}.", "{a} x {b} = {c}."),
    ("What is {a} times {b}?", "{a} times {b} is {c}."),
    ("How much is {a} times {b}?", "{a} times {b} is {c}."),
    ("{a} times {b}", "{a} times {b} is {c}."),
];

pub(super) const QUOTIENTS: [Phrase; 9] = [
    ("What is {a} / {b}?", "{a} / {b} = {c}."),
    ("{a} / {b}", "{a} / {b} = {c}."),
    ("{a}/{b}", "{a} / {b} = {c}."),
    ("How much is {a} / {b}?", "{a} / {b} = {c}."),
    ("Divide {a} by {b}.", "{a} / {b} = {c}."),
    ("Please divide {a} by {b}.", "{a} / {b} = {c}."),
    ("{a} : {b}", "{a} / {b} = {c}."),
    ("What is {a} divided by {b}?", "{a} divided by {b} is {c}."),
    ("How much is {a} divided by {b}?", "{a} divided by {b} is {c}."),
];

/// Questions with longer numbers than one can work out here, and what one can.
pub(super) const TOO_LONG: [Phrase; 10] = [
    ("What is {a} + {b}?", SUMS_ONLY),
    ("{a} + {b}", SUMS_ONLY),
    ("Add {a} and {b}.", SUMS_ONLY),
    ("How much is {a} plus {b}?", SUMS_ONLY),
    ("What is {a} - {b}?", SUMS_ONLY),
    ("{a} - {b}", SUMS_ONLY),
    ("What is {a} x {b}?", PRODUCTS_ONLY),
    ("{a} * {b}", PRODUCTS_ONLY),
    ("How much is {a} times {b}?", PRODUCTS_ONLY),
    ("Multiply {a} by {b}.", PRODUCTS_ONLY),
];

const SUMS_ONLY: &str = "Sorry, {c} is too long for me. I can only add numbers of up to 3 digits.";
const PRODUCTS_ONLY: &str = "Sorry, {c} is too long for me. I can only multiply small numbers.";

/// The third number is `{d}`.
pub(super) const SUMS_OF_THREE: [Phrase; 6] = [
    ("What is {a} + {b} + {d}?", "{a} + {b} + {d} = {c}."),
    ("{a} + {b} + {d}", "{a} + {b} + {d} = {c}."),
    ("{a}+{b}+{d}", "{a} + {b} + {d} = {c}."),
    ("Add {a}, {b} and {d}.", "{a} + {b} + {d} = {c}."),
    ("How much is {a} + {b} + {d}?", "{a} + {b} + {d} = {c}."),
    ("What is the sum of {a}, {b} and {d}?", "The sum of {a}, {b} and {d} is {c}."),
];

pub(super) const THINGS: [&str; 16] = [
    "apples", "books", "cards", "keys", "eggs", "cups", "stones", "balls", "pens", "coins", "boxes", "flowers",
    "shoes", "letters", "lamps", "birds",
];

pub(super) const SUM_STORIES: [Phrase; 10] = [
    ("I have {a} {things} and get {b} more. How many {things} do I have now?", "You have {c} {things} now."),
    ("I had {a} {things} and found {b} more. How many do I have?", "You have {c} {things} now."),
    ("I buy {a} {things} today and {b} tomorrow. How many {things} is that?", "That is {c} {things}."),
    (
        "There are {a} {things} here and {b} {things} there. How many are there in all?",
        "There are {c} {things} in all.",
    ),
    (
        "One box has {a} {things}, the other has {b}. How many {things} are there in all?",
        "There are {c} {things} in all.",
    ),
    ("My friend {name} has {a} {things} and gets {b} more. How many does {name} have?", "{name} has {c} {things} now."),
    ("Yesterday {name} had {a} {things}. Today {name} found {b} more. How many now?", "{name} has {c} {things} now."),
    ("We need {a} {things} for the house and {b} for the garden. How many in all?", "You need {c} {things} in all."),
    ("I have {a} {things}, {name} has {b}. How many do we have together?", "You have {c} {things} together."),
    (
        "A shop sells {a} {things} in the morning and {b} in the evening. How many in all?",
        "The shop sells {c} {things}.",
    ),
];

/// The first number is the larger.
pub(super) const DIFFERENCE_STORIES: [Phrase; 8] = [
    ("I have {a} {things} and give away {b}. How many {things} are left?", "You have {c} {things} left."),
    ("I had {a} {things} and lost {b} of them. How many do I still have?", "You have {c} {things} left."),
    ("There were {a} {things} on the table. {name} took {b}. How many are left?", "There are {c} {things} left."),
    ("A box holds {a} {things}. We take out {b}. How many are left?", "There are {c} {things} left."),
    (
        "My friend {name} has {a} {things} and sells {b}. How many does {name} still have?",
        "{name} has {c} {things} left.",
    ),
    ("I need {a} {things} and have only {b}. How many more do I need?", "You need {c} {things} more."),
    ("A shop had {a} {things} and sold {b}. How many are left?", "There are {c} {things} left."),
    ("I have {a} {things}, {name} has {b}. How many more do I have?", "You have {c} {things} more."),
];

pub(super) const QUOTIENT_STORIES: [Phrase; 4] = [
    ("I share {a} {things} among {b} friends. How many {things} does each get?", "Each gets {c} {things}."),
    ("We put {a} {things} into {b} boxes. How many {things} are in each box?", "Each box has {c} {things}."),
    ("My friend {name} gives {a} {things} to {b} children. How many does each child get?", "Each gets {c} {things}."),
    ("There are {a} {things} in {b} rows. How many {things} are in a row?", "Each row has {c} {things}."),
];

pub(super) const PRODUCT_STORIES: [Phrase; 6] = [
    ("There are {a} boxes with {b} {things} each. How many {things} are there?", "There are {c} {things}."),
    ("I have {a} bags with {b} {things} in each. How many {things} do I have?", "You have {c} {things}."),
    ("I get {b} {things} a day for {a} days. How many {things} is that?", "That is {c} {things}."),
    ("We are {a} friends and each of us has {b} {things}. How many in all?", "You have {c} {things} in all."),
    ("A table has {a} rows of {b} {things}. How many {things} are on it?", "There are {c} {things} on it."),
    ("My friend {name} packs {a} boxes, each with {b} {things}. How many {things}?", "{name} packs {c} {things}."),
];
