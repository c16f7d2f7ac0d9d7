//! Which experts each token goes to, and the gradients of that choice. It must not know what experts compute.

use kernels::Training;

/// Tokens of a task.
const TASK_TOKENS: usize = 256;

/// The choice of experts for a batch of tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routing {
    /// Experts per token.
    chosen: usize,
    /// Softmax over all experts, `[tokens, experts]`; only the balance loss looks at the unchosen.
    probabilities: Vec<f32>,
    /// The chosen experts, the likeliest first (of equals the first), `[tokens, chosen]`.
    experts: Vec<u32>,
    /// Softmax over the chosen, `[tokens, chosen]`.
    pub(crate) weights: Vec<f32>,
    /// First slot of each expert, and the end: slots are the tokens sorted by expert.
    pub(crate) starts: Vec<usize>,
    /// The token of each slot.
    pub(crate) tokens: Vec<u32>,
    /// The slot of each choice, `[tokens, chosen]`.
    pub(crate) slots: Vec<u32>,
    /// By slot: the weight of its choice.
    pub(crate) slot_weights: Vec<f32>,
}

impl Routing {
    /// Chooses from `[tokens, experts]` logits.
    pub(crate) fn choose(&mut self, compute: &Training, logits: &[f32], experts: usize, chosen: usize) {
        let tokens = logits.len() / experts;
        self.chosen = chosen;
        self.probabilities.resize(tokens * experts, 0.0);
        self.experts.resize(tokens * chosen, 0);
        self.weights.resize(tokens * chosen, 0.0);
        let row = |token: usize| &logits[token * experts..(token + 1) * experts];
        compute.for_each_chunk(&mut self.experts, TASK_TOKENS * chosen, |task, part| {
            let mut order: Vec<u32> = Vec::with_capacity(experts);
            for (index, best) in part.chunks_exact_mut(chosen).enumerate() {
                let row = row(task * TASK_TOKENS + index);
                order.clear();
                order.extend(0..experts as u32);
                order.sort_by(|&a, &b| row[b as usize].total_cmp(&row[a as usize]));
                best.copy_from_slice(&order[..chosen]);
            }
        });
        let picked = &self.experts;
        compute.for_each_chunk(&mut self.weights, TASK_TOKENS * chosen, |task, part| {
            for (index, weights) in part.chunks_exact_mut(chosen).enumerate() {
                let token = task * TASK_TOKENS + index;
                softmax(picked[token * chosen..].iter().map(|&expert| row(token)[expert as usize]), weights);
            }
        });
        compute.for_each_chunk(&mut self.probabilities, TASK_TOKENS * experts, |task, part| {
            for (index, probabilities) in part.chunks_exact_mut(experts).enumerate() {
                softmax(row(task * TASK_TOKENS + index).iter().copied(), probabilities);
            }
        });
        self.sort(experts);
    }

    /// Tokens that chose each expert.
    pub(crate) fn counts(&self) -> impl Iterator<Item = usize> {
        self.starts.windows(2).map(|pair| pair[1] - pair[0])
    }

    fn sort(&mut self, experts: usize) {
        let mut next = vec![0; experts + 1];
        for &expert in &self.experts {
            next[expert as usize + 1] += 1;
        }
        for expert in 0..experts {
            next[expert + 1] += next[expert];
        }
        self.starts.clone_from(&next);
        self.tokens.resize(self.experts.len(), 0);
        self.slots.resize(self.experts.len(), 0);
        self.slot_weights.resize(self.experts.len(), 0.0);
        for (choice, &expert) in self.experts.iter().enumerate() {
            let slot = next[expert as usize];
            next[expert as usize] += 1;
            self.tokens[slot] = (choice / self.chosen) as u32;
            self.slots[choice] = slot as u32;
            self.slot_weights[slot] = self.weights[choice];
        }
    }

    /// The balance loss: `experts · Σ share of tokens · mean probability` (Switch Transformers, arXiv 2101.03961, eq. 4, with
    /// every choice of a token counted). It is least, `chosen`, when all experts are used alike.
    pub(crate) fn balance_loss(&self) -> f64 {
        let experts = self.starts.len() - 1;
        let tokens = self.probabilities.len() / experts;
        let means = (0..experts).map(|expert| {
            let column = self.probabilities.iter().skip(expert).step_by(experts);
            column.map(|&value| f64::from(value)).sum::<f64>() / tokens as f64
        });
        let shares = self.counts().map(|count| count as f64 / tokens as f64);
        shares.zip(means).map(|(share, mean)| share * mean).sum::<f64>() * experts as f64
    }

