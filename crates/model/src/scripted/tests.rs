//! The stand-in says and refuses what it should.

use super::*;

const VOCABULARY: usize = 8;

fn scripted(script: &[u32]) -> Scripted {
    Scripted::new(Scripted::shape(VOCABULARY, 6), script.to_vec())
}

/// The greatest logit of every row.
fn said(logits: &[f32]) -> Vec<usize> {
    let rows = logits.chunks(VOCABULARY);
    rows.map(|row| row.iter().position(|&logit| logit == SCRIPTED_LOGIT).unwrap()).collect()
}

#[test]
fn the_script_goes_on_per_sequence_and_its_last_token_repeats() {
    let mut model = scripted(&[3, 1, 4]);
    let mut logits = vec![9.0];
    let (one, two) = (model.open_sequence(), model.open_sequence());
    model.forward(&[Span { sequence: one, ids: &[0, 0], wanted: Wanted::None }], &mut logits).unwrap();
    assert!(logits.is_empty());
    let batch = [
        Span { sequence: one, ids: &[7, 0], wanted: Wanted::Last },
        Span { sequence: two, ids: &[0, 0], wanted: Wanted::All },
    ];
    model.forward(&batch, &mut logits).unwrap();
    assert_eq!(said(&logits), [3, 3, 1]);
    model.forward(&[Span { sequence: two, ids: &[0, 0, 0], wanted: Wanted::All }], &mut logits).unwrap();
    assert_eq!(said(&logits), [4, 4, 4]);
    assert_eq!((model.sequence_length(one), model.sequence_length(two)), (4, 5));
    assert_eq!(model.sequence_bytes(two), 5);
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut model = scripted(&[3, 1]);
    let (one, two) = (model.open_sequence(), model.open_sequence());
    let good = Span { sequence: one, ids: &[0], wanted: Wanted::Last };
    let bad = |ids| [good, Span { sequence: two, ids, wanted: Wanted::Last }];
    let mut logits = vec![9.0];
    let empty = model.forward(&bad(&[]), &mut logits).unwrap_err();
    assert!(matches!(empty, Error::EmptySpan));
    let outside = model.forward(&bad(&[0, 8]), &mut logits).unwrap_err();
    assert!(matches!(outside, Error::TokenOutOfRange { id: 8, vocabulary_size: VOCABULARY }));
    let long = model.forward(&bad(&[0; 7]), &mut logits).unwrap_err();
    assert!(matches!(long, Error::ContextExceeded { needed: 7, context_length: 6 }));
    assert_eq!((model.sequence_length(one), model.sequence_length(two), &logits[..]), (0, 0, &[9.0][..]));
    model.forward(&bad(&[0; 6]), &mut logits).unwrap();
    assert_eq!(said(&logits), [3, 3], "the script has not moved on");
}

#[test]
fn a_rule_sees_all_the_tokens_before() {
    let mut model = Scripted::following(Scripted::shape(VOCABULARY, 6), |ids| ids.iter().sum()).with_blocks_of(2);
    let one = model.open_sequence();
    let mut logits = Vec::new();
    model.forward(&[Span { sequence: one, ids: &[1, 2, 3], wanted: Wanted::All }], &mut logits).unwrap();
    assert_eq!(said(&logits), [1, 3, 6]);
    model.forward(&[Span { sequence: one, ids: &[3], wanted: Wanted::Last }], &mut logits).unwrap();
    assert_eq!(said(&logits), [1], "nine, in a vocabulary of eight");
}

#[test]
fn a_closed_place_is_taken_again_from_the_beginning() {
    let mut model = scripted(&[3, 1]);
    let (one, two) = (model.open_sequence(), model.open_sequence());
    let mut logits = Vec::new();
    model.forward(&[Span { sequence: one, ids: &[0, 0], wanted: Wanted::Last }], &mut logits).unwrap();
    model.close_sequence(one);
    let three = model.open_sequence();
    assert_eq!((three, model.sequence_length(three)), (one, 0));
    assert_ne!(model.open_sequence(), two);
    model.forward(&[Span { sequence: three, ids: &[0], wanted: Wanted::Last }], &mut logits).unwrap();
    assert_eq!(said(&logits), [3]);
}
