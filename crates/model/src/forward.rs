//! The forward pass of gpt-oss, written once over [`Backend`]. It must not know devices, sampling or scheduling.
//!
//! A batch is a list of spans, each a run of new tokens of one sequence. Prefill and decode differ only in a span's length.

mod unembed;

use kernels::{
    Attention, Backend, Choice, ExpertWeights, KV_BLOCK_POSITIONS, KvPrecision, LinearWeights, RotaryTable, Routing,
};

use crate::checkpoint::{Checkpoint, LayerWeights};
use crate::config::{AttentionKind, ModelConfig};
use crate::error::Error;
use crate::model::{Model, SequenceId, Span, Wanted};
use crate::pages::{KvShape, PageId, Pages};
use crate::rope::Frequencies;

/// A gpt-oss model on a backend, with the caches of its open sequences.
pub struct GptOss<B: Backend> {
    backend: B,
    config: ModelConfig,
    kv: KvPrecision,
    frequencies: Frequencies,
    embedding: B::Linear,
    unembedding: B::Linear,
    final_norm: Vec<f32>,
    layers: Vec<Layer<B>>,
    sequences: Vec<Option<Sequence<B>>>,
    pages: Pages<B>,
    work: Work<B>,
}

struct Layer<B: Backend> {
    window: Option<usize>,
    attention_norm: Vec<f32>,
    query: B::Linear,
    key: B::Linear,
    value: B::Linear,
    output: B::Linear,
    sinks: Vec<f32>,
    mlp_norm: Vec<f32>,
    router: B::Linear,
    experts: B::Experts,
}

struct Sequence<B: Backend> {
    length: usize,
    /// Tokens of the last span: those that can be taken back.
    appended: usize,
    /// One cache per layer.
    caches: Vec<B::Kv>,
}

/// What lives from one forward pass to the next, so that its memory is allocated once and not per token.
struct Work<B: Backend> {
    residual: B::Rows,
    normed: B::Rows,
    query: B::Rows,
    key: B::Rows,
    value: B::Rows,
    attended: B::Rows,
    router_logits: B::Rows,
    scratch: B::Rows,
    rotary: RotaryTable,
    routing: Routing,
    /// The batch's tokens.
    ids: Vec<u32>,
    /// The rows whose logits are wanted.
    wanted: Vec<usize>,
    /// For each of those, what its logits are wanted for, where only that counts; once they are computed, where only that is right.
    choices: Vec<Option<Choice>>,
}

impl<B: Backend> GptOss<B> {
    /// Takes over a checkpoint whose shapes were checked by the loader; keys and values will be kept in `kv`.
    #[must_use]
    pub fn new(backend: B, checkpoint: Checkpoint, kv: KvPrecision) -> Self {
        let config = checkpoint.config;
        let layers = config.layers.iter().zip(checkpoint.layers);
        Self {
            kv,
            frequencies: Frequencies::new(&config.rope, config.head_dim),
            embedding: backend.load_exact_linear(LinearWeights { matrix: checkpoint.embedding, bias: None }),
            unembedding: backend.load_unembedding(LinearWeights { matrix: checkpoint.unembedding, bias: None }),
            final_norm: checkpoint.final_norm,
            layers: layers.map(|(&kind, weights)| Layer::new(&backend, &config, kind, weights)).collect(),
            sequences: Vec::new(),
            pages: Pages::default(),
            work: Work::default(),
            config,
            backend,
        }
    }

    /// The backend, without the model.
    pub(crate) fn into_backend(self) -> B {
        self.backend
    }

