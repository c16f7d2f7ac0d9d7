//! Logits without meaning. It must not know sequences.

/// What noise depends on.
pub(super) struct Noise {
    pub(super) seed: u64,
    /// Tokens, and what is added to their logits.
    pub(super) favours: Vec<(u32, f32)>,
}

impl Noise {
    /// The logits `[vocabulary]` behind so many tokens, which `hash` stands for: sums of four uniform numbers, nearly normal, of
    /// standard deviation 2.
    pub(super) fn fill(&self, length: usize, hash: u64, logits: &mut [f32]) {
        let mut state = mixed(self.seed ^ hash.wrapping_add(length as u64));
        for logit in &mut *logits {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let bits = mixed(state);
            let parts = [bits, bits >> 16, bits >> 32, bits >> 48].map(|part| (part & 0xFFFF) as f32 / 65_536.0 - 0.5);
            *logit = parts.iter().sum::<f32>() * 3.464;
        }
        for &(id, more) in &self.favours {
            logits[id as usize] += more;
        }
    }
}

/// Splitmix64's finaliser.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
