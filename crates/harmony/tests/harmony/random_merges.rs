//! The merge-list encoder on merge lists at random, where the order of the list has nothing to do with the ids.

use std::collections::HashMap;

use harmony::Vocabulary;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;

use crate::naive_twin::{TEXT_TOKENS, load, tokenizer_json};

/// Joins, again and again, the pair that stands first in the list, leftmost first.
fn naive(merges: &[(String, String)], text: &str) -> Vec<String> {
    let mut parts: Vec<String> = text.chars().map(String::from).collect();
    while let Some((left, right)) =
        merges.iter().find(|(l, r)| parts.windows(2).any(|pair| pair[0] == *l && pair[1] == *r))
    {
        let at = parts.windows(2).position(|pair| pair[0] == *left && pair[1] == *right).unwrap();
        let right = parts.remove(at + 1);
        parts[at].push_str(&right);
    }
    parts
}

/// Merges of the letters a, b and c and of what earlier merges gave, in any order.
fn merge_list() -> impl Strategy<Value = Vec<(String, String)>> {
    let picks = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..24);
    let merges = picks.prop_map(|picks| {
        let mut tokens: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let mut merges = Vec::new();
        for (left, right) in picks {
            let pair = (left.get(&tokens).clone(), right.get(&tokens).clone());
            let joined = format!("{}{}", pair.0, pair.1);
            if joined.len() <= 8 && !merges.contains(&pair) {
                if !tokens.contains(&joined) {
                    tokens.push(joined);
                }
                merges.push(pair);
            }
        }
        merges
    });
    merges.prop_shuffle()
}

fn vocabulary(merges: &[(String, String)]) -> Vocabulary {
    let mut json = tokenizer_json(256);
    let mut ids: HashMap<String, u32> = HashMap::new();
    for (left, right) in merges {
        let next = TEXT_TOKENS + ids.len() as u32;
        ids.entry(format!("{left}{right}")).or_insert(next);
    }
    for (spelling, id) in ids {
        json["model"]["vocab"][spelling] = json!(id);
    }
    json["model"]["ignore_merges"] = json!(false);
    json["model"]["merges"] = json!(merges);
    load(&json)
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(20), ..ProptestConfig::with_cases(400) })]

    #[test]
    fn random_merge_lists_encode_as_their_naive_twin(
        merges in merge_list(),
        texts in prop::collection::vec("[abc]{0,40}", 8),
    ) {
        let vocabulary = vocabulary(&merges);
        for text in texts {
            let parts: Vec<String> = vocabulary.encode(&text).iter().map(|&id| vocabulary.decode(&[id])).collect();
            prop_assert_eq!(parts, naive(&merges, &text));
        }
    }
}
