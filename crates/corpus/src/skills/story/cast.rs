//! Who and what a story can be about. It must not know what happens to them.

use crate::draw::Draw;
use crate::skills::invented;

/// Heroes, as they follow `a little`.
pub(super) const HEROES: [&str; 34] = [
    "fox", "bear", "mouse", "rabbit", "cat", "dog", "frog", "duck", "hedgehog", "squirrel", "horse", "dragon", "robot",
    "elephant", "lion", "tiger", "penguin", "monkey", "bee", "cow", "sheep", "pig", "goat", "wolf", "turtle", "snail",
    "bird", "camel", "knight", "wizard", "pirate", "ghost", "giant", "spider",
];
/// Words before a hero.
pub(super) const MANNERS: [&str; 7] = ["little", "young", "small", "shy", "brave", "kind", "clever"];
/// Names that the model chooses from. Those that end in `a`, `e` or `i` are hers, the others his.
const NAMES: [&str; 28] = [
    "Mia", "Nora", "Lena", "Ida", "Ella", "Anna", "Rosa", "Emma", "Lisa", "Clara", "Julia", "Sophie", "Marie", "Heidi",
    "Tom", "Ben", "Max", "Leo", "Otto", "Hugo", "Finn", "Paul", "Jack", "Sam", "Tim", "Peter", "Oscar", "Felix",
];
/// Places with their preposition.
pub(super) const PLACES: [&str; 14] = [
    "in a green forest",
    "in a small village",
    "in a big city",
    "on an old farm",
    "on a small island",
    "by a blue lake",
    "near the sea",
    "in a quiet valley",
    "in an old castle",
    "in a sunny garden",
    "at the foot of a mountain",
    "in a little house by the river",
    "in a warm cave",
    "at the edge of a desert",
];
pub(super) const HELPERS: [&str; 14] = [
    "owl",
    "beaver",
    "crow",
    "farmer",
    "deer",
    "mole",
    "stork",
    "hunter",
    "swan",
    "donkey",
    "fisherman",
    "badger",
    "shepherd",
    "hare",
];
pub(super) const THINGS: [&str; 12] =
    ["ball", "key", "hat", "bell", "ring", "kite", "lamp", "scarf", "drum", "book", "coin", "cup"];
pub(super) const COLORS: [&str; 8] = ["red", "blue", "green", "yellow", "silver", "golden", "white", "tiny"];
pub(super) const SIGHTS: [&str; 8] = [
    "the sea",
    "the great waterfall",
    "the big city",
    "the highest mountain",
    "the top of the world",
    "the end of the rainbow",
    "the old castle",
    "the great desert",
];
pub(super) const GIFTS: [&str; 8] = [
    "a pot of soup",
    "a fresh cake",
    "a glass of honey",
    "a warm scarf",
    "some flowers",
    "a basket of apples",
    "some warm bread",
    "a bag of tea",
];
pub(super) const SKILLS: [&str; 8] = ["swim", "sing", "dance", "paint", "read", "bake bread", "climb", "play the drum"];

/// A name that the model chooses.
pub(super) fn own_name(draw: &mut Draw) -> String {
    draw.pick(&NAMES).to_owned()
}

/// A name that the user gives: any.
pub(super) fn given_name(draw: &mut Draw) -> String {
    if draw.chance(30) { own_name(draw) } else { invented::name(draw) }
}

/// She, her, her, herself or he, him, his, himself, by the name's last letter.
pub(super) fn pronouns(name: &str) -> [&'static str; 4] {
    if name.ends_with(['a', 'e', 'i']) { ["she", "her", "her", "herself"] } else { ["he", "him", "his", "himself"] }
}

pub(super) fn article(words: &str) -> &'static str {
    if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
