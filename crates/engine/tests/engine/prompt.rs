//! How a prompt is read: in chunks, each told to the reader, with logits for its last token only.

use engine::{Event, Job};
use model::Wanted;

use crate::watched::{Call, free, job, limits, settle};

#[test]
fn a_prompt_is_read_in_chunks() {
    let prompt: Vec<u32> = (1..=7).collect();
    for (chunk_tokens, expected) in [
        (0, vec![1, 1, 1, 1, 1, 1, 1]),
        (1, vec![1, 1, 1, 1, 1, 1, 1]),
        (2, vec![2, 2, 2, 1]),
        (3, vec![3, 3, 1]),
        (6, vec![6, 1]),
        (7, vec![7]),
        (8, vec![7]),
    ] {
        let (engine, calls) = free(&[20, 21, 22], limits(64, chunk_tokens));
        let generation = engine.submit(Job { tokens_max: Some(3), ..job(&prompt) }).unwrap();
        let mut read = Vec::new();
        for event in generation {
            if let Event::PromptRead { done, total } = event {
                assert_eq!(total, prompt.len());
                read.push(done);
            }
        }
        let sums: Vec<usize> = (1..=expected.len()).map(|chunks| expected[..chunks].iter().sum()).collect();
        assert_eq!(read, sums, "chunks of {chunk_tokens}");

        let mut asked = vec![Call::Open];
        let mut rest = &prompt[..];
        for tokens in expected {
            let (chunk, after) = rest.split_at(tokens);
            asked.push(Call::Forward(chunk.to_vec(), if after.is_empty() { Wanted::Last } else { Wanted::None }));
            rest = after;
        }
        asked.extend([20, 21].map(|id| Call::Forward(vec![id], Wanted::Last)));
        asked.push(Call::Close);
        assert_eq!(settle(engine, &calls), asked, "chunks of {chunk_tokens}");
    }
}
