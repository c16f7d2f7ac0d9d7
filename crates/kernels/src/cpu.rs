//! The CPU backend: every op of [`Backend`] on a thread pool, with the kernels of the instruction set found at run time.
//!
//! It must not know layers or sequences. Weights stay where they lie, in the encoding they were published in.

mod activations;
mod attending;
mod attention;
mod block_memory;
mod dot;
mod early;
mod experts;
mod isa;
mod kv;
mod lanes;
mod packed_experts;
mod packed_linear;
mod pairs;
mod panel;
mod product;
mod products;
mod rows;
mod screen;
mod tile;
pub(crate) mod training;

use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::backend::{
    Attention, Backend, ExpertWeights, KvPrecision, LinearWeights, RotaryTable, Routing, top_experts,
};
use crate::choice::Choice;
use crate::error::Error;
use crate::pack::PackStore;
use crate::pool::Pool;
use activations::Activations;
use attending::AttendCall;
use block_memory::BlockPool;
pub use early::Early;
use experts::Experts;
pub use isa::{Isa, IsaKind};
use kv::Format;
use kv::{Kv, Page};
use packed_experts::PackedExperts;
use packed_linear::PackedLinear;
use product::{EncodedRow, Input, Output};
pub use products::WeightForm;
use products::{LayerExperts, Linear};
use screen::Screened;

/// Rows of activations per task in ops that only stream them.
const STREAM_TASK_ROWS: usize = 16;

/// The CPU backend.
pub struct Cpu {
    isa: &'static Isa,
    pool: Pool,
    form: WeightForm,
    store: PackStore,
    blocks: BlockPool,
    early: OnceLock<Early>,
    scratch: Mutex<Scratch>,
    /// Bytes of an unembedding from which on it has a rough copy.
    screened_from: usize,
}

/// Working memory, kept from op to op.
#[derive(Default)]
struct Scratch {
    experts: experts::Scratch,
    packed_experts: packed_experts::Scratch,
    activations: Activations,
}

/// Activations `[rows, columns]` on the heap.
#[derive(Default)]
pub struct Rows {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Cpu {
    /// A backend with `threads` threads, the caller's included.
    ///
    /// # Errors
    /// When this processor lacks the instruction set, or when the system cannot start that many threads.
    pub fn new(kind: IsaKind, threads: usize) -> Result<Self, Error> {
        Self::with_form(kind, threads, WeightForm::AsTheyLie)
    }

    /// The same with weights in another form.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub fn with_form(kind: IsaKind, threads: usize, form: WeightForm) -> Result<Self, Error> {
        Self::with_store(kind, threads, form, PackStore::Memory)
    }

    /// The same with packed weights that come from a file or go into one.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub fn with_store(kind: IsaKind, threads: usize, form: WeightForm, store: PackStore) -> Result<Self, Error> {
        let (isa, pool) = (Isa::require(kind)?, Pool::new(threads)?);
        Ok(Self {
            isa,
            pool,
            form,
            store,
            blocks: BlockPool::default(),
            early: OnceLock::new(),
            scratch: Mutex::default(),
            screened_from: screen::SCREENED_FROM_BYTES,
        })
    }

    /// Ends the file that packed weights went into; its bytes. Nothing where there was none.
    ///
    /// # Errors
    /// What the system said; nothing is left of the file.
    pub fn finish_pack(self) -> Result<Option<u64>, Error> {
        match self.store {
            PackStore::Memory | PackStore::Reader(_) => Ok(None),
            PackStore::Writer(writer) => writer.finish().map(Some),
        }
    }

    /// Which instruction set the kernels use.
    #[must_use]
    pub fn isa(&self) -> IsaKind {
        self.isa.kind
    }
}

impl Rows {
    fn input(&self) -> Input<'_> {
        Input { values: &self.values, stride: self.columns, tokens: self.rows, columns: self.columns }
    }

    fn resize(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows, columns);
        self.values.resize(rows * columns, 0.0);
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }
}

impl Backend for Cpu {
    type Rows = Rows;
    type Kv = Kv;
    type Page = Page;
    type Linear = Linear;
    type Experts = LayerExperts;

    fn load_linear(&self, weights: LinearWeights) -> Linear {
        let packed = PackedLinear::pack(&weights, self.form, (&self.pool, &self.store));
        packed.map_or(Linear::Plain(weights), Linear::Packed)
    }

    fn load_unembedding(&self, weights: LinearWeights) -> Linear {
        let (matrix, has_bias) = (weights.matrix.clone(), weights.bias.is_some());
        match self.load_linear(weights) {
            Linear::Packed(full) => {
                let pooled = (&self.pool, &self.store);
                let screened = Screened::pack(full, (&matrix, has_bias), self.screened_from, pooled);
                screened.map_or_else(Linear::Packed, Linear::Screened)
            }
            other => other,
        }
    }

