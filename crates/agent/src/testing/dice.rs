//! Numbers that look random, and JSON Schemas drawn by them. It must not know what is tested.

use serde_json::{Map, Value, json};

/// Numbers that look random (splitmix64): the same for the same seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) % bound as u64) as usize
    }

    /// Once in so many times.
    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    /// A schema of a few keywords, which nests at most so deep.
    pub fn schema(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => json!({"type": "boolean"}),
            1 => json!({"type": "integer", "minimum": -20, "maximum": 300}),
            2 => json!({"type": "string", "maxLength": 12}),
            3 => json!({"enum": ["red", "green", 3, null, {"a": [1]}]}),
            4 => json!({"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 10}),
            5 => json!({"type": "string", "pattern": "^[a-c]{2,5}(-[0-9]+)?$", "maxLength": 9}),
            6 => json!({"type": "array", "items": self.schema(depth - 1), "minItems": 1, "maxItems": 3}),
            7 => json!({"anyOf": [self.schema(depth - 1), {"type": "null"}]}),
            _ => self.object(depth - 1),
        }
    }

    /// The schema of an object of up to four properties, of which most are required.
    pub fn object(&mut self, depth: usize) -> Value {
        let names = ["id", "name", "the kind", "größe", "x"];
        let count = self.below(names.len());
        let properties: Map<String, Value> =
            names[..count].iter().map(|&name| (name.to_owned(), self.schema(depth))).collect();
        let required: Vec<&str> = names[..count].iter().copied().filter(|_| !self.chance(3)).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }
}
