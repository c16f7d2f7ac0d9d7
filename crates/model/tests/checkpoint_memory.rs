//! Planned memory: the published figures, and a real checkpoint's own bytes.

use kernels::KvPrecision;
use model::Checkpoint;
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
    assert_eq!(plan.window_kv_bytes, 24_576 * 128);
    let exact = checkpoint.memory_plan(100, KvPrecision::F32);
    assert_eq!((exact.full_kv_bytes, exact.window_kv_bytes), (49_152 * 100, 49_152 * 100));
    // Per layer: two norms and o bias of 64, q bias 4096, k and v bias 512, 64 sinks, router bias 128, experts 128 × (64 + 64).
    let values = 64 + 24 * (3 * 64 + 4096 + 2 * 512 + 64 + 128 + 128 * (64 + 64));
    assert_eq!(plan.widened_weight_bytes, 4 * values);
    assert_eq!(plan.mapped_weight_bytes, checkpoint.tensor_bytes() - 2 * values);
    let parts = plan.mapped_weight_bytes + plan.widened_weight_bytes + plan.full_kv_bytes + plan.window_kv_bytes;
    assert_eq!(plan.total_bytes(), parts);
}
