//! Logits for a choice beside all logits.

use kernels::{Cpu, IsaKind, WeightForm};
use model::{Choice, GptOss, Model, Precision, SequenceId, Span, Wanted};
use synth::{Layout, Shape};

use super::{IDS, checkpoint};

/// A vocabulary of full size over a tiny model.
fn model(form: WeightForm, rough_from_bytes: usize) -> GptOss<Cpu> {
    let cpu = Cpu::with_form(IsaKind::best(), 2, form).unwrap().with_screened_from(rough_from_bytes);
    let checkpoint = checkpoint(&Shape::tiny_realvocab(), Layout::HuggingFace { shards: 1 });
    GptOss::new(cpu, checkpoint, Precision::Default.kv())
}

fn forward(model: &mut GptOss<Cpu>, batch: &[(SequenceId, &[u32], Wanted)]) -> Vec<f32> {
    let spans: Vec<Span<'_>> = batch.iter().map(|&(sequence, ids, wanted)| Span { sequence, ids, wanted }).collect();
    let mut logits = Vec::new();
    model.forward(&spans, &mut logits).unwrap();
    logits
}

#[test]
fn each_row_of_a_span_has_its_own_draw() {
    let vocabulary = Shape::tiny_realvocab().vocabulary_size;
    for form in [WeightForm::Packed, WeightForm::PackedEight] {
        let (mut plain, mut rough) = (model(form, usize::MAX), model(form, 1));
        let (a, b) = (plain.open_sequence(), plain.open_sequence());
        assert_eq!((a, b), (rough.open_sequence(), rough.open_sequence()));
        let warm = Choice { temperature: 1.0, seed: 9, draw: 4 };
        let all = forward(&mut plain, &[(a, &IDS[..9], Wanted::All), (b, &IDS[20..], Wanted::Last)]);
        let chosen = Wanted::Chosen { choice: warm, rows: 3 };
        let greatest = Wanted::Chosen { choice: Choice::GREATEST, rows: 1 };
        let some = forward(&mut rough, &[(a, &IDS[..9], chosen), (b, &IDS[20..], greatest)]);
        let expected: Vec<&[f32]> = all.chunks_exact(vocabulary).skip(6).collect();
        let found: Vec<&[f32]> = some.chunks_exact(vocabulary).collect();
        assert_eq!((expected.len(), found.len()), (4, 4));
        for (row, (expected, found)) in expected.into_iter().zip(found).enumerate() {
            let choice = if row < 3 { warm.later(row) } else { Choice::GREATEST };
            let id = choice.pick(expected);
            assert_eq!(choice.pick(found), id, "{form:?}, row {row}");
            let different = expected.iter().zip(found).filter(|(expected, found)| expected != found).count();
            assert!(different > vocabulary / 2, "{form:?}, row {row}: nothing was passed over");
            let mut whole = found.to_vec();
            rough.complete(row, &mut whole);
            assert_eq!(whole, expected, "{form:?}, row {row}");
        }
        // Beside somebody who wants all, everybody gets all.
        let all = forward(&mut plain, &[(a, &IDS[9..10], Wanted::Last), (b, &IDS[..1], Wanted::Last)]);
        let mut mixed = forward(&mut rough, &[(a, &IDS[9..10], greatest), (b, &IDS[..1], Wanted::Last)]);
        assert_eq!(all, mixed);
        rough.complete(0, &mut mixed[..vocabulary]);
        assert_eq!(all, mixed, "nothing is missing");
    }
}
