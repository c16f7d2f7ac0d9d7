//! Where a generation ends: stop tokens, the job's limit, the context; and what is refused before it begins.

use engine::{Error, FinishReason, Job, Sampling};

use crate::watched::{Call, VOCABULARY, free, job, limits, read, settle, watched};

#[test]
fn a_stop_token_is_the_last_token() {
    let (engine, calls) = free(&[5, 9, 6], limits(64, 16));
    let (ids, finish) = read(engine.submit(Job { stop_ids: vec![9, 30], ..job(&[1, 2, 3]) }).unwrap());
    assert_eq!(ids, [5, 9]);
    assert_eq!(finish.reason, FinishReason::Stop(9));
    assert_eq!((finish.prompt_tokens, finish.kv_bytes), (3, 4), "the stop token itself is not computed");
    let forwards = settle(engine, &calls).iter().filter(|call| matches!(call, Call::Forward(..))).count();
    assert_eq!(forwards, 2);
}

#[test]
fn stopping_comes_before_every_limit() {
    let (engine, _) = free(&[5, 9], limits(5, 16));
    let stopping = Job { stop_ids: vec![9], tokens_max: Some(2), ..job(&[1, 2, 3]) };
    assert_eq!(read(engine.submit(stopping).unwrap()).1.reason, FinishReason::Stop(9));
    let limited = Job { tokens_max: Some(2), ..job(&[1, 2, 3]) };
    assert_eq!(read(engine.submit(limited).unwrap()).1.reason, FinishReason::Length);
}

#[test]
fn the_job_says_how_many_tokens() {
    let script = [5, 6, 7, 8, 9];
    let (engine, _) = free(&script, limits(64, 16));
    for tokens_max in 1..=5 {
        let (ids, finish) = read(engine.submit(Job { tokens_max: Some(tokens_max), ..job(&[1]) }).unwrap());
        assert_eq!(ids, script[..tokens_max]);
        assert_eq!(finish.reason, FinishReason::Length);
    }
}

#[test]
fn no_tokens_cost_no_step() {
    let (engine, calls) = free(&[5], limits(64, 16));
    let mut generation = engine.submit(Job { tokens_max: Some(0), ..job(&[1]) }).unwrap();
    let Some(engine::Event::Finished(finish)) = generation.next() else { panic!("nothing to read before the end") };
    assert!(generation.next().is_none());
    assert_eq!(finish.reason, FinishReason::Length);
    assert_eq!((finish.prompt_tokens, finish.generated_tokens, finish.kv_bytes), (1, 0, 0));
    assert_eq!((finish.first_token, finish.decode), (None, None));
    assert!(settle(engine, &calls).is_empty());
}

#[test]
fn prompt_and_output_fill_the_context_exactly() {
    const CONTEXT: usize = 8;
    // Once the model has room beyond the engine's limit, once it has none.
    for context_length in [64, CONTEXT] {
        let (engine, _) = watched(&[5, 6], limits(CONTEXT, 3), context_length, Box::new(|_| Ok(())));
        for prompt in 1..CONTEXT {
            let (ids, finish) = read(engine.submit(job(&vec![1; prompt])).unwrap());
            assert_eq!(ids.len(), CONTEXT - prompt);
            assert_eq!(finish.reason, FinishReason::Context);
            assert_eq!(finish.kv_bytes, CONTEXT - 1, "nothing follows the last token, so it is not computed");
        }
        for prompt in [CONTEXT, CONTEXT + 1] {
            let refused = engine.submit(job(&vec![1; prompt])).err();
            let as_expected = matches!(
                refused,
                Some(Error::PromptTooLong { prompt: found, context_tokens: CONTEXT }) if found == prompt
            );
            assert!(as_expected, "{refused:?}");
        }
    }
}

#[test]
fn the_job_and_the_context_may_end_together() {
    let (engine, _) = free(&[5], limits(8, 3));
    for (tokens_max, reason) in [(4, FinishReason::Length), (5, FinishReason::Length), (6, FinishReason::Context)] {
        let (ids, finish) = read(engine.submit(Job { tokens_max: Some(tokens_max), ..job(&[1; 3]) }).unwrap());
        assert_eq!((ids.len(), finish.reason), (tokens_max.min(5), reason));
    }
}

#[test]
fn an_engine_goes_no_further_than_its_model() {
    let (engine, _) = watched(&[5], limits(1000, 0), 8, Box::new(|_| Ok(())));
    assert_eq!((engine.limits().context_tokens, engine.limits().chunk_tokens), (8, 1));
    assert_eq!(read(engine.submit(job(&[1])).unwrap()).0.len(), 7);
}

#[test]
fn what_cannot_run_is_refused_at_once() {
    let (engine, calls) = free(&[5], limits(64, 16));
    assert!(matches!(engine.submit(job(&[])), Err(Error::PromptEmpty)));
    let outside = engine.submit(job(&[1, VOCABULARY as u32])).err().unwrap().to_string();
    assert!(outside.starts_with("token 32 is outside the vocabulary: expected an id below 32"), "{outside}");
    let sampling = Sampling { top_p: 0.0, ..Sampling::default() };
    assert!(matches!(engine.submit(Job { sampling, ..job(&[1]) }), Err(Error::SettingOutOfRange { .. })));
    let sampling = Sampling { logit_bias: vec![(VOCABULARY as u32, 1.0)], ..Sampling::default() };
    assert!(matches!(engine.submit(Job { sampling, ..job(&[1]) }), Err(Error::BiasOutsideVocabulary { .. })));
    assert!(settle(engine, &calls).is_empty());
}