    fn choosable(&self, layer: &Linear, x: &Rows, choices: &[Choice], out: &mut Rows) -> bool {
        match layer {
            Linear::Screened(layer) if x.rows <= screen::ROWS_MAX => {
                self.screened(layer, x, choices, out);
                false
            }
            _ => {
                self.linear(layer, x, out);
                true
            }
        }
    }

    fn load_exact_linear(&self, weights: LinearWeights) -> Linear {
        Linear::Plain(weights)
    }

    fn load_experts(&self, weights: ExpertWeights) -> LayerExperts {
        match self.form {
            WeightForm::AsTheyLie => LayerExperts::Plain(Experts::new(weights)),
            WeightForm::Packed | WeightForm::PackedEight => {
                let packed = PackedExperts::pack(&weights, (&self.pool, &self.store));
                self.settle_early(&packed);
                LayerExperts::Packed(packed)
            }
        }
    }

    fn new_kv(&self, kv_heads: usize, head_dim: usize, window: Option<usize>, precision: KvPrecision) -> Kv {
        Kv::new((kv_heads, head_dim), window, precision, self.isa, &self.blocks)
    }

    fn kv_bytes(&self, kv: &Kv) -> usize {
        kv.bytes()
    }

    fn kv_page(&self, kv: &Kv, index: usize) -> Option<Page> {
        kv.page(index)
    }

