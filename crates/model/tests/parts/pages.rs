//! A token's logits do not depend on how its sequence came to be: in which runs it was read, beside which others, from kept pages or
//! after a draft was taken back. Bit for bit, in the precisions that a server computes in.

use kernels::{IsaKind, KvPrecision};
use model::{AttentionKind, Model, PageId, Precision, SequenceId, Span, Wanted};
use synth::{Layout, Shape};

use crate::support::{checkpoint, cpu, load_with_kv};

/// Longer than attention's parts of 1,024 positions, and not a multiple of anything.
const TOKENS: usize = 1_333;

fn ids() -> Vec<u32> {
    (0..TOKENS as u32).map(|index| (index * index * 7 + index * 13 + 5) % 509).collect()
}

fn models() -> Vec<(String, Box<dyn Model>)> {
    let mut models = Vec::new();
    let checkpoint = checkpoint(&Shape::tiny(), Layout::HuggingFace { shards: 1 });
    for isa in IsaKind::available() {
        let all = [
            (Precision::Default, KvPrecision::BF16),
            (Precision::DenseEight, KvPrecision::BF16),
            (Precision::Default, KvPrecision::Q8),
        ];
        // The slow ones take their turn at one each.
        let some = if isa == IsaKind::best() { &all[..] } else { &all[models.len() % 3..][..1] };
        for &(precision, kv) in some {
            let name = format!("{} {precision:?} {kv:?}", isa.name());
            models.push((name, load_with_kv(&checkpoint, cpu(isa, 2), precision, kv)));
        }
    }
    models
}

/// Appends tokens in runs; the logits of the last.
fn read(model: &mut dyn Model, sequence: SequenceId, ids: &[u32], runs: impl IntoIterator<Item = usize>) -> Vec<f32> {
    let (mut logits, mut rest) = (Vec::new(), ids);
    for run in runs {
        let (now, later) = rest.split_at(run.min(rest.len()));
        rest = later;
        if !now.is_empty() {
            model.forward(&[Span { sequence, ids: now, wanted: Wanted::Last }], &mut logits).unwrap();
        }
    }
    assert!(rest.is_empty(), "the runs cover the tokens");
    logits
}

fn alone(model: &mut dyn Model, ids: &[u32]) -> Vec<f32> {
    let sequence = model.open_sequence();
    let logits = read(model, sequence, ids, [ids.len()]);
    model.close_sequence(sequence);
    logits
}

fn keep(model: &mut dyn Model, sequence: SequenceId, blocks: std::ops::Range<usize>) -> Vec<[PageId; 2]> {
    let kinds = [AttentionKind::Full, AttentionKind::Sliding];
    blocks.map(|index| kinds.map(|kind| model.keep_page(sequence, kind, index).unwrap())).collect()
}

#[test]
fn runs_do_not_matter() {
    let ids = ids();
    for (name, mut model) in models() {
        let expected = alone(&mut *model, &ids);
        let ones = std::iter::repeat_n(1, 40);
        for (what, runs) in [
            ("short runs", (1..).take(60).map(|run| run % 37 + 1).chain([TOKENS]).collect::<Vec<_>>()),
            ("one by one at the end", [TOKENS - 40].into_iter().chain(ones).collect()),
            ("few at the end", vec![512, 512, TOKENS - 1024 - 12, 3, 2, 7]),
            ("a run of more than a task's rows at the end", vec![1000, 300, 33]),
        ] {
            let sequence = model.open_sequence();
            let found = read(&mut *model, sequence, &ids, runs);
            model.close_sequence(sequence);
            assert!(found == expected, "{name}, {what}");
        }
    }
}

#[test]
fn neighbours_do_not_matter() {
    let ids = ids();
    let lengths = [1, 2, 5, 17, 64, 130];
    for (name, mut model) in models() {
        let parts: Vec<&[u32]> = lengths.iter().map(|&length| &ids[length..2 * length]).collect();
        let expected: Vec<Vec<f32>> = parts.iter().map(|part| alone(&mut *model, part)).collect();
        let sequences: Vec<SequenceId> = parts.iter().map(|_| model.open_sequence()).collect();
        let spans = sequences.iter().zip(&parts);
        let spans: Vec<Span<'_>> = spans.map(|(&sequence, ids)| Span { sequence, ids, wanted: Wanted::Last }).collect();
        let mut logits = Vec::new();
        model.forward(&spans, &mut logits).unwrap();
        assert!(logits == expected.concat(), "{name}");
    }
}

