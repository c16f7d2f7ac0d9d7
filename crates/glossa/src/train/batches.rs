//! Documents to batches: which belong to a step, and how they are split into micro-batches. Drawn on a thread of their own
//! while the step before is computed; what is drawn never depends on the time that takes.
//!
//! It must not know where documents come from or how they are learnt.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use corpus::Document;
use train::Sample;
use train::recipe::Recipe;

use super::documents::Documents;
use crate::error::Error;

/// Batches that are drawn ahead.
const AHEAD: usize = 2;
/// Documents one after another that are left out before that is called an error.
const LEFT_OUT_MAX: u64 = 10_000;

/// What a step learns from.
#[derive(Debug, PartialEq)]
pub(crate) struct Batch {
    pub(crate) micro_batches: Vec<Vec<Sample>>,
    /// Documents drawn from the beginning of the run to the end of this batch.
    pub(crate) cursor: u64,
    /// Documents of this batch that were too long.
    pub(crate) left_out: u64,
}

/// How documents become batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) tokens_per_step: usize,
    pub(crate) micro_batch_tokens: usize,
    pub(crate) document_tokens_max: usize,
}

impl Sizes {
    pub(crate) fn of(recipe: &Recipe) -> Self {
        Self {
            tokens_per_step: recipe.train.tokens_per_step,
            micro_batch_tokens: recipe.train.micro_batch_tokens,
            document_tokens_max: recipe.document_tokens_max(),
        }
    }
}

/// Draws the batches of the steps from `step` on, in order, on a thread of its own, which ends when nobody listens.
pub(crate) fn draw_ahead(
    mut documents: Documents,
    recipe: &Recipe,
    step: u64,
    mut cursor: u64,
) -> Receiver<Result<Batch, Error>> {
    let (sender, receiver) = sync_channel(AHEAD);
    let (sizes, schedule) = (Sizes::of(recipe), recipe.train.clone());
    thread::spawn(move || {
        for step in step..schedule.steps {
            let batch = draw(&mut documents, sizes, cursor, schedule.prompt_weight(step) as f32);
            cursor = batch.as_ref().map_or(cursor, |batch| batch.cursor);
            let failed = batch.is_err();
            if sender.send(batch).is_err() || failed {
                break;
            }
        }
    });
    receiver
}

/// The next documents until the step has its tokens.
pub(crate) fn draw(
    documents: &mut Documents,
    sizes: Sizes,
    mut cursor: u64,
    prompt_weight: f32,
) -> Result<Batch, Error> {
    let (mut samples, mut tokens, mut left_out, mut in_a_row) = (Vec::new(), 0, 0, 0);
    while tokens < sizes.tokens_per_step {
        let document = documents.document(cursor)?;
        cursor += 1;
        let found = document.ids.len();
        if found > sizes.document_tokens_max {
            left_out += 1;
            in_a_row += 1;
            if in_a_row == LEFT_OUT_MAX {
                return Err(Error::DocumentsTooLong { found, most: sizes.document_tokens_max });
            }
            continue;
        }
        in_a_row = 0;
        tokens += found;
        samples.push(sample(document, prompt_weight));
    }
    Ok(Batch { micro_batches: split(samples, sizes.micro_batch_tokens), cursor, left_out })
}

/// The first `count` documents that are short enough, of at most `most` that are looked at, as micro-batches.
pub(crate) fn first(documents: &mut Documents, sizes: Sizes, count: usize) -> Result<Vec<Vec<Sample>>, Error> {
    let most = documents.count().map_or(LEFT_OUT_MAX.max(4 * count as u64), |count| count as u64);
    let mut samples = Vec::new();
    for index in 0..most {
        if samples.len() == count {
            break;
        }
        let document = documents.document(index)?;
        if document.ids.len() <= sizes.document_tokens_max {
            samples.push(sample(document, 0.0));
        }
    }
    Ok(split(samples, sizes.micro_batch_tokens))
}

/// What the model writes counts fully, the rest as the schedule says.
fn sample(document: Document, prompt_weight: f32) -> Sample {
    let weights = document.learns.iter().map(|&learns| if learns { 1.0 } else { prompt_weight }).collect();
    Sample { ids: document.ids, weights }
}

