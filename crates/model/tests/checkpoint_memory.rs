//! Planned memory: the published figures, and a real checkpoint's own bytes.

use kernels::{KvPrecision, PackStore};
use model::{Checkpoint, Device, PLANNED_CHUNK_TOKENS, Precision, Span, Wanted};
use synth::{Layout, Shape, Writer};
use tempfile::TempDir;

#[test]
fn the_plan_of_a_checkpoint_adds_up() {
    let folder = TempDir::new().unwrap();
    // The published attention shape (24 layers, 8 key/value heads of 64, window 128), which decides the cache's size.
    let published = Shape::gpt_oss_20b();
    let shape = Shape {
        layers: published.layers,
        heads: published.heads,
        kv_heads: published.kv_heads,
        head_dim: published.head_dim,
        sliding_window: published.sliding_window,
        ..Shape::tiny_moe128()
    };
    let written = Writer::new(shape).layout(Layout::HuggingFace { shards: 1 }).write(folder.path()).unwrap();
    let checkpoint = Checkpoint::open(&written.model).unwrap();
    let plan = checkpoint.memory_plan(131_072, KvPrecision::BF16);
    assert_eq!(plan.full_kv_bytes_per_token, 24_576);
    assert_eq!(plan.full_kv_bytes, 24_576 * 131_072);
    // 127 positions and a chunk of 2,048 touch at most 35 blocks of 64.
    assert_eq!(plan.window_kv_bytes, 24_576 * 35 * 64);
    let exact = checkpoint.memory_plan(100, KvPrecision::F32);
    assert_eq!((exact.full_kv_bytes, exact.window_kv_bytes), (49_152 * 128, 49_152 * 128));
    // A byte a value and two f32 scales per head: 17/32 of bf16.
    assert_eq!(checkpoint.memory_plan(100, KvPrecision::Q8).full_kv_bytes_per_token, 24_576 * 17 / 32);
    // Per layer: two norms and o bias of 64, q bias 4096, k and v bias 512, 64 sinks, router bias 128, experts 128 × (64 + 64).
    let values = 64 + 24 * (3 * 64 + 4096 + 2 * 512 + 64 + 128 + 128 * (64 + 64));
    assert_eq!(plan.widened_weight_bytes, 4 * values);
    assert_eq!(plan.mapped_weight_bytes, checkpoint.tensor_bytes() - 2 * values);
    let parts = plan.mapped_weight_bytes + plan.widened_weight_bytes + plan.full_kv_bytes + plan.window_kv_bytes;
    assert_eq!(plan.total_bytes(), parts);
}

#[test]
fn the_plan_covers_what_a_run_takes_and_little_more() {
    // Heads of 18 are padded to 32; the windows lie below, at and above a block.
    let padded = Shape { heads: 4, kv_heads: 2, head_dim: 18, sliding_window: 64, ..Shape::tiny() };
    let wide = Shape { sliding_window: 100, ..Shape::tiny() };
    for shape in [Shape::tiny(), padded, wide] {
        let folder = TempDir::new().unwrap();
        let layers = shape.layers.len();
        let written = Writer::new(shape).layout(Layout::HuggingFace { shards: 1 }).write(folder.path()).unwrap();
        let checkpoint = Checkpoint::open(&written.model).unwrap();
        for (precision, kept) in [
            (Precision::Exact, KvPrecision::F32),
            (Precision::Default, KvPrecision::BF16),
            (Precision::Default, KvPrecision::Q8),
        ] {
            for chunk in [1, 7, 64, 100, 300, 512] {
                let device = Device::Cpu { isa: kernels::IsaKind::best(), threads: 2 };
                let store = PackStore::Memory;
                let mut model = model::load_with_kv(checkpoint.clone(), device, precision, kept, store).unwrap();
                let (sequence, mut greatest) = (model.open_sequence(), 0);
                for context in [1, 40, 64, 200, 700] {
                    let ids = vec![5; context - model.sequence_length(sequence)];
                    for ids in ids.chunks(chunk) {
                        model.forward(&[Span { sequence, ids, wanted: Wanted::None }], &mut Vec::new()).unwrap();
                        greatest = greatest.max(model.sequence_bytes(sequence) as u64);
                    }
                    let plan = checkpoint.memory_plan_in_chunks(context, chunk, kept);
                    let planned = plan.full_kv_bytes + plan.window_kv_bytes;
                    let block = layers as u64 * 64 * plan.full_kv_bytes_per_token / 2;
                    let what = format!("{context} tokens in chunks of {chunk}, {kept:?}: {planned} and {greatest}");
                    assert!(greatest <= planned && planned <= greatest * 3 / 2 + block, "{what}");
                }
            }
        }
        assert_eq!(
            checkpoint.memory_plan(9_000, KvPrecision::BF16),
            checkpoint.memory_plan_in_chunks(9_000, PLANNED_CHUNK_TOKENS, KvPrecision::BF16)
        );
    }
}
