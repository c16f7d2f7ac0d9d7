//! Log probabilities over a real model, of what is generated and of prompts, held to a softmax in f64 over logits that the model gives
//! when it is asked for the same tokens at once.

use engine::{
    DraftLimits, Drafts, Engine, Error, Event, Finish, FinishReason, Generation, Guards, Job, Limits, PromptLogprob,
    ReasoningShape, Sampled, Sampling,
};
use model::{Model, PageId, Scripted, SequenceId, Span, Wanted};

use crate::together::model;
use crate::watched::{Call, VOCABULARY, config, free, job, limits, settle};

/// What a generation says.
#[derive(Default)]
pub(crate) struct Heard {
    prompt: Vec<PromptLogprob>,
    pieces: usize,
    pub(crate) tokens: Vec<Sampled>,
    finish: Option<Finish>,
}

pub(crate) fn hear(generation: Generation) -> Heard {
    let mut heard = Heard::default();
    for event in generation {
        match event {
            Event::PromptLogprobs(pieces) => {
                assert!(heard.tokens.is_empty() && !pieces.is_empty());
                heard.pieces += 1;
                heard.prompt.extend(pieces);
            }
            Event::Token(token) => heard.tokens.push(token),
            Event::Finished(finish) => heard.finish = Some(finish),
            Event::PromptRead { .. } | Event::Guarded(_) => {}
            Event::Failed(error) => panic!("{error}"),
        }
    }
    heard
}

/// For each place behind the first token: every token's log probability.
fn oracle(tokens: &[u32]) -> Vec<Vec<f64>> {
    let mut model = model();
    let (sequence, mut logits) = (model.open_sequence(), Vec::new());
    model.forward(&[Span { sequence, ids: tokens, wanted: Wanted::All }], &mut logits).unwrap();
    let rows = logits.chunks(model.config().vocabulary_size);
    let log_softmax = |row: &[f32]| {
        let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
        row.iter().map(|&logit| f64::from(logit) - sum.ln()).collect()
    };
    rows.map(log_softmax).collect()
}

/// Holds a token's figures to the place's distribution.
fn check(place: &[f64], (id, logprob, top): (u32, f32, &[(u32, f32)]), count: usize) {
    let near = |found: f32, expected: f64| (f64::from(found) - expected).abs() < 1e-5;
    assert!(near(logprob, place[id as usize]), "{logprob} instead of {}", place[id as usize]);
    let mut order: Vec<usize> = (0..place.len()).collect();
    order.sort_by(|&a, &b| place[b].total_cmp(&place[a]).then(a.cmp(&b)));
    assert_eq!(top.iter().map(|&(id, _)| id as usize).collect::<Vec<_>>(), order[..count]);
    assert!(top.iter().all(|&(id, logprob)| near(logprob, place[id as usize])), "{top:?}");
}

pub(crate) fn prompt(seed: u32, tokens: usize) -> Vec<u32> {
    (0..tokens as u32).map(|index| (index * index * seed + 3 * index) % 500).collect()
}

/// Settings that take every way to a token, those that change logits in place included.
pub(crate) fn samplings() -> [Sampling; 5] {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    [
        greedy.clone(),
        // Few tokens to say, so that texts repeat themselves.
        Sampling { logit_bias: vec![(7, 90.0), (9, 90.0)], ..greedy.clone() },
        Sampling { seed: 3, ..Sampling::default() },
        Sampling { repetition_penalty: 3.0, frequency_penalty: 1.0, logit_bias: vec![(7, 50.0), (9, -50.0)], ..greedy },
        Sampling { temperature: 0.7, top_k: 40, top_p: 0.9, presence_penalty: 2.0, ..Sampling::default() },
    ]
}

#[test]
fn alternatives_are_the_models_own_whatever_the_settings() {
    let engine = Engine::new(model(), Limits::single(4096, 64)).unwrap();
    for sampling in samplings() {
        for drafts in [Drafts::Off, Drafts::Always(DraftLimits::default())] {
            for top_logprobs in [0, 1, 20] {
                let prompt = prompt(5, 70);
                let job = Job {
                    sampling: sampling.clone(),
                    drafts,
                    top_logprobs: Some(top_logprobs),
                    tokens_max: Some(60),
                    ..job(&prompt)
                };
                let heard = hear(engine.submit(job).unwrap());
                let ids = heard.tokens.iter().map(|token| token.id);
                let places = oracle(&prompt.iter().copied().chain(ids).collect::<Vec<_>>());
                for (token, place) in heard.tokens.iter().zip(&places[prompt.len() - 1..]) {
                    check(place, (token.id, token.logprob, &token.top), top_logprobs);
                    assert_eq!(token.top.capacity() == 0, top_logprobs == 0, "nothing is allocated for nothing");
                }
            }
        }
    }
    assert!(engine.stats().accepted_tokens > 50, "{:?}", engine.stats());
}

