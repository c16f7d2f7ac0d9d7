//! How far the random weights spread, so that activations and logits stay in a trained model's range.
//!
//! Weight matrices are spread as 1/√width, so that a shape can be changed without every number being retuned.

use crate::error::{Error, Result};

/// Standard deviations (and ranges of MXFP4 scales) of the random weights, kind by kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// RMSNorm weights, around 1.
    pub norm: f64,
    /// Query, key and value matrices at hidden size 96; they shrink as √(96 / hidden size).
    pub query_key_value_weight: f64,
    /// Query, key and value biases.
    pub query_key_value_bias: f64,
    /// Attention output matrix at 512 query values; it shrinks as √(512 / query width).
    pub attention_output_weight: f64,
    /// Attention output bias.
    pub attention_output_bias: f64,
    /// Attention sinks, around 1.
    pub sink: f64,
    /// Router matrix at hidden size 96; it shrinks as √(96 / hidden size).
    pub router_weight: f64,
    /// Router bias.
    pub router_bias: f64,
    /// First and last E8M0 byte of the gate/up scales (a scale is 2^(byte − 127)).
    pub gate_up_scales: [u8; 2],
    /// Gate/up bias.
    pub gate_up_bias: f64,
    /// First and last E8M0 byte of the down scales.
    pub down_scales: [u8; 2],
    /// Down bias.
    pub down_bias: f64,
    /// Embedding rows.
    pub embedding: f64,
    /// One row of the embedding with a spread of its own: a row so small that its mean square is near the epsilon of
    /// RMSNorm makes a wrong epsilon visible.
    pub embedding_exception: Option<(usize, f64)>,
    /// Unembedding at hidden size 96; it shrinks as √(96 / hidden size), which gives logits a spread of about 2.
    pub unembedding: f64,
}

impl Spread {
    /// The spread of the tiny models.
    #[must_use]
    pub const fn tiny() -> Self {
        Self {
            norm: 0.15,
            query_key_value_weight: 0.1,
            query_key_value_bias: 0.3,
            attention_output_weight: 0.05,
            attention_output_bias: 0.1,
            sink: 1.0,
            router_weight: 0.2,
            router_bias: 0.5,
            gate_up_scales: [122, 125],
            gate_up_bias: 0.5,
            down_scales: [117, 120],
            down_bias: 0.1,
            embedding: 1.0,
            embedding_exception: Some((3, 0.003)),
            unembedding: 0.2,
        }
    }

    /// The spread of the published sizes. Rows of 2,880 values sum to more than rows of 96, so the MXFP4 scales are smaller.
    /// E2M1 codes drawn evenly have a root mean square of 2.93. With scale bytes 119–122 gate values are 2.9 wide, so that
    /// some reach the clamp at 7; with 117–119 the experts add about 1.5 to the residual stream per layer, which is 8 wide
    /// after 24 layers. Logits are 2 wide.
    #[must_use]
    pub const fn full_size() -> Self {
        Self { gate_up_scales: [119, 122], down_scales: [117, 119], embedding_exception: None, ..Self::tiny() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (field, [low, high]) in
            [("spread.gate_up_scales", self.gate_up_scales), ("spread.down_scales", self.down_scales)]
        {
            if low > high || high == u8::MAX {
                let expected = "first ≤ last ≤ 254 (255 is NaN)".into();
                return Err(Error::Shape { field, found: format!("[{low}, {high}]"), expected });
            }
        }
        Ok(())
    }
}