    /// Gradients of the logits, `[tokens, experts]`: from those of the weights, `[tokens, chosen]`, and from
    /// `balance` times the balance loss.
    pub(crate) fn backward(&self, weight_gradients: &[f32], balance: f32, logit_gradients: &mut [f32]) {
        let experts = self.starts.len() - 1;
        let tokens = self.probabilities.len() / experts;
        let factor = balance * experts as f32 / (tokens as f32 * tokens as f32);
        let pulls: Vec<f32> = self.counts().map(|count| factor * count as f32).collect();
        for token in 0..tokens {
            let gradients = &mut logit_gradients[token * experts..][..experts];
            let probabilities = &self.probabilities[token * experts..][..experts];
            let mean: f32 = probabilities.iter().zip(&pulls).map(|(p, pull)| p * pull).sum();
            for ((gradient, p), pull) in gradients.iter_mut().zip(probabilities).zip(&pulls) {
                *gradient = p * (pull - mean);
            }
            let choices = token * self.chosen..(token + 1) * self.chosen;
            let (weights, directs) = (&self.weights[choices.clone()], &weight_gradients[choices.clone()]);
            let mean: f32 = weights.iter().zip(directs).map(|(weight, direct)| weight * direct).sum();
            for ((expert, weight), direct) in self.experts[choices].iter().zip(weights).zip(directs) {
                gradients[*expert as usize] += weight * (direct - mean);
            }
        }
    }
}

/// Softmax of as many logits as there is room for.
fn softmax(logits: impl Iterator<Item = f32> + Clone, out: &mut [f32]) {
    let best = logits.clone().take(out.len()).fold(f32::NEG_INFINITY, f32::max);
    out.iter_mut().zip(logits).for_each(|(value, logit)| *value = (logit - best).exp());
    let sum: f32 = out.iter().sum();
    out.iter_mut().for_each(|value| *value /= sum);
}

#[cfg(test)]
mod tests {
    use kernels::{IsaKind, Training};

    use super::Routing;

    const TOKENS: usize = 12;
    const EXPERTS: usize = 5;
    const CHOSEN: usize = 3;
    const BALANCE: f64 = 0.75;

    /// Seeded values between −2 and 2.
    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|place| ((place * place * 37 + place * 11) % 101) as f32 / 25.0 - 2.0).collect()
    }

    /// The weights of the choices times `pulls`, and the balance loss times its weight; in f64, with the choice as it is.
    fn twin(logits: &[f64], routing: &Routing, pulls: &[f32]) -> f64 {
        let counts: Vec<usize> = routing.counts().collect();
        let (mut weighted, mut balance) = (0.0, 0.0);
        for (token, row) in logits.chunks_exact(EXPERTS).enumerate() {
            let choices = token * CHOSEN..(token + 1) * CHOSEN;
            let chosen = || routing.experts[choices.clone()].iter().map(|&expert| row[expert as usize].exp());
            let sum: f64 = chosen().sum();
            weighted += chosen().zip(&pulls[choices.clone()]).map(|(e, pull)| e / sum * f64::from(*pull)).sum::<f64>();
            let all: f64 = row.iter().map(|logit| logit.exp()).sum();
            let shares =
                row.iter().zip(&counts).map(|(logit, &count)| logit.exp() / all * count as f64 / TOKENS as f64);
            balance += shares.sum::<f64>() / TOKENS as f64;
        }
        weighted + BALANCE * EXPERTS as f64 * balance
    }

    fn routing(logits: &[f32]) -> Routing {
        let mut routing = Routing::default();
        let compute = Training::new(IsaKind::Scalar, 2).unwrap();
        routing.choose(&compute, logits, EXPERTS, CHOSEN);
        routing
    }

    #[test]
    fn gradients_are_the_slopes_of_the_twin() {
        let (logits, pulls) = (values(TOKENS * EXPERTS), values(TOKENS * CHOSEN));
        let routing = routing(&logits);
        let wide: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        let value: f64 = routing.weights.iter().zip(&pulls).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        assert!((value + BALANCE * routing.balance_loss() - twin(&wide, &routing, &pulls)).abs() < 1e-5);
        let mut gradients = vec![f32::NAN; logits.len()];
        routing.backward(&pulls, BALANCE as f32, &mut gradients);
        for (place, &found) in gradients.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = wide.clone();
                moved[place] += step;
                twin(&moved, &routing, &pulls)
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((f64::from(found) - slope).abs() < 1e-6, "[{place}] {found} instead of {slope}");
        }
    }

    #[test]
    fn the_likeliest_are_chosen_and_of_equals_the_first() {
        let routing = routing(&[1.0, 3.0, 2.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(routing.experts, [1, 3, 2, 0, 1, 2]);
        assert_eq!(routing.counts().collect::<Vec<_>>(), [1, 2, 2, 1, 0]);
        assert_eq!(routing.tokens, [1, 0, 1, 0, 1, 0]);
        for (choice, &slot) in routing.slots.iter().enumerate() {
            assert_eq!(routing.tokens[slot as usize] as usize, choice / CHOSEN);
            assert_eq!(routing.slot_weights[slot as usize], routing.weights[choice]);
        }
    }

    #[test]
    fn experts_used_alike_have_the_least_balance_loss() {
        let turn =
            |token: usize| (0..EXPERTS).map(move |expert| if (expert + token) % EXPERTS < CHOSEN { 2.0 } else { 0.0 });
        let even: Vec<f32> = (0..EXPERTS).flat_map(turn).collect();
        let uneven: Vec<f32> = (0..EXPERTS).flat_map(|_| turn(0)).collect();
        assert!((routing(&even).balance_loss() - CHOSEN as f64).abs() < 1e-6);
        assert!(routing(&uneven).balance_loss() > CHOSEN as f64 + 0.5);
    }
}
