//! crates/glossa

fn main() {}
