//! The whole scheduler with its memory and its cache over a model that remembers, step by step and without threads: 100,000 steps of
//! seeded arrivals, cancellations, deadlines and want of memory. Whatever happens to a job, it says what it would have said
//! alone; none is lost, none starves, memory keeps to its bound, and nothing is leaked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{AttentionKind, Model, ModelConfig, Rope, Scripted, Span, Wanted};

use super::Steps;
use crate::constraint::Constraint;
use crate::draft::DraftLimits;
use crate::error::Error;
use crate::generation::{Canceller, Event, FinishReason, Generation};
use crate::guard::{Guards, LoopLimits, ReasoningShape};
use crate::job::{Drafts, Job, Limits, Priority, SharedChunk};
use crate::sampling::Sampling;
use crate::stats::Stats;

mod automaton;
mod constrained;
mod disk;

use automaton::{Automaton, StepCount};

const VOCABULARY: usize = 50;
const CONTEXT: usize = 96;
const BLOCK: usize = 4;
/// Far longer than any job should wait in this load.
const STEPS_WAITED_MAX: usize = 4_000;

fn model() -> Scripted {
    let config = ModelConfig {
        vocabulary_size: VOCABULARY,
        hidden_size: 2,
        intermediate_size: 2,
        layers: vec![AttentionKind::Full, AttentionKind::Sliding],
        heads: 1,
        kv_heads: 1,
        head_dim: 2,
        experts: 1,
        experts_per_token: 1,
        sliding_window: 7,
        swiglu_limit: 7.0,
        rms_norm_epsilon: 1e-5,
        rope: Rope { theta: 10_000.0, yarn: None },
        context_length: CONTEXT,
    };
    Scripted::remembering(config).with_blocks_of(BLOCK)
}

fn limits(blocks_max: usize, chunk_tokens: usize) -> Limits {
    Limits {
        chunk_tokens,
        shared_chunk: SharedChunk::Tokens(8),
        sequences_max: 6,
        ..Limits::serving(CONTEXT, blocks_max * 4 * BLOCK)
    }
}

/// Ends a message and opens an answer.
const CLOSE: [u32; 3] = [2, 3, 4];

fn guards() -> Guards {
    let reasoning = ReasoningShape { open: vec![1], ends: vec![2], close: CLOSE.to_vec() };
    let loops = LoopLimits { tokens_min: 20, repeats_min: 2, ..LoopLimits::default() };
    Guards { reasoning, budget_tokens: Some(30), loops: Some(loops) }
}

/// Knuth's MMIX.
struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % below as u64) as usize
    }

    fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

/// A job under way, as its reader sees it.
struct Client {
    generation: Generation,
    canceller: Canceller,
    prompt: Vec<u32>,
    tokens_max: usize,
    read: Vec<u32>,
    /// Tokens that a guard forces next.
    forced: Vec<u32>,
    prompt_read: usize,
    /// Tokens of the prompt whose log probabilities have come.
    prompt_told: usize,
    top_logprobs: Option<usize>,
    prompt_logprobs: Option<usize>,
    /// What it may say, followed from outside, and where that fails.
    constraint: Option<(Automaton, usize)>,
    waited: usize,
}

/// What a model says alone; remembered, since prompts share beginnings.
#[derive(Default)]
struct Oracle(HashMap<Vec<u32>, u32>);

impl Oracle {
    fn next(&mut self, tokens: &[u32]) -> u32 {
        *self.0.entry(tokens.to_vec()).or_insert_with(|| {
            let mut model = model();
            let (sequence, mut logits) = (model.open_sequence(), Vec::new());
            model.forward(&[Span { sequence, ids: tokens, wanted: Wanted::Last }], &mut logits).unwrap();
            logits.iter().position(|&logit| logit > 0.0).unwrap() as u32
        })
    }
}

/// Conversations: a prompt is the beginning of an earlier one, more or less of it, and something new.
fn prompt(random: &mut Random, known: &mut Vec<Vec<u32>>) -> Vec<u32> {
    let mut prompt = match known.len() {
        0 => Vec::new(),
        count => {
            let earlier = &known[random.below(count)];
            earlier[..random.below(earlier.len() + 1)].to_vec()
        }
    };
    let new = 1 + random.below(20);
    prompt.extend((0..new).map(|_| random.below(VOCABULARY) as u32));
    prompt.truncate(CONTEXT - 2);
    if known.len() < 12 {
        known.push(prompt.clone());
    } else {
        let replaced = random.below(12);
        known[replaced] = prompt.clone();
    }
    prompt
}