#[test]
fn pages_are_what_was_read() {
    let ids = ids();
    for (name, mut model) in models() {
        let expected = alone(&mut *model, &ids);
        let shape = model.kv_shape();
        let sequence = model.open_sequence();
        let mut pages = Vec::new();
        for (index, run) in ids[..TOKENS - 40].chunks(256).enumerate() {
            read(&mut *model, sequence, run, [run.len()]);
            let whole = (index * 256 + run.len()) / shape.block_positions;
            pages.extend(keep(&mut *model, sequence, pages.len()..whole));
        }
        model.close_sequence(sequence);
        let full: Vec<PageId> = pages.iter().map(|pair| pair[0]).collect();
        for blocks in [pages.len(), pages.len() - 1, 16, 3, 2, 1] {
            let window = shape.window_blocks(blocks * shape.block_positions);
            let sliding: Vec<PageId> = pages[blocks - window..blocks].iter().map(|pair| pair[1]).collect();
            let restored = model.open_from(&full[..blocks], &sliding);
            assert_eq!(model.sequence_length(restored), blocks * shape.block_positions);
            let rest = &ids[blocks * shape.block_positions..];
            assert!(read(&mut *model, restored, rest, [7, rest.len()]) == expected, "{name}, {blocks} blocks");
            model.close_sequence(restored);
        }
        let held = model.kv_blocks_in_use();
        assert_eq!(held, pages.len() * (shape.full_layers + shape.sliding_layers), "{name}");
        pages.into_iter().flatten().for_each(|page| model.drop_page(page));
        assert_eq!(model.kv_blocks_in_use(), 0, "{name}: nothing is leaked");
    }
}

#[test]
fn pages_survive_being_written_and_read() {
    let ids = &ids()[..200];
    for (name, mut model) in models() {
        let expected = alone(&mut *model, ids);
        let sequence = model.open_sequence();
        read(&mut *model, sequence, &ids[..192], [192]);
        let pages = keep(&mut *model, sequence, 0..3);
        model.close_sequence(sequence);
        let mut bytes = Vec::new();
        let kinds = [AttentionKind::Full, AttentionKind::Sliding];
        let again: Vec<[PageId; 2]> = (pages.iter())
            .map(|pair| {
                let mut at = 0;
                pair.map(|page| {
                    bytes.clear();
                    model.write_page(page, &mut bytes);
                    at += 1;
                    let kind = kinds[at - 1];
                    assert!(model.read_page(kind, &bytes[1..]).is_none(), "{name}: a byte is missing");
                    model.read_page(kind, &bytes).unwrap()
                })
            })
            .collect();
        let window = model.kv_shape().window_blocks(192);
        let full: Vec<PageId> = again.iter().map(|pair| pair[0]).collect();
        let sliding: Vec<PageId> = again[3 - window..].iter().map(|pair| pair[1]).collect();
        let restored = model.open_from(&full, &sliding);
        assert!(read(&mut *model, restored, &ids[192..], [8]) == expected, "{name}");
    }
}

#[test]
fn a_draft_that_was_taken_back_leaves_nothing() {
    let ids = ids();
    for (name, mut model) in models() {
        for length in [62, 64, 127, 128, 129, 1_024, 1_030] {
            let expected = alone(&mut *model, &ids[..length + 9]);
            let sequence = model.open_sequence();
            read(&mut *model, sequence, &ids[..length], [length]);
            // The beginning of the draft is right, and a page is kept of what will be taken back.
            let draft: Vec<u32> = ids[length..length + 3].iter().copied().chain((1..=80).rev()).collect();
            read(&mut *model, sequence, &draft, [draft.len()]);
            let page = model.keep_page(sequence, AttentionKind::Full, (length + 3) / 64);
            model.truncate(sequence, length + 3);
            let found = read(&mut *model, sequence, &ids[length + 3..length + 9], [1, 5]);
            assert!(found == expected, "{name}, {length} tokens");
            model.close_sequence(sequence);
            page.into_iter().for_each(|page| model.drop_page(page));
            assert_eq!(model.kv_blocks_in_use(), 0, "{name}");
        }
    }
}
