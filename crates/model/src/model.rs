//! What the engine sees of a model: sequences in, logits out, whatever the backend. It must not know text or requests.

use std::path::Path;

use kernels::{Choice, Cpu, DenseMatrix, IsaKind, KvPrecision, PackStore, PackWriter, Reference, WeightForm};

use crate::checkpoint::Checkpoint;
use crate::config::{AttentionKind, ModelConfig};
use crate::error::Error;
use crate::forward::GptOss;
use crate::pages::{KvShape, PageId};

/// How exactly is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32 activations and f32 keys and values: equal to the reference within float rounding.
    Exact,
    /// Weights as published; keys and values in bf16, activations before experts in 8 bits per block of 32, before dense bf16
    /// weights in bf16 where the processor multiplies that.
    #[default]
    Default,
    /// The same with the dense weights in 8 bits per block of 32.
    DenseEight,
}

impl Precision {
    /// In which precision keys and values are kept unless another is asked for.
    #[must_use]
    pub const fn kv(self) -> KvPrecision {
        match self {
            Self::Exact => KvPrecision::F32,
            Self::Default | Self::DenseEight => KvPrecision::BF16,
        }
    }

    /// Bytes of the rough copy that a CPU makes of an unembedding, to read instead of it where a token is chosen; 0 where it makes
    /// none.
    #[must_use]
    pub fn rough_bytes(self, unembedding: &DenseMatrix) -> usize {
        Cpu::rough_bytes(unembedding, form(self))
    }
}

/// Where is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The slow twin in f64.
    Reference,
    /// The CPU with an instruction set and a number of threads.
    Cpu {
        /// Which kernels.
        isa: IsaKind,
        /// How many threads, the caller's included.
        threads: usize,
    },
}

/// Names an open sequence of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceId(pub(crate) usize);

/// New tokens of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// An open sequence; at most one span of it per batch.
    pub sequence: SequenceId,
    /// The tokens that follow what the sequence holds; at least one.
    pub ids: &'a [u32],
    /// Which of them need logits.
    pub wanted: Wanted,
}

impl Span<'_> {
    /// Rows of logits that it asks for.
    #[must_use]
    pub const fn logit_rows(&self) -> usize {
        match self.wanted {
            Wanted::None => 0,
            Wanted::Last => 1,
            Wanted::Chosen { rows, .. } => rows,
            Wanted::All => self.ids.len(),
        }
    }
}

/// Which tokens of a span need logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// None: the prompt goes on in a later span.
    None,
    /// The last.
    Last,
    /// The last so many, each for one choice only: what could be chosen has the logits that [`Wanted::All`] gives, what cannot be
    /// chosen has others near them, with which it cannot. For large vocabularies that is read from less memory.
    Chosen {
        /// Of the first of these tokens; each one behind it is of the next draw.
        choice: Choice,
        /// How many; at most the span's.
        rows: usize,
    },
    /// Every one.
    All,
}

/// A language model: appends tokens to sequences and says how likely each next token is.
pub trait Model: Send {
    /// The model's shape.
    fn config(&self) -> &ModelConfig;

    /// What it is computed with, for people.
    fn describe(&self) -> String;

    /// Begins an empty sequence.
    fn open_sequence(&mut self) -> SequenceId;

    /// Forgets a sequence and frees its memory.
    fn close_sequence(&mut self, id: SequenceId);

    /// Tokens that the sequence holds.
    fn sequence_length(&self, id: SequenceId) -> usize;

    /// Bytes of keys and values that the sequence holds.
    fn sequence_bytes(&self, id: SequenceId) -> usize;

    /// What keys and values take.
    fn kv_shape(&self) -> KvShape;

    /// Blocks of keys and values that sequences and pages hold together now; what they share counts once.
    fn kv_blocks_in_use(&self) -> usize;

    /// Keeps the blocks of positions `block_positions · index ..` in all layers of a kind, beyond the sequence's own life. Nothing
    /// when they are not whole yet or were forgotten: a sliding layer forgets what lies behind its window when tokens are
    /// appended.
    fn keep_page(&mut self, id: SequenceId, kind: AttentionKind, index: usize) -> Option<PageId>;

