//! Cosines and sines of every position that a batch may have. It must not know attention.

use kernels::RotaryTable;
use model::{Frequencies, ModelConfig};

/// The angles of the positions `0 .. positions`, `[positions, head_dim / 2]` each.
pub(crate) struct Angles {
    pub(crate) cos: Vec<f32>,
    pub(crate) sin: Vec<f32>,
    frequencies: Frequencies,
    positions: usize,
}

impl Angles {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let frequencies = Frequencies::new(&config.rope, config.head_dim);
        Self { cos: Vec::new(), sin: Vec::new(), frequencies, positions: 0 }
    }

    /// Sees to it that there are angles for so many positions.
    pub(crate) fn extend(&mut self, positions: usize) {
        let mut table = RotaryTable { half: 0, cos: std::mem::take(&mut self.cos), sin: std::mem::take(&mut self.sin) };
        for position in self.positions..positions {
            self.frequencies.push(position, &mut table);
        }
        self.positions = self.positions.max(positions);
        (self.cos, self.sin) = (table.cos, table.sin);
    }
}
