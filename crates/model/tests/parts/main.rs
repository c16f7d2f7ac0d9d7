//! Parts of the forward pass against their goldens, and what must hold of it whatever the numbers: batches, limits, errors.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod chosen;
mod pages;
#[path = "../support/mod.rs"]
mod support;

use kernels::{IsaKind, Mxfp4Layout, RotaryTable, decode};
use model::{Checkpoint, Error, Frequencies, Model, Precision, Rope, Span, Wanted, Yarn};
use support::{Feed, Golden, all_logits, checkpoint, cpu, difference, load};
use synth::{Layout, Shape, Writer};

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
fn ends_of_the_ramp_outside_the_head_are_clamped() {
    // Frequencies computed by golden/reference.py (numpy). Unclamped, the ramps would begin at -0.39, end at 22.5, and begin at
    // -1 and end at 9.
    let yarn = |factor, beta_fast, original_context, truncate| {
        Some(Yarn { factor, beta_fast, beta_slow: 1.0, original_context, truncate })
    };
    let low = [
        1.0,
        0.2256374792545,
        0.04270567198867,
        0.007905694150421,
        0.0025,
        0.0007905694150421,
        0.00025,
        7.905694150421e-05,
    ];
    let high = [
        1.0,
        0.7498942093325,
        0.5623413251903,
        0.4125936173778,
        0.2869121400019,
        0.1982890631879,
        0.1360490874952,
        0.09253871123147,
    ];
    let both = [1.0, 0.4095398931844, 0.1637121197812, 0.06325345950939];
    for (theta, yarn, concentration, expected) in [
        (10_000.0, yarn(4.0, 32.0, 128, false), 1.138629436111989, &low[..]),
        (10.0, yarn(8.0, 300.0, 4096, false), 1.2079441541679836, &high),
        (20.0, yarn(16.0, 1000.0, 5000, true), 1.2772588722239782, &both),
    ] {
        let frequencies = Frequencies::new(&Rope { theta, yarn }, 2 * expected.len());
        assert!((frequencies.concentration - concentration).abs() < 1e-12);
        for (found, expected) in frequencies.inverse.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-10, "theta {theta}: {found} instead of {expected}");
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
fn threads_change_no_bit() {
    let checkpoint = checkpoint(&Shape::tiny(), Layout::HuggingFace { shards: 1 });
    let ids: Vec<u32> = (0..150).map(|i| IDS[i * 7 % IDS.len()]).collect();
    for isa in IsaKind::available() {
        for (precision, feed) in [(Precision::Exact, Feed::Chunks(70)), (Precision::Default, Feed::Chunks(1))] {
            let bits = |threads| -> Vec<u32> {
                let mut model = load(&checkpoint, cpu(isa, threads), precision);
                all_logits(&mut *model, &ids, feed).1.into_iter().map(f32::to_bits).collect()
            };
            let one = bits(1);
            for threads in [2, 3] {
                assert!(bits(threads) == one, "{isa:?}, {precision:?}, {feed:?}: {threads} threads give other bits");
            }
        }
    }
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

/// The tiny model with one bf16 value of a tensor replaced by an infinity.
fn with_infinity(tensor: &str, index: usize) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let written = Writer::new(Shape::tiny()).layout(Layout::HuggingFace { shards: 1 }).write(folder.path()).unwrap();
    let mut patched = 0;
    for path in written.files.iter().filter(|path| path.extension().is_some_and(|end| end == "safetensors")) {
        let mut bytes = std::fs::read(path).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let table: serde_json::Value = serde_json::from_slice(&bytes[8..header]).unwrap();
        if let Some(start) = table[tensor]["data_offsets"][0].as_u64() {
            let at = header + start as usize + 2 * index;
            bytes[at..at + 2].copy_from_slice(&0x7F80u16.to_le_bytes());
            patched += 1;
        }
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(patched, 1, "{tensor} lies in one file");
    Checkpoint::open(&written.model).unwrap()
}

#[test]
fn logits_that_are_not_finite_are_an_error() {
    let hidden = Shape::tiny().hidden_size;
    for isa in IsaKind::available() {
        // An infinite weight of token 77's row gives that token an infinite logit, whatever comes in.
        let mut model = load(&with_infinity("lm_head.weight", 77 * hidden + 3), cpu(isa, 2), Precision::Default);
        let (sequence, mut logits) = (model.open_sequence(), Vec::new());
        let mut forward = |ids: &[u32], wanted| model.forward(&[Span { sequence, ids, wanted }], &mut logits);
        assert!(matches!(forward(&IDS[..3], Wanted::All), Err(Error::NonFiniteLogits { token: 77 })));
        forward(&IDS[..3], Wanted::None).unwrap();
        assert!(matches!(forward(&IDS[..1], Wanted::Last), Err(Error::NonFiniteLogits { token: 77 })));
        // Those tokens count as appended.
        assert_eq!(model.sequence_length(sequence), 7);

        // An infinite embedding spoils every logit of what sees its token, and nothing else.
        let spoilt = with_infinity("model.embed_tokens.weight", 45 * hidden);
        let mut model = load(&spoilt, cpu(isa, 2), Precision::Default);
        let (clean, sequence) = (model.open_sequence(), model.open_sequence());
        let mut forward =
            |sequence, ids: &[u32]| model.forward(&[Span { sequence, ids, wanted: Wanted::Last }], &mut Vec::new());
        forward(sequence, &IDS[..3]).unwrap();
        assert!(matches!(forward(sequence, &IDS[3..4]), Err(Error::NonFiniteLogits { token: 0 })), "{}", IDS[3]);
        assert!(matches!(forward(sequence, &IDS[4..6]), Err(Error::NonFiniteLogits { token: 0 })));
        forward(clean, &IDS[4..6]).unwrap();
    }
}