    /// Lets a page go.
    fn drop_page(&mut self, page: PageId);

    /// Begins a sequence that holds what the pages hold: `full` from the first position on without a gap, `sliding` the last
    /// [`KvShape::window_blocks`] of those. What it computes from there on is what it would have computed after reading the tokens
    /// themselves.
    ///
    /// # Panics
    /// When the pages cannot be that: our own bug.
    fn open_from(&mut self, full: &[PageId], sliding: &[PageId]) -> SequenceId;

    /// Gives up what no later token of a sequence sees. Its last tokens cannot be taken back any more.
    fn forget(&mut self, id: SequenceId);

    /// Takes back the last tokens of a sequence, so that `length` stay: at most those of the last span of it.
    ///
    /// # Panics
    /// When that many were not appended last: our own bug.
    fn truncate(&mut self, id: SequenceId, length: usize);

    /// Appends a page's bytes, to be read where [`KvShape::kind`] is the same.
    fn write_page(&self, page: PageId, out: &mut Vec<u8>);

    /// A page from what [`Model::write_page`] wrote; nothing when the bytes cannot be that.
    fn read_page(&mut self, kind: AttentionKind, bytes: &[u8]) -> Option<PageId>;

    /// Appends the spans' tokens and replaces `logits` by those wanted, `[wanted rows, vocabulary]`, in the order of the batch.
    ///
    /// # Errors
    /// An empty span, a token outside the vocabulary or a context overrun is refused before anything is computed. Logits
    /// that are not finite mean that the weights are broken; the tokens count as appended then.
    fn forward(&mut self, batch: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), Error>;

    /// Makes the logits `[vocabulary]` that a row of the last forward pass had for a choice only all of that row's logits: for whoever then
    /// chooses in another way. Rows are counted over all that were wanted.
    fn complete(&mut self, row: usize, logits: &mut [f32]);
}

/// Puts a checkpoint on a device.
///
/// # Errors
/// When this processor lacks the instruction set, or the system cannot start that many threads.
pub fn load(checkpoint: Checkpoint, device: Device, precision: Precision) -> Result<Box<dyn Model>, Error> {
    load_with(checkpoint, device, precision, PackStore::Memory)
}

/// The same with packed weights from a file.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    checkpoint: Checkpoint,
    device: Device,
    precision: Precision,
    store: PackStore,
) -> Result<Box<dyn Model>, Error> {
    load_with_kv(checkpoint, device, precision, precision.kv(), store)
}

/// The same with keys and values in a precision of their own.
///
/// # Errors
/// As [`load`].
pub fn load_with_kv(
    checkpoint: Checkpoint,
    device: Device,
    precision: Precision,
    kv: KvPrecision,
    store: PackStore,
) -> Result<Box<dyn Model>, Error> {
    match device {
        Device::Reference => Ok(Box::new(GptOss::new(Reference, checkpoint, kv))),
        Device::Cpu { isa, threads } => {
            let cpu = Cpu::with_store(isa, threads, form(precision), store)?;
            Ok(Box::new(GptOss::new(cpu, checkpoint, kv)))
        }
    }
}

/// Packs a checkpoint's weights into a file that [`load_with`] maps. Returns the bytes written.
///
/// # Errors
/// As [`load`], or what the system says about the file; nothing is left of it then.
pub fn pack(checkpoint: Checkpoint, threads: usize, precision: Precision, path: &Path) -> Result<u64, Error> {
    let store = PackStore::Writer(PackWriter::create(path)?);
    let cpu = Cpu::with_store(IsaKind::best(), threads, form(precision), store)?;
    let cpu = GptOss::new(cpu, checkpoint, precision.kv()).into_backend();
    Ok(cpu.finish_pack()?.unwrap_or_default())
}

const fn form(precision: Precision) -> WeightForm {
    match precision {
        Precision::Exact => WeightForm::AsTheyLie,
        Precision::Default => WeightForm::Packed,
        Precision::DenseEight => WeightForm::PackedEight,
    }
}