#[test]
fn a_forced_token_tells_what_is_known_of_its_place() {
    let engine = Engine::new(model(), Limits::single(4096, 64)).unwrap();
    let prompt = prompt(5, 70);
    // Few tokens to say, so that texts repeat themselves.
    let logit_bias = vec![(7, 90.0), (9, 90.0)];
    let sampling = Sampling { temperature: 0.0, logit_bias, ..Sampling::default() };
    let drafts = Drafts::Always(DraftLimits::default());
    let free = Job { sampling, drafts, top_logprobs: Some(2), tokens_max: Some(60), ..job(&prompt) };
    let said = hear(engine.submit(free.clone()).unwrap()).tokens;
    let mut known = 0;
    for budget in 1..50 {
        // Two tokens that come anyway, so that they may be on trial, and another.
        let close = [said[budget].id, said[budget + 1].id, 499];
        let reasoning = ReasoningShape { open: vec![prompt[69]], ends: vec![499], close: close.to_vec() };
        let guards = Some(Guards { reasoning, budget_tokens: Some(budget), loops: None });
        let heard = hear(engine.submit(Job { guards, ..free.clone() }).unwrap()).tokens;
        let end = (heard.iter().position(|token| token.id == 499)).expect("the guard strikes");
        assert_eq!(heard[end - 2..=end].iter().map(|token| token.id).collect::<Vec<_>>(), close);
        for (token, free) in heard[..end].iter().zip(&said) {
            assert!(token == free || (token.logprob, token.top.len()) == (0.0, 0), "{token:?} {free:?}");
        }
        known += heard[end - 2..=end].iter().filter(|token| !token.top.is_empty()).count();
    }
    assert!(known > 10, "{known}");
}

#[test]
fn a_prompt_tells_its_own_and_reads_nothing_from_the_cache() {
    let bytes = model().kv_shape().block_bytes;
    let limits = Limits { chunk_tokens: 200, ..Limits::serving(4096, 2000 * bytes) };
    let engine = Engine::new(model(), limits).unwrap();
    let prompt = prompt(5, 300);
    let places = oracle(&prompt);
    let ask = |prompt_logprobs, tokens_max| {
        let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
        let job = Job { sampling, prompt_logprobs, tokens_max: Some(tokens_max), ..job(&prompt) };
        hear(engine.submit(job).unwrap())
    };
    let plain = ask(None, 5).tokens;
    for (alternatives, tokens_max) in [(0, 5), (3, 5), (20, 0)] {
        let heard = ask(Some(alternatives), tokens_max);
        assert_eq!(heard.tokens, plain[..tokens_max]);
        let finish = heard.finish.unwrap();
        assert_eq!((finish.reason, finish.cached_tokens), (FinishReason::Length, 0));
        assert_eq!(heard.prompt.iter().map(|piece| piece.id).collect::<Vec<_>>(), prompt);
        assert_eq!((heard.prompt[0].logprob, &heard.prompt[0].top[..]), (None, &[][..]));
        assert_eq!(heard.pieces, 300_usize.div_ceil(49), "a step has rows for so many");
        for (piece, place) in heard.prompt[1..].iter().zip(&places) {
            check(place, (piece.id, piece.logprob.unwrap(), &piece.top), alternatives);
        }
    }
    assert_eq!(engine.stats().cache.lookups, 1, "the first only");
}

#[test]
fn what_was_read_for_its_log_probabilities_is_found_by_others() {
    let bytes = model().kv_shape().block_bytes;
    let engine = Engine::new(model(), Limits::serving(4096, 2000 * bytes)).unwrap();
    let echo = Job { prompt_logprobs: Some(0), tokens_max: Some(0), ..job(&prompt(5, 300)) };
    assert_eq!(hear(engine.submit(echo).unwrap()).prompt.len(), 300);
    let after = hear(engine.submit(Job { tokens_max: Some(1), ..job(&prompt(5, 300)) }).unwrap());
    assert_eq!(after.finish.unwrap().cached_tokens, 256);
}