/// In order, as few micro-batches as possible, of about the same size.
fn split(samples: Vec<Sample>, tokens_max: usize) -> Vec<Vec<Sample>> {
    let total: usize = samples.iter().map(|sample| sample.ids.len()).sum();
    let enough = total.div_ceil(total.div_ceil(tokens_max).max(1));
    let mut micro_batches: Vec<Vec<Sample>> = Vec::new();
    let mut tokens = usize::MAX;
    for sample in samples {
        let length = sample.ids.len();
        if tokens >= enough || tokens + length > tokens_max {
            micro_batches.push(Vec::new());
            tokens = 0;
        }
        tokens += length;
        micro_batches.last_mut().expect("one was begun").push(sample);
    }
    micro_batches
}

#[cfg(test)]
mod tests {
    use corpus::Document;
    use train::Sample;

    use super::{Batch, Documents, Sizes, draw, first, split};
    use crate::error::Error;

    fn documents(lengths: &[usize]) -> Documents {
        let document = |(index, &length): (usize, &usize)| Document {
            ids: vec![index as u32; length],
            learns: (0..length).map(|place| place > 1).collect(),
        };
        let documents: Vec<Document> = lengths.iter().enumerate().map(document).collect();
        let order = (0..documents.len()).collect();
        Documents::Given { documents, seed: 3, round: 0, order }
    }

    const SIZES: Sizes = Sizes { tokens_per_step: 40, micro_batch_tokens: 20, document_tokens_max: 15 };

    fn names(batch: &Batch) -> Vec<Vec<u32>> {
        batch.micro_batches.iter().map(|samples| samples.iter().map(|sample| sample.ids[0]).collect()).collect()
    }

    #[test]
    fn a_batch_has_the_next_documents_until_there_are_enough_tokens() {
        let mut documents = documents(&[10, 5, 16, 8, 9, 12, 3]);
        let batch = draw(&mut documents, SIZES, 0, 0.25).unwrap();
        assert_eq!(names(&batch), [vec![0, 1], vec![3, 4], vec![5]]);
        assert_eq!((batch.cursor, batch.left_out), (6, 1));
        assert_eq!(batch.micro_batches[0][1].weights, [0.25, 0.25, 1.0, 1.0, 1.0]);
        let next = draw(&mut documents, SIZES, batch.cursor, 0.0).unwrap();
        assert_eq!(next.micro_batches[0][0], Sample { ids: vec![6; 3], weights: vec![0.0, 0.0, 1.0] });
        // Every time round has all documents, in another order that is always the same.
        let round = |documents: &mut Documents, round: u64| -> Vec<u32> {
            (0..7).map(|index| documents.document(round * 7 + index).unwrap().ids[0]).collect()
        };
        let second = round(&mut documents, 1);
        assert_ne!(second, round(&mut documents, 2));
        assert_eq!(second, round(&mut documents, 1));
        let mut sorted = second;
        sorted.sort_unstable();
        assert_eq!(sorted, round(&mut documents, 0));
    }

    #[test]
    fn documents_that_are_all_too_long_end_in_an_error() {
        let error = draw(&mut documents(&[16, 17]), SIZES, 0, 0.0).unwrap_err();
        assert!(matches!(error, Error::DocumentsTooLong { most: 15, .. }), "{error}");
        assert_eq!(first(&mut documents(&[16, 17, 4]), SIZES, 2).unwrap().len(), 1);
    }

    #[test]
    fn micro_batches_keep_the_order_and_the_limit() {
        for count in 0..40usize {
            let lengths: Vec<usize> = (0..count).map(|index| 1 + index * 7 % 15).collect();
            let samples: Vec<Sample> =
                lengths.iter().map(|&length| Sample { ids: vec![1; length], weights: vec![1.0; length] }).collect();
            let split = split(samples.clone(), 20);
            assert_eq!(split.concat(), samples);
            let sizes: Vec<usize> =
                split.iter().map(|samples| samples.iter().map(|sample| sample.ids.len()).sum()).collect();
            assert!(sizes.iter().all(|size| (1..=20).contains(size)), "{sizes:?}");
        }
    }
}
