//! Names, words and codes that no list holds, so that a model must copy them. It must not know what they stand for.

use crate::draw::Draw;

/// Few enough that each syllable comes up often: the tokens of names must be learnt before names can be copied.
const ONSETS: [&str; 13] = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v"];
const VOWELS: [&str; 5] = ["a", "e", "i", "o", "u"];
const CODAS: [&str; 6] = ["", "", "", "n", "r", "l"];

/// What a word shall not hold, for the reader's sake.
const RUDE: [&str; 17] = [
    "fuk", "dik", "kuk", "tit", "nig", "neg", "nazi", "rape", "vag", "pis", "sis", "kak", "gas", "his", "hit", "her",
    "sado",
];

/// A word of two or three syllables in lower case, like `torvin`.
pub(super) fn word(draw: &mut Draw) -> String {
    loop {
        let syllables = if draw.chance(30) { 3 } else { 2 };
        let word: String = (0..syllables).map(|_| syllable(draw)).collect();
        if !RUDE.iter().any(|rude| word.contains(rude)) {
            return word;
        }
    }
}

/// The same with a capital, like `Torvin`.
pub(super) fn name(draw: &mut Draw) -> String {
    capitalized(&word(draw))
}

/// Names that differ from each other.
pub(super) fn names<const COUNT: usize>(draw: &mut Draw) -> [String; COUNT] {
    let mut names: [String; COUNT] = std::array::from_fn(|_| String::new());
    for index in 0..COUNT {
        let fresh = loop {
            let name = name(draw);
            // One name inside another would make a check on the text ambiguous.
            if names[..index].iter().all(|other| !other.contains(&name) && !name.contains(other.as_str())) {
                break name;
            }
        };
        names[index] = fresh;
    }
    names
}

/// A code of a letter and digits, like `K7-204`.
pub(super) fn code(draw: &mut Draw) -> String {
    let letter = char::from(b'A' + draw.below(26) as u8);
    match draw.below(3) {
        0 => format!("{letter}{}-{}", draw.below(10), draw.between(100, 999)),
        1 => format!("{letter}{}", draw.between(10, 9999)),
        _ => format!("{letter}{}{}", char::from(b'A' + draw.below(26) as u8), draw.between(100, 999)),
    }
}

/// Letters as no language has them, like `qxwvo`.
pub(super) fn noise(draw: &mut Draw) -> String {
    let letters = draw.between(2, 9);
    (0..letters).map(|_| char::from(b'a' + draw.below(26) as u8)).collect()
}

/// The word with its first letter in upper case.
pub(super) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn syllable(draw: &mut Draw) -> String {
    format!("{}{}{}", draw.pick(&ONSETS), draw.pick(&VOWELS), draw.pick(&CODAS))
}
