//! Random choices that are the same for ever: a counter hashed by SplitMix64's finaliser. It must not know what is chosen.

/// A stream of random choices.
///
/// Its own few lines, because a library's generators may change between versions, and the shipped model's hash hangs on them.
#[derive(Clone, Debug)]
pub struct Draw {
    state: u64,
}

impl Draw {
    /// The stream of a seed and an index.
    #[must_use]
    pub fn new(seed: u64, index: u64) -> Self {
        Self { state: mix(mix(seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_add(index)) }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        // The high half of a 128-bit product; its bias is below 2⁻⁴⁰ for every size used here.
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// A number of `first ..= last`.
    pub fn between(&mut self, first: i64, last: i64) -> i64 {
        first + self.below((last - first + 1) as usize) as i64
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the options, of which there must be one.
    pub fn pick<'a, T: ?Sized + ToOwned>(&mut self, options: &[&'a T]) -> &'a T {
        options[self.below(options.len())]
    }

    /// An index by weight; the weights' sum must not be 0.
    pub fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, &weight) in weights.iter().enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        unreachable!("the draw is below the weights' sum")
    }

    /// Puts the values into a random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