fn client(
    steps: &mut Steps,
    random: &mut Random,
    known: &mut Vec<Vec<u32>>,
    late: Option<&Arc<StepCount>>,
    now: Instant,
) -> Client {
    let most = if random.chance(3) { 120 } else { 30 };
    let prompt_logprobs = random.chance(8).then(|| random.below(3));
    let tokens_max = if prompt_logprobs.is_some() && random.chance(2) { 0 } else { 1 + random.below(most) };
    let top_logprobs = random.below(10).checked_sub(4).map(|count| count.saturating_sub(2));
    let prompt = prompt(random, known);
    let priorities = [Priority::Low, Priority::Normal, Priority::Normal, Priority::High];
    let job = Job {
        tokens_max: Some(tokens_max),
        priority: priorities[random.below(4)],
        deadline: random.chance(20).then(|| now + Duration::from_millis(random.below(200) as u64)),
        boundaries: vec![random.below(90)],
        tenant: vec![random.below(2) as u8],
        cached: !random.chance(10),
        top_logprobs,
        prompt_logprobs,
        guards: random.chance(3).then(guards),
        drafts: match random.below(4) {
            0 => Drafts::Off,
            1 => Drafts::default(),
            _ => Drafts::Always(DraftLimits { ngram_min: 2, ngram_max: 4, draft_tokens_max: 6 }),
        },
        ..Job::new(prompt.clone())
    };
    let constraint = random.chance(4).then(|| constraint(random, late));
    let boxed = constraint.as_ref().and_then(|(automaton, _)| automaton.boxed());
    // Only what the model says is likely enough to be drawn; under a constraint that may be nothing.
    let temperature = if constraint.is_none() && random.chance(2) { 1.0 } else { 0.0 };
    let sampling = Sampling { temperature, ..Sampling::default() };
    let (generation, reader) = Generation::new();
    steps.submit(Job { sampling, constraint: boxed, ..job }, reader, now);
    let canceller = generation.canceller();
    Client {
        generation,
        canceller,
        prompt,
        tokens_max,
        read: Vec::new(),
        forced: Vec::new(),
        prompt_read: 0,
        prompt_told: 0,
        top_logprobs,
        prompt_logprobs,
        constraint,
        waited: 0,
    }
}

/// Sets of one, a few or most tokens in a cycle. Now and then a mask is late, if it may be, and some constraints fail at some place.
fn constraint(random: &mut Random, late: Option<&Arc<StepCount>>) -> (Automaton, usize) {
    let set = |random: &mut Random| {
        let (from, most) = (random.below(VOCABULARY), [1, 1, 5, 40, 50][random.below(5)]);
        (from..from + most).map(|id| (id % VOCABULARY) as u32).collect()
    };
    let sets = (0..1 + random.below(8)).map(|_| set(random)).collect();
    let fails_at = if random.chance(10) { random.below(20) } else { usize::MAX };
    let late_at = if random.chance(4) { random.below(20) } else { usize::MAX };
    let (late, step_thread) = (late.cloned(), std::thread::current().id());
    let before = move |at| {
        // Between drafts it is the step thread that asks: it would wait for itself.
        let late = late.as_ref().filter(|_| at == late_at && std::thread::current().id() != step_thread);
        // Past the end of the step that asked for it, and past the next one, which needs it.
        late.inspect(|count| count.wait(2));
        if at == fails_at { Err(automaton::failure("as told")) } else { Ok(()) }
    };
    (Automaton::new(sets).always(&CLOSE).before_mask(before), fails_at)
}

impl Client {
    /// What comes where the model says `own`: that if it may come, else the first that may. And whether there is no choice.
    fn choice(&self, own: u32) -> (u32, bool) {
        match self.constraint.as_ref().map(|(automaton, _)| automaton.allowed()) {
            Some(&[only]) => (only, true),
            Some(allowed) if !allowed.contains(&own) => (allowed.iter().copied().min().unwrap(), false),
            _ => (own, false),
        }
    }

