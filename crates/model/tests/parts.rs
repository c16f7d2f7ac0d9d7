//! Parts of the forward pass against their goldens, and what must hold of it whatever the numbers: batches, limits, errors.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use kernels::{IsaKind, Mxfp4Layout, RotaryTable, decode};
use model::{Error, Frequencies, Model, Precision, Rope, Span, Wanted, Yarn};
use support::{Feed, Golden, all_logits, checkpoint, cpu, difference, load};
use synth::{Layout, Shape};

const IDS: [u32; 40] = [
    7, 300, 12, 45, 99, 400, 1, 2, 4, 5, 6, 450, 33, 210, 178, 90, 8, 64, 65, 66, 67, 68, 120, 121, 122, 123, 480, 470,
    9, 10, 11, 350, 351, 352, 13, 14, 15, 16, 17, 18,
];

fn tiny() -> Box<dyn Model> {
    load(&checkpoint(&Shape::tiny(), Layout::HuggingFace { shards: 1 }), cpu(IsaKind::best(), 2), Precision::Exact)
}

#[test]
fn rotary_tables_equal_transformers() {
    let golden = Golden::read("tiny-kernels.safetensors");
    let yarn = Yarn { factor: 32.0, beta_fast: 32.0, beta_slow: 1.0, original_context: 4096, truncate: false };
    let frequencies = Frequencies::new(&Rope { theta: 150_000.0, yarn: Some(yarn) }, 64);
    for (found, expected) in frequencies.inverse.iter().zip(golden.f32("rope.inv_freq")) {
        assert!((found / f64::from(expected) - 1.0).abs() < 1e-6, "{found} instead of {expected}");
    }
    let (cos, sin) = (golden.f32("rope.cos"), golden.f32("rope.sin"));
    for (row, &position) in golden.u32("rope.pos").iter().enumerate() {
        let mut table = RotaryTable::default();
        frequencies.push(position as usize, &mut table);
        // The golden's angles are f32: one unit in their last place grows with the position (the golden's README has the table).
        let tolerance = match position {
            0..=8 => 1e-6,
            9..=129 => 5e-6,
            130..=4097 => 2e-4,
            _ => 4e-3,
        };
        for (found, expected) in [(&table.cos, &cos[row * 32..]), (&table.sin, &sin[row * 32..])] {
            let (max, _) = difference(found, &expected[..32]);
            assert!(max < tolerance, "position {position}: differs by {max:e}");
        }
    }
}

#[test]
fn mxfp4_values_equal_transformers() {
    let golden = Golden::read("tiny-kernels.safetensors");
    let expected = golden.f32("mxfp4.value");
    let nibbles: Vec<u8> = (0..16).map(|i| ((2 * i) | ((2 * i + 1) << 4)) as u8).collect();
    for (row, &scale) in golden.u32("mxfp4.scale").iter().enumerate() {
        let mut values = [0.0; 32];
        decode::decode_mxfp4_block(Mxfp4Layout::Split, &nibbles, scale as u8, &mut values);
        assert_eq!(values[..16], expected[row * 16..][..16], "scale {scale}");
    }
}

#[test]
fn sequences_of_a_batch_do_not_see_each_other() {
    let mut model = tiny();
    let (_, first) = all_logits(&mut *model, &IDS[..9], Feed::Whole);
    let (_, second) = all_logits(&mut *model, &IDS[20..], Feed::Whole);
    let (a, b) = (model.open_sequence(), model.open_sequence());
    let span = |sequence, ids, wanted| Span { sequence, ids, wanted };
    let mut logits = Vec::new();
    // Different lengths, a decode step beside a prefill, the order of the spans changed.
    model.forward(&[span(a, &IDS[..3], Wanted::None), span(b, &IDS[20..39], Wanted::All)], &mut logits).unwrap();
    assert!(difference(&logits, &second[..19 * 512]).0 < 1e-4);
    model.forward(&[span(b, &IDS[39..], Wanted::Last), span(a, &IDS[3..9], Wanted::Last)], &mut logits).unwrap();
    assert_eq!(logits.len(), 2 * 512);
    assert!(difference(&logits[..512], &second[19 * 512..]).0 < 1e-4);
    assert!(difference(&logits[512..], &first[8 * 512..]).0 < 1e-4);
    assert_eq!((model.sequence_length(a), model.sequence_length(b)), (9, 20));
}

#[test]
fn a_closed_sequence_leaves_nothing_behind() {
    let mut model = tiny();
    let (sequence, expected) = all_logits(&mut *model, &IDS, Feed::Chunks(7));
    model.close_sequence(sequence);
    let (again, found) = all_logits(&mut *model, &IDS, Feed::Chunks(7));
    assert_eq!(found, expected);
    assert_eq!(again, sequence, "the place is used again");
}

#[test]
fn sliding_layers_stop_growing() {
    let mut model = tiny();
    let sequence = model.open_sequence();
    let mut logits = Vec::new();
    let mut bytes = Vec::new();
    for _ in 0..40 {
        model.forward(&[Span { sequence, ids: &IDS, wanted: Wanted::None }], &mut logits).unwrap();
        bytes.push(model.sequence_bytes(sequence));
    }
    assert!(logits.is_empty());
    // Two full layers of 2 heads × 64 × (key, value) × 4 bytes grow; two sliding ones hold a few blocks of 64 positions.
    let per_position = 2 * 2 * 2 * 64 * 4;
    let full = 1600usize.next_multiple_of(64) * per_position;
    assert!(bytes[39] >= full && bytes[39] <= full + 3 * 64 * per_position, "{} and {full}", bytes[39]);
}

#[test]
fn what_cannot_be_computed_is_refused_before_anything_changes() {
    let shape = Shape { context_length: 64, ..Shape::tiny() };
    let checkpoint = checkpoint(&shape, Layout::HuggingFace { shards: 1 });
    let mut model = load(&checkpoint, cpu(IsaKind::best(), 1), Precision::Exact);
    let sequence = model.open_sequence();
    let mut logits = Vec::new();
    let mut forward = |ids: &[u32]| model.forward(&[Span { sequence, ids, wanted: Wanted::Last }], &mut logits);
    forward(&IDS).unwrap();
    assert!(matches!(forward(&[]), Err(Error::EmptySpan)));
    assert!(matches!(forward(&[1, 512]), Err(Error::TokenOutOfRange { id: 512, vocabulary_size: 512 })));
    assert!(matches!(forward(&IDS[..25]), Err(Error::ContextExceeded { needed: 65, context_length: 64 })));
    forward(&IDS[..24]).unwrap();
    assert_eq!(model.sequence_length(sequence), 64);
}