    /// Refuses what cannot be computed, before anything is written to a cache.
    fn check(&self, batch: &[Span<'_>]) -> Result<(), Error> {
        for (index, span) in batch.iter().enumerate() {
            if span.ids.is_empty() {
                return Err(Error::EmptySpan);
            }
            if let Some(&id) = span.ids.iter().find(|&&id| id as usize >= self.config.vocabulary_size) {
                return Err(Error::TokenOutOfRange { id, vocabulary_size: self.config.vocabulary_size });
            }
            let needed = self.sequence(span.sequence).length + span.ids.len();
            if needed > self.config.context_length {
                return Err(Error::ContextExceeded { needed, context_length: self.config.context_length });
            }
            assert!(
                batch[..index].iter().all(|other| other.sequence != span.sequence),
                "one span per sequence and batch"
            );
        }
        Ok(())
    }

    fn sequence(&self, id: SequenceId) -> &Sequence<B> {
        self.sequences[id.0].as_ref().expect("the sequence is open")
    }

    /// An empty cache of a layer.
    fn new_cache(&self, layer: &Layer<B>) -> B::Kv {
        self.backend.new_kv(self.config.kv_heads, self.config.head_dim, layer.window, self.kv)
    }

    fn insert(&mut self, sequence: Sequence<B>) -> SequenceId {
        let free = self.sequences.iter().position(Option::is_none).unwrap_or(self.sequences.len());
        if free == self.sequences.len() {
            self.sequences.push(None);
        }
        self.sequences[free] = Some(sequence);
        SequenceId(free)
    }

    fn attention(&mut self, index: usize, batch: &[Span<'_>]) {
        let (layer, backend, work) = (&self.layers[index], &self.backend, &mut self.work);
        backend.rms_norm(&work.residual, &layer.attention_norm, self.config.rms_norm_epsilon, &mut work.normed);
        backend.linears(
            [&layer.query, &layer.key, &layer.value],
            &work.normed,
            [&mut work.query, &mut work.key, &mut work.value],
        );
        backend.rope(&mut work.query, &work.rotary);
        backend.rope(&mut work.key, &work.rotary);
        let shape = Attention {
            heads: self.config.heads,
            kv_heads: self.config.kv_heads,
            head_dim: self.config.head_dim,
            sinks: &layer.sinks,
            window: layer.window,
        };
        let rows = batch.iter().map(|span| span.ids.len()).sum();
        backend.resize(&mut work.attended, rows, self.config.heads * self.config.head_dim);
        let mut start = 0;
        for span in batch {
            let rows = start..start + span.ids.len();
            start = rows.end;
            let sequence = self.sequences[span.sequence.0].as_mut().expect("the sequence is open");
            let cache = &mut sequence.caches[index];
            backend.write_kv(cache, &work.key, &work.value, rows.clone());
            backend.attend(shape, &work.query, cache, rows, &mut work.attended);
        }
        backend.linear_add(&layer.output, &work.attended, &mut work.scratch, &mut work.residual);
    }

    fn mixture_of_experts(&mut self, index: usize) {
        let (layer, backend, work) = (&self.layers[index], &self.backend, &mut self.work);
        backend.rms_norm(&work.residual, &layer.mlp_norm, self.config.rms_norm_epsilon, &mut work.normed);
        backend.linear(&layer.router, &work.normed, &mut work.router_logits);
        backend.route(&work.router_logits, self.config.experts_per_token, &mut work.routing);
        backend.experts(&layer.experts, &work.normed, &work.routing, &mut work.residual);
    }

    /// Lists the batch's tokens, rotations and wanted rows.
    fn prepare(&mut self, batch: &[Span<'_>]) {
        let work = &mut self.work;
        work.ids.clear();
        work.wanted.clear();
        work.choices.clear();
        work.rotary.clear();
        for span in batch {
            let first = self.sequences[span.sequence.0].as_ref().expect("the sequence is open").length;
            for position in first..first + span.ids.len() {
                self.frequencies.push(position, &mut work.rotary);
            }
            let rows = work.ids.len()..work.ids.len() + span.ids.len();
            work.ids.extend_from_slice(span.ids);
            work.wanted.extend(rows.end - span.logit_rows()..rows.end);
            if let Wanted::Chosen { choice, rows } = span.wanted {
                work.choices.extend((0..rows).map(|draws| Some(choice.later(draws))));
            }
            work.choices.resize(work.wanted.len(), None);
        }
    }
}

impl<B: Backend> Model for GptOss<B> {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn describe(&self) -> String {
        self.backend.describe()
    }

    fn open_sequence(&mut self) -> SequenceId {
        let caches = self.layers.iter().map(|layer| self.new_cache(layer)).collect();
        self.insert(Sequence { length: 0, appended: 0, caches })
    }

    fn close_sequence(&mut self, id: SequenceId) {
        self.sequences[id.0] = None;
    }

    fn sequence_length(&self, id: SequenceId) -> usize {
        self.sequence(id).length
    }

    fn sequence_bytes(&self, id: SequenceId) -> usize {
        self.sequence(id).caches.iter().map(|cache| self.backend.kv_bytes(cache)).sum()
    }

    fn kv_shape(&self) -> KvShape {
        let ModelConfig { kv_heads, head_dim, .. } = self.config;
        let block_bytes = self.backend.kv_block_bytes(kv_heads, head_dim, self.kv);
        KvShape::new(&self.config, block_bytes, format!("{}-{:?}", self.backend.kv_kind(), self.kv))
    }

    fn kv_blocks_in_use(&self) -> usize {
        self.backend.kv_blocks_in_use()
    }

    fn keep_page(&mut self, id: SequenceId, kind: AttentionKind, index: usize) -> Option<PageId> {
        let caches = self.sequence(id).caches.iter().zip(&self.config.layers).filter(|&(_, &layer)| layer == kind);
        let blocks: Option<Vec<B::Page>> = caches.map(|(cache, _)| self.backend.kv_page(cache, index)).collect();
        Some(self.pages.keep(blocks?))
    }

    fn drop_page(&mut self, page: PageId) {
        self.pages.forget(page);
    }

    fn open_from(&mut self, full: &[PageId], sliding: &[PageId]) -> SequenceId {
        let (mut full_layer, mut sliding_layer) = (0, 0);
        let mut caches = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let mut cache = self.new_cache(layer);
            let (pages, forgotten, of_kind) = match layer.window {
                None => (full, 0, &mut full_layer),
                Some(_) => (sliding, full.len() - sliding.len(), &mut sliding_layer),
            };
            let blocks = pages.iter().map(|&page| &self.pages.blocks(page)[*of_kind]);
            self.backend.restore_kv(&mut cache, forgotten, blocks);
            *of_kind += 1;
            caches.push(cache);
        }
        let length = full.len() * KV_BLOCK_POSITIONS;
        assert_eq!(sliding.len(), self.kv_shape().window_blocks(length).min(full.len()), "the window is whole");
        self.insert(Sequence { length, appended: 0, caches })
    }

    fn forget(&mut self, id: SequenceId) {
        let sequence = self.sequences[id.0].as_mut().expect("the sequence is open");
        sequence.appended = 0;
        sequence.caches.iter_mut().for_each(|cache| self.backend.forget_kv(cache));
    }

    fn truncate(&mut self, id: SequenceId, length: usize) {
        let sequence = self.sequences[id.0].as_mut().expect("the sequence is open");
        let taken = sequence.length.checked_sub(length).expect("a sequence gets no longer");
        sequence.appended = sequence.appended.checked_sub(taken).expect("only the last span can be taken back");
        sequence.length = length;
        sequence.caches.iter_mut().for_each(|cache| self.backend.truncate_kv(cache, length));
    }

    fn write_page(&self, page: PageId, out: &mut Vec<u8>) {
        self.pages.blocks(page).iter().for_each(|block| self.backend.write_page(block, out));
    }

    fn read_page(&mut self, kind: AttentionKind, bytes: &[u8]) -> Option<PageId> {
        let layers = self.kv_shape().layers(kind);
        if layers == 0 {
            return bytes.is_empty().then(|| self.pages.keep(Vec::new()));
        }
        let layer = self.layers.iter().zip(&self.config.layers).find(|&(_, &layer)| layer == kind)?.0;
        let cache = self.new_cache(layer);
        if !bytes.len().is_multiple_of(layers) || bytes.is_empty() {
            return None;
        }
        let parts = bytes.chunks_exact(bytes.len() / layers);
        let blocks: Option<Vec<B::Page>> = parts.map(|part| self.backend.read_page(&cache, part)).collect();
        Some(self.pages.keep(blocks?))
    }

    fn forward(&mut self, batch: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), Error> {
        self.check(batch)?;
        logits.clear();
        self.prepare(batch);
        self.backend.embed(&self.embedding, &self.work.ids, &mut self.work.residual);
        for index in 0..self.layers.len() {
            self.attention(index, batch);
            self.mixture_of_experts(index);
        }
        for span in batch {
            let sequence = self.sequences[span.sequence.0].as_mut().expect("the sequence is open");
            sequence.length += span.ids.len();
            sequence.appended = span.ids.len();
        }
        self.unembed(logits);
        match logits.iter().position(|logit| !logit.is_finite()) {
            Some(at) => Err(Error::NonFiniteLogits { token: at % self.config.vocabulary_size }),
            None => Ok(()),
        }
    }

    fn complete(&mut self, row: usize, logits: &mut [f32]) {
        self.unembed_row(row, logits);
    }
}

impl<B: Backend> Layer<B> {
    fn new(backend: &B, config: &ModelConfig, kind: AttentionKind, weights: LayerWeights) -> Self {
        let linear = |matrix, bias| backend.load_linear(LinearWeights { matrix, bias: Some(bias) });
        Self {
            window: match kind {
                AttentionKind::Sliding => Some(config.sliding_window),
                AttentionKind::Full => None,
            },
            attention_norm: weights.attention_norm,
            query: linear(weights.query, weights.query_bias),
            key: linear(weights.key, weights.key_bias),
            value: linear(weights.value, weights.value_bias),
            output: linear(weights.output, weights.output_bias),
            sinks: weights.sinks,
            mlp_norm: weights.mlp_norm,
            router: backend
                .load_exact_linear(LinearWeights { matrix: weights.router, bias: Some(weights.router_bias) }),
            experts: backend.load_experts(ExpertWeights {
                gate_up: weights.gate_up,
                gate_up_bias: weights.gate_up_bias,
                down: weights.down,
                down_bias: weights.down_bias,
                swiglu_limit: config.swiglu_limit,
            }),
        }
    }
}

impl<B: Backend> Default for Work<B> {
    fn default() -> Self {
        Self {
            residual: B::Rows::default(),
            normed: B::Rows::default(),
            query: B::Rows::default(),
            key: B::Rows::default(),
            value: B::Rows::default(),
            attended: B::Rows::default(),
            router_logits: B::Rows::default(),
            scratch: B::Rows::default(),
            rotary: RotaryTable::default(),
            routing: Routing::default(),
            ids: Vec::new(),
            wanted: Vec::new(),
            choices: Vec::new(),
        }
    }
}