    /// Reads what has come; whether it has ended, after checking all that it said.
    fn poll(&mut self, oracle: &mut Oracle, ends: &mut HashMap<String, usize>) -> bool {
        self.waited += 1;
        assert!(self.waited < STEPS_WAITED_MAX, "a job starves");
        while let Some(event) = self.generation.try_next() {
            match event {
                Event::PromptRead { done, total } => {
                    assert!(done > self.prompt_read && done <= total && total == self.prompt.len());
                    self.prompt_read = done;
                }
                Event::Token(token) => {
                    let so_far = [&self.prompt[..], &self.read].concat();
                    let (own, forced) = (oracle.next(&so_far), self.forced.pop());
                    let (choice, is_only) = self.choice(own);
                    assert_eq!(token.id, forced.unwrap_or(choice), "after {so_far:?}");
                    if let Some((automaton, _)) = &mut self.constraint {
                        automaton.push(token.id).unwrap();
                    }
                    // A logit of 100 among zeros; where a token is forced nobody may have looked.
                    let is_known = !(forced.is_some() || is_only) || token.logprob != 0.0;
                    if let Some(count) = self.top_logprobs.filter(|_| is_known) {
                        assert_eq!(token.logprob, if token.id == own { 0.0 } else { -100.0 });
                        assert_eq!(token.top.first().map(|&(id, _)| id), (count > 0).then_some(own));
                        assert_eq!(token.top.len(), count);
                    }
                    let told = if self.prompt_logprobs.is_some() { self.prompt.len() } else { 0 };
                    assert_eq!(self.prompt_told, told, "the prompt's log probabilities come before the first token");
                    self.read.push(token.id);
                }
                Event::Guarded(report) => {
                    assert_eq!(report.at_token, self.read.len());
                    self.forced = CLOSE.iter().rev().copied().collect();
                }
                Event::PromptLogprobs(pieces) => {
                    for piece in pieces {
                        let at = self.prompt_told;
                        assert_eq!(piece.id, self.prompt[at]);
                        let own = (at > 0).then(|| oracle.next(&self.prompt[..at]));
                        assert_eq!(piece.logprob, own.map(|own| if own == piece.id { 0.0 } else { -100.0 }));
                        let first = own.filter(|_| self.prompt_logprobs > Some(0));
                        assert_eq!(piece.top.first().map(|&(id, _)| id), first);
                        self.prompt_told += 1;
                    }
                }
                Event::Finished(finish) => {
                    assert_eq!(finish.generated_tokens, self.read.len());
                    assert!(finish.cached_tokens < finish.prompt_tokens);
                    match finish.reason {
                        FinishReason::Length => {
                            assert_eq!(self.read.len(), self.tokens_max);
                            let told = if self.prompt_logprobs.is_some() { self.prompt.len() } else { 0 };
                            assert_eq!(self.prompt_told, told);
                        }
                        FinishReason::Context => assert_eq!(self.prompt.len() + self.read.len(), CONTEXT),
                        FinishReason::Cancelled | FinishReason::Deadline => {}
                        FinishReason::Memory | FinishReason::Stop(_) => panic!("{finish:?}"),
                    }
                    *ends.entry(format!("{:?}", finish.reason)).or_default() += 1;
                    return true;
                }
                Event::Failed(Error::Constraint { reason }) => {
                    let (automaton, fails_at) = self.constraint.as_ref().unwrap();
                    assert_eq!((automaton.at(), &reason[..]), (*fails_at, "as told"));
                    *ends.entry("Failed".into()).or_default() += 1;
                    return true;
                }
                Event::Failed(error) => panic!("{error}"),
            }
        }
        false
    }
}

/// What a simulation came to.
struct Outcome {
    stats: Stats,
    ends: HashMap<String, usize>,
    most_blocks: usize,
    most_logit_rows: usize,
}