#[test]
fn many_at_once_tell_the_same_and_hold_a_bounded_number_of_rows() {
    let limits = Limits { chunk_tokens: 300, sequences_max: 3, ..limits(400, 300) };
    let (engine, calls) = free(&[5, 6], limits.clone());
    let jobs = (0..6).map(|index| {
        let prompt: Vec<u32> = (0..100 + index).map(|id| id % 32).collect();
        let prompt_logprobs = (index % 3 != 1).then_some(1);
        engine.submit(Job { prompt_logprobs, tokens_max: Some(4), ..job(&prompt) }).unwrap()
    });
    for (index, generation) in jobs.collect::<Vec<_>>().into_iter().enumerate() {
        let heard = hear(generation);
        assert_eq!(heard.prompt.len(), if index % 3 == 1 { 0 } else { 100 + index });
        assert_eq!(heard.tokens.len(), 4);
    }
    let most = settle(engine, &calls).into_iter().filter_map(|call| match call {
        Call::Forward(ids, Wanted::All) => Some(ids.len()),
        _ => None,
    });
    let most = most.max().unwrap();
    assert!((20..=limits.logit_rows_max()).contains(&most), "{most}");
}

#[test]
fn the_shortest_and_the_longest_prompt_that_only_echo() {
    let (engine, calls) = free(&[5], limits(8, 3));
    let echo = |tokens| Job { prompt_logprobs: Some(2), tokens_max: Some(0), ..job(&vec![1; tokens]) };
    for tokens in [1, 2, 3, 4, 8] {
        let heard = hear(engine.submit(echo(tokens)).unwrap());
        assert_eq!((heard.prompt.len(), heard.tokens.len()), (tokens, 0));
        assert_eq!(heard.finish.unwrap().reason, FinishReason::Length);
    }
    let one = hear(engine.submit(Job { tokens_max: Some(2), ..echo(1) }).unwrap());
    assert_eq!((one.prompt.len(), one.tokens.len()), (1, 2));
    let refused = engine.submit(echo(9)).err();
    assert!(matches!(refused, Some(Error::PromptTooLong { prompt: 9, context_tokens: 8 })), "{refused:?}");
    let forwards = settle(engine, &calls).into_iter().filter(|call| matches!(call, Call::Forward(..))).count();
    assert_eq!(forwards, 1 + 1 + 1 + 2 + 3 + 2, "and not a step more");
}

/// Gives one logit that is no number, in the given row of the first span that wants several.
struct Broken {
    inner: Scripted,
    row: usize,
}

impl Model for Broken {
    model::hand_memory_to_inner!();

    fn open_sequence(&mut self) -> SequenceId {
        self.inner.open_sequence()
    }

    fn close_sequence(&mut self, id: SequenceId) {
        self.inner.close_sequence(id);
    }

    fn open_from(&mut self, full: &[PageId], sliding: &[PageId]) -> SequenceId {
        self.inner.open_from(full, sliding)
    }

    fn forward(&mut self, batch: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), model::Error> {
        self.inner.forward(batch, logits)?;
        if batch[0].wanted != Wanted::All {
            return Ok(());
        }
        logits[self.row * VOCABULARY + 3] = f32::NAN;
        Err(model::Error::NonFiniteLogits { token: 3 })
    }

    fn complete(&mut self, row: usize, logits: &mut [f32]) {
        self.inner.complete(row, logits);
    }
}

#[test]
fn broken_logits_of_a_prompt_fail_its_job_alone() {
    for row in [0, 5, 10, 11] {
        let inner = Scripted::new(config(64), vec![5]);
        let engine =
            Engine::new(Box::new(Broken { inner, row }), Limits { sequences_max: 2, ..limits(64, 16) }).unwrap();
        let broken = engine.submit(Job { prompt_logprobs: Some(1), ..job(&[1; 12]) }).unwrap();
        let other = engine.submit(Job { tokens_max: Some(3), ..job(&[2]) }).unwrap();
        let last = broken.last();
        let expected = matches!(last, Some(Event::Failed(Error::Model(model::Error::NonFiniteLogits { token: 3 }))));
        assert!(expected, "{last:?} with row {row}");
        assert_eq!(hear(other).tokens.len(), 3);
    }
}

#[test]
fn more_alternatives_than_allowed_are_refused_by_name() {
    let (engine, _) = free(&[5], limits(64, 16));
    for (name, job) in [
        ("top_logprobs", Job { top_logprobs: Some(21), ..job(&[1]) }),
        ("prompt_logprobs", Job { prompt_logprobs: Some(21), ..job(&[1]) }),
    ] {
        let refused = engine.submit(job).err().unwrap().to_string();
        assert_eq!(refused, format!("{name} is 21: expected a number from 0 to 20"));
    }
    // A vocabulary of 32 has that many.
    let job = Job { top_logprobs: Some(20), prompt_logprobs: Some(20), tokens_max: Some(1), ..job(&[1, 2]) };
    let heard = hear(engine.submit(job).unwrap());
    assert_eq!((heard.tokens[0].top.len(), heard.prompt[1].top.len()), (20, 20));
}
