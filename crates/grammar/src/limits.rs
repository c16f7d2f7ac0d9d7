//! What compiling a grammar and following it may cost. It must not know how the limits are enforced.

/// Bounds; each is reached with an error that names it. The defaults keep a compile below about a second and a mask below about 50 ms,
/// also for schemas that were written to do harm.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a schema or grammar as text.
    pub source_bytes: usize,
    /// Objects and arrays inside each other in a schema.
    pub depth: usize,
    /// Keywords that are looked at while a schema is compiled.
    pub steps: usize,
    /// Alternatives that the keywords of one place may multiply to.
    pub alternatives: usize,
    /// Rules of a compiled grammar.
    pub rules: usize,
    /// Strings of one grammar that each need an automaton of their own: names of properties, patterns, formats.
    pub lexemes: usize,
    /// Properties that an object may name.
    pub properties: usize,
    /// Items of an array, properties of an object and characters of a string that a schema may ask for at least.
    pub repetitions: usize,
    /// Work on automata before the first token, in the library's units (about 50,000 a millisecond).
    pub lexer_fuel: u64,
    /// Work on automata for one mask, in the library's units (about 14,000 a millisecond).
    pub mask_fuel: u64,
    /// Items of the parser for one mask (about 20,000 a millisecond).
    pub mask_items: usize,
    /// Items of the parser at one place of the text.
    pub row_items: usize,
    /// States of automata that one grammar may keep.
    pub lexer_states: usize,
    /// Compiled grammars that are kept.
    pub grammars_kept: usize,
    /// Masks that are kept for each grammar (25 kB each with 201,088 tokens).
    pub masks_kept: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source_bytes: 1 << 20,
            depth: 200,
            steps: 400_000,
            alternatives: 600,
            rules: 60_000,
            lexemes: 12_000,
            properties: 1_000,
            repetitions: 100_000,
            lexer_fuel: 1_000_000,
            mask_fuel: 250_000,
            mask_items: 800_000,
            row_items: 12_000,
            lexer_states: 100_000,
            grammars_kept: 128,
            masks_kept: 16,
        }
    }
}
