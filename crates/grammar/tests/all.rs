//! All tests of the crate through its public edge.

#[path = "all/following.rs"]
mod following;
#[path = "all/hostile.rs"]
mod hostile;
#[path = "all/random.rs"]
mod random;
#[path = "all/readings.rs"]
mod readings;
#[path = "all/schemas.rs"]
mod schemas;
mod walks;

use harmony::Vocabulary;

/// The small vocabulary that the project ships.
fn vocabulary() -> Vocabulary {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/glossa-tiny/tokenizer.json");
    let bytes = std::fs::read(file).expect("the shipped model has a tokenizer");
    Vocabulary::from_tokenizer_json(&bytes).expect("the shipped tokenizer is read")
}
