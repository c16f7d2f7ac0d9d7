//! What is proposed, against a twin that looks at every place of the text.

use std::time::Instant;

use engine::{DraftLimits, DraftSource, NgramDrafts};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, prop_oneof, proptest};

/// The definition: of all earlier places, the one that agrees longest, and of those the newest.
fn twin(text: &[u32], limits: DraftLimits, most: usize) -> (usize, Vec<u32>) {
    let agreement =
        |end: usize| (1..=limits.ngram_max.min(end)).take_while(move |&n| text[end - n] == text[text.len() - n]);
    let places = (1..text.len()).map(|end| (agreement(end).count(), end));
    let Some((matched, mut from)) = places.max().filter(|&(matched, _)| matched >= limits.ngram_min) else {
        return (0, Vec::new());
    };
    let mut whole = text.to_vec();
    while whole.len() < text.len() + most.min(limits.draft_tokens_max) {
        whole.push(whole[from]);
        from += 1;
    }
    (matched, whole.split_off(text.len()))
}

fn text() -> impl Strategy<Value = Vec<u32>> {
    let piece = prop_oneof![
        vec(0u32..3, 0..40),
        vec(0u32..200, 0..40),
        (vec(0u32..4, 1..9), 1usize..8).prop_map(|(period, copies)| period.repeat(copies)),
    ];
    vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

fn limits() -> impl Strategy<Value = DraftLimits> {
    (1usize..6, 0usize..7, 1usize..20).prop_map(|(ngram_min, more, draft_tokens_max)| DraftLimits {
        ngram_min,
        ngram_max: ngram_min + more,
        draft_tokens_max,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn proposals_are_those_of_the_definition(text in text(), limits in limits(), cut in 0usize..100, most in 0usize..20) {
        // Below the number of candidates that are compared the definition holds for every text.
        let text = &text[..text.len().min(64)];
        let cut = cut.min(text.len());
        let mut drafts = NgramDrafts::new(&text[..cut], limits);
        let mut out = vec![9; 3];
        for end in cut..=text.len() {
            drafts.propose(most, &mut out);
            assert_eq!((drafts.matched_tokens(), out.clone()), twin(&text[..end], limits, most), "{:?}", &text[..end]);
            if end < text.len() {
                drafts.push(text[end]);
            }
        }
    }

    #[test]
    fn long_texts_with_rare_repeats_too(text in vec(0u32..60, 300..900), limits in limits(), cut in 0usize..900) {
        // Sixty tokens make single tokens too frequent; pairs recur about every fourth of these texts.
        let limits = DraftLimits { ngram_min: limits.ngram_min + 1, ngram_max: limits.ngram_max + 1, ..limits };
        let cut = cut.min(text.len());
        let mut drafts = NgramDrafts::new(&text[..cut], limits);
        let mut out = Vec::new();
        for end in cut..=text.len() {
            if end % 7 == 0 || end == cut {
                drafts.propose(5, &mut out);
                assert_eq!((drafts.matched_tokens(), out.clone()), twin(&text[..end], limits, 5));
            }
            if end < text.len() {
                drafts.push(text[end]);
            }
        }
    }
}

#[test]
fn a_text_that_repeats_itself_is_continued_without_end() {
    let mut drafts = NgramDrafts::new(&[1, 2, 3, 1, 2, 3], DraftLimits::default());
    let mut out = Vec::new();
    drafts.propose(100, &mut out);
    assert_eq!(out, [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
    let mut drafts = NgramDrafts::new(&[7; 4], DraftLimits::default());
    drafts.propose(2, &mut out);
    assert_eq!((drafts.matched_tokens(), &out[..]), (3, &[7, 7][..]));
}

#[test]
fn a_long_match_is_found_however_many_short_ones_are_newer() {
    let passage: Vec<u32> = (100..120).collect();
    let chatter: Vec<u32> = (0..4000).flat_map(|n| [105, 106, 107, 1000 + n]).collect();
    let text = [&passage[..], &chatter, &passage[..8]].concat();
    let mut drafts = NgramDrafts::new(&text, DraftLimits::default());
    let mut out = Vec::new();
    drafts.propose(4, &mut out);
    assert_eq!((drafts.matched_tokens(), &out[..]), (8, &[108, 109, 110, 111][..]));
}

#[test]
fn limits_are_refused_with_their_range() {
    let limits = DraftLimits::default();
    limits.check().unwrap();
    let refusal = |limits: DraftLimits| limits.check().unwrap_err().to_string();
    assert_eq!(refusal(DraftLimits { ngram_min: 9, ..limits }), "ngram_min is 9: expected a number from 1 to 8");
    assert_eq!(refusal(DraftLimits { ngram_max: 65, ..limits }), "ngram_max is 65: expected a number from 1 to 64");
    assert_eq!(
        refusal(DraftLimits { draft_tokens_max: 0, ..limits }),
        "draft_tokens_max is 0: expected a number from 1 to 64"
    );
}

#[test]
fn a_long_prompt_takes_little_memory_and_time() {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u32 % 5_000
    };
    let prompt: Vec<u32> = (0..131_072).map(|_| next()).collect();
    let started = Instant::now();
    let mut drafts = NgramDrafts::new(&prompt, DraftLimits::default());
    let built = started.elapsed();
    assert!(drafts.bytes() <= 28 * prompt.len() + 8192, "{} bytes", drafts.bytes());
    let (mut out, mut proposed) = (Vec::new(), 0);
    let started = Instant::now();
    for _ in 0..10_000 {
        drafts.push(next());
        drafts.propose(15, &mut out);
        proposed += out.len();
    }
    let each = started.elapsed() / 10_000;
    assert!(drafts.bytes() <= 40 * (prompt.len() + 10_000), "{} bytes", drafts.bytes());
    println!("{} bytes, built in {built:?}, {each:?} per token and proposal, {proposed} proposed", drafts.bytes());
}