    fn restore_kv<'a>(&self, kv: &mut Kv, forgotten: usize, pages: impl Iterator<Item = &'a Page>) {
        kv.restore(forgotten, pages);
    }

    fn forget_kv(&self, kv: &mut Kv) {
        kv.forget();
    }

    fn truncate_kv(&self, kv: &mut Kv, length: usize) {
        kv.truncate(length);
    }

    fn kv_block_bytes(&self, kv_heads: usize, head_dim: usize, precision: KvPrecision) -> usize {
        kv::block_bytes(kv_heads, head_dim, precision)
    }

    fn kv_kind(&self) -> String {
        format!("{}-{:?}", self.isa.kind.name(), self.form)
    }

    fn describe(&self) -> String {
        let (isa, threads) = (self.isa.kind.name(), self.pool.threads());
        let early = self.early().words();
        format!("{isa}, {threads} threads, weights {early}")
    }

    fn kv_blocks_in_use(&self) -> usize {
        self.blocks.in_use()
    }

    fn write_page(&self, page: &Page, out: &mut Vec<u8>) {
        page.write(out);
    }

    fn read_page(&self, kv: &Kv, bytes: &[u8]) -> Option<Page> {
        kv.read_page(bytes)
    }

    fn resize(&self, x: &mut Rows, rows: usize, columns: usize) {
        x.resize(rows, columns);
    }

    fn embed(&self, table: &Linear, ids: &[u32], out: &mut Rows) {
        let Linear::Plain(table) = table else { panic!("a table that rows are looked up in lies as it was") };
        out.resize(ids.len(), table.matrix.columns);
        for (&id, to) in ids.iter().zip(out.values.chunks_exact_mut(table.matrix.columns)) {
            EncodedRow::dense(&table.matrix, id as usize).decode(self.isa, 0, to);
        }
    }

    fn rms_norm(&self, x: &Rows, weight: &[f32], epsilon: f32, out: &mut Rows) {
        assert_eq!(x.columns, weight.len());
        out.resize(x.rows, x.columns);
        let shared = Output { start: out.values.as_mut_ptr(), stride: x.columns };
        self.pool.run(x.rows.div_ceil(STREAM_TASK_ROWS), &|task| {
            for row in task * STREAM_TASK_ROWS..((task + 1) * STREAM_TASK_ROWS).min(x.rows) {
                // SAFETY: each row is one task's own; the three slices have `columns` values.
                unsafe {
                    let to = std::slice::from_raw_parts_mut(shared.place(row, 0), x.columns);
                    (self.isa.rms_norm)(x.row(row), weight, epsilon, to);
                }
            }
        });
    }

    fn linear(&self, layer: &Linear, x: &Rows, out: &mut Rows) {
        self.linears([layer], x, [out]);
    }

    fn linears<const COUNT: usize>(&self, layers: [&Linear; COUNT], x: &Rows, outs: [&mut Rows; COUNT]) {
        let mut packed = Vec::with_capacity(COUNT);
        for (layer, out) in layers.into_iter().zip(outs) {
            out.resize(x.rows, layer.rows());
            match layer.packed() {
                Err(layer) => self.product(layer, x, out, false),
                Ok(layer) => packed.push((layer, out)),
            }
        }
        // Layers of one model mostly have one form; those that differ get their own activations.
        while let Some(form) = packed.first().map(|(layer, _)| layer.form(self.isa)) {
            let same = packed.extract_if(.., |(layer, _)| layer.form(self.isa) == form);
            let outs: Vec<(&PackedLinear, &mut Rows)> = same.collect();
            self.packed_product(form, outs, x, false);
        }
    }

    fn linear_add(&self, layer: &Linear, x: &Rows, _scratch: &mut Rows, residual: &mut Rows) {
        match layer.packed() {
            Err(layer) => self.product(layer, x, residual, true),
            Ok(layer) => self.packed_product(layer.form(self.isa), vec![(layer, residual)], x, true),
        }
    }

    fn add(&self, x: &Rows, residual: &mut Rows) {
        assert_eq!(x.values.len(), residual.values.len());
        // SAFETY: the slices are equally long.
        unsafe { (self.isa.add_scaled)(&x.values, 1.0, &mut residual.values) };
    }

    fn rope(&self, x: &mut Rows, table: &RotaryTable) {
        let half = table.half;
        assert!(half > 0 && x.columns.is_multiple_of(2 * half) && table.cos.len() == x.rows * half);
        let (rows, columns) = (x.rows, x.columns);
        let shared = Output { start: x.values.as_mut_ptr(), stride: columns };
        self.pool.run(rows.div_ceil(STREAM_TASK_ROWS), &|task| {
            for row in task * STREAM_TASK_ROWS..((task + 1) * STREAM_TASK_ROWS).min(rows) {
                let (cos, sin) = (&table.cos[row * half..][..half], &table.sin[row * half..][..half]);
                // SAFETY: each row is one task's own.
                let values = unsafe { std::slice::from_raw_parts_mut(shared.place(row, 0), columns) };
                for head in values.chunks_exact_mut(2 * half) {
                    let (first, second) = head.split_at_mut(half);
                    for (((first, second), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                        (*first, *second) = (*first * cos - *second * sin, *second * cos + *first * sin);
                    }
                }
            }
        });
    }

    fn write_kv(&self, kv: &mut Kv, keys: &Rows, values: &Rows, rows: Range<usize>) {
        assert!(keys.columns == kv.kv_heads * kv.head_dim && values.columns == keys.columns);
        let range = rows.start * keys.columns..rows.end * keys.columns;
        kv.append(&keys.values[range.clone()], &values.values[range]);
    }

    fn attend(&self, shape: Attention<'_>, queries: &Rows, kv: &Kv, rows: Range<usize>, out: &mut Rows) {
        let columns = shape.heads * shape.head_dim;
        assert!(queries.columns == columns && out.columns == columns && rows.end <= queries.rows.min(out.rows));
        assert!(rows.len() <= kv.length && shape.kv_heads == kv.kv_heads && shape.head_dim == kv.head_dim);
        let out = Output { start: out.values.as_mut_ptr(), stride: columns };
        match kv.format {
            Format::F32 => self.attend_blocks(&AttendCall { kv, shape, queries, rows, out }, self.isa.attend_f32),
            Format::BF16 => self.attend_blocks(&AttendCall { kv, shape, queries, rows, out }, self.isa.attend_bf16),
            Format::Q8(_) => self.attend_blocks(&AttendCall { kv, shape, queries, rows, out }, self.isa.attend_q8),
            Format::Pairs(kernels) => {
                let queries = &queries.values[rows.start * columns..rows.end * columns];
                // SAFETY: `out` has the rows, asserted above.
                let out = Output { start: unsafe { out.place(rows.start, 0) }, stride: columns };
                pairs::attend(kernels, &self.pool, &pairs::Call { kv, attention: shape, queries, out });
            }
        }
    }

    fn route(&self, logits: &Rows, experts_per_row: usize, out: &mut Routing) {
        out.experts_per_row = experts_per_row;
        out.experts.clear();
        out.weights.clear();
        for row in logits.values.chunks_exact(logits.columns) {
            for (expert, weight) in top_experts(row.iter().map(|&logit| f64::from(logit)), experts_per_row) {
                out.experts.push(expert);
                out.weights.push(weight as f32);
            }
        }
    }

    fn experts(&self, layer: &LayerExperts, x: &Rows, routing: &Routing, residual: &mut Rows) {
        assert!(residual.rows == x.rows && residual.columns == x.columns);
        assert_eq!(routing.experts.len(), x.rows * routing.experts_per_row);
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let residual = &mut residual.values[..];
        match layer {
            LayerExperts::Plain(layer) => {
                layer.run(self.isa, &self.pool, &x.values, routing, &mut scratch.experts, residual);
            }
            LayerExperts::Packed(layer) => {
                layer.run(self.device(), &x.values, routing, &mut scratch.packed_experts, residual);
            }
        }
    }

    fn gather(&self, x: &Rows, picked: &[usize], out: &mut Rows) {
        out.resize(picked.len(), x.columns);
        for (&row, to) in picked.iter().zip(out.values.chunks_exact_mut(x.columns)) {
            to.copy_from_slice(x.row(row));
        }
    }

    fn read(&self, x: &Rows, out: &mut Vec<f32>) {
        out.extend_from_slice(&x.values);
    }
}
