//! The official clients of other people, each doing its job against the real `glossa serve` with the tiny model inside. Their
//! scripts stand in `clients/`, where they also serve as examples; `cargo xtask clients` installs what they need.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod codex;
mod fuzz;
mod installed;
mod javascript;
mod python;
mod serving;
mod supervised;
