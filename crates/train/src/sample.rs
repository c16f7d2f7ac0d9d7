//! What is learnt from: token ids, and which of them count. Data only.

/// One document. Documents never see each other, however they are packed, and each begins at position 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The tokens.
    pub ids: Vec<u32>,
    /// By token: the weight of predicting it from those before it; 0 for what the model does not write. The first token's
    /// is not used. As many as `ids`.
    pub weights: Vec<f32>,
}
