//! Every line that depends on an instruction set, and all `unsafe`: weight layouts, the thread pool, mapped files, the ops.
//!
//! It must not know layers, requests or text. `model` composes the ops of [`Backend`] into the forward pass.

#![expect(unsafe_code, reason = "this is the one crate that may; every block says who guarantees what")]

mod backend;
mod byte_vector;
mod choice;
mod cpu;
pub mod decode;
mod error;
mod huge;
pub mod measure;
mod pack;
mod packed;
mod pool;
mod reference;
mod rough;
mod storage;

pub use backend::{
    Attention, Backend, ExpertWeights, KV_BLOCK_POSITIONS, KvPrecision, LinearWeights, RotaryTable, Routing,
};
pub use choice::{Choice, draw_bits};
pub use cpu::training::{AdamStep, AttentionShape, Matrix, MuonStep, Place, Target, Training};
pub use cpu::{Cpu, Early, Isa, IsaKind, WeightForm};
pub use error::Error;
pub use huge::HugeBytes;
pub use pack::{PackReader, PackStore, PackWriter};
pub use pool::Pool;
pub use reference::Reference;
pub use storage::{Bytes, DenseFormat, DenseMatrix, GateUp, Mxfp4Layout, Mxfp4Matrix};