#[test]
fn a_hundred_thousand_steps() {
    let Outcome { stats, ends, most_blocks, .. } = simulate(100_000, (90, 24));
    let least = [("Length", 1000), ("Cancelled", 50), ("Deadline", 10), ("Context", 10), ("Failed", 10)];
    assert!(least.iter().all(|&(reason, count)| ends[reason] > count), "{ends:?}");
    assert!(stats.preempted > 5 && stats.cache.evicted > 1000 && stats.cache.hits > 1000, "{stats:?}");
    assert!(stats.accepted_tokens > 1000 && stats.drafted_tokens > stats.accepted_tokens + 1000, "{stats:?}");
    assert!(stats.guarded > 100, "{stats:?}");
    assert!(stats.masks > 1000 && stats.late_masks == 0 && stats.forced_tokens > 1000, "{stats:?}");
    assert_eq!(most_blocks, 90, "memory was short");
}

#[test]
fn memory_for_hardly_more_than_one() {
    // A whole context takes 33 blocks, so what the cache holds must give way for every job.
    let Outcome { stats, ends, most_blocks, .. } = simulate(20_000, (34, 24));
    assert!(ends["Length"] > 500 && stats.cache.hits > 20, "{ends:?} {stats:?}");
    assert_eq!(most_blocks, 34);
}

#[test]
fn rows_of_logits_have_a_bound() {
    let Outcome { most_logit_rows, ends, .. } = simulate(10_000, (120, 90));
    assert!(ends["Length"] > 100 && most_logit_rows > 40, "{most_logit_rows} {ends:?}");
}

#[test]
fn late_masks_change_nothing() {
    // When the others come is up to the machine, and with it who runs when; what is said is not.
    let Outcome { stats, .. } = simulate_with(20_000, (90, 24), Some(Arc::default()));
    assert!(stats.late_masks > 0 && stats.forced_tokens > 100, "{stats:?}");
}

/// Steps that wait for every mask, so that each run is the same.
fn simulate(step_count: u64, limits: (usize, usize)) -> Outcome {
    simulate_with(step_count, limits, None)
}

fn simulate_with(step_count: u64, (blocks_max, chunk_tokens): (usize, usize), late: Option<Arc<StepCount>>) -> Outcome {
    let mut random = Random(7);
    let mut steps = Steps::new(Box::new(model()), limits(blocks_max, chunk_tokens)).unwrap();
    if late.is_none() {
        steps.grace_min = Duration::from_secs(600);
    }
    let (mut oracle, mut known, mut ends) = (Oracle::default(), Vec::new(), HashMap::new());
    let mut clients: Vec<Client> = Vec::new();
    let start = Instant::now();
    let (mut most_blocks, mut most_logit_rows) = (0, 0);
    for step in 0..step_count {
        let now = start + Duration::from_millis(step);
        // Rushes and quiet times.
        let rush = (step / 500) % 4 == 0;
        if clients.len() < 40 && random.chance(if rush { 4 } else { 12 }) {
            clients.push(client(&mut steps, &mut random, &mut known, late.as_ref(), now));
        }
        if random.chance(60) && !clients.is_empty() {
            let index = random.below(clients.len());
            if random.chance(2) {
                clients[index].canceller.cancel();
            } else {
                clients.swap_remove(index);
            }
        }
        steps.prepare(now);
        steps.step(now);
        steps.tell_ends();
        late.iter().for_each(|count| count.advance(1));
        let stats = steps.stats();
        most_blocks = most_blocks.max(stats.kv_blocks);
        assert!(stats.kv_blocks <= blocks_max, "{} blocks", stats.kv_blocks);
        assert!(stats.running <= 6);
        let logit_rows = steps.logits.len() / VOCABULARY;
        most_logit_rows = most_logit_rows.max(logit_rows);
        assert!(logit_rows <= steps.limits.logit_rows_max(), "{logit_rows} rows of logits");
        assert_eq!(stats.submitted, stats.ended + (stats.running + stats.queued) as u64, "no job is lost");
        clients.retain_mut(|client| !client.poll(&mut oracle, &mut ends));
        if oracle.0.len() > 200_000 {
            oracle.0.clear();
        }
    }
    let stats = steps.stats();
    steps.cancel_all(start);
    // Who still waits goes on.
    late.iter().for_each(|count| count.advance(2));
    let cache = steps.cache.as_mut().unwrap();
    cache.clear(&mut *steps.model);
    assert_eq!((steps.model.kv_blocks_in_use(), cache.stats().nodes), (0, 0), "nothing is leaked");
    Outcome { stats, ends, most_blocks, most_logit_rows }
}
