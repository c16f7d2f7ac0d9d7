//! What changes from step to step, as pure functions of the step. They must not know the model or the data.

use std::f64::consts::PI;

use super::Schedule;

impl Schedule {
    /// The learning rate of a step (the first is 0): a straight line up over the warm-up, then half a cosine down, which
    /// reaches the final share at the last step.
    #[must_use]
    pub fn learning_rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let falling = (self.steps - 1).saturating_sub(self.warmup_steps).max(1);
        let done = ((step - self.warmup_steps) as f64 / falling as f64).min(1.0);
        let share = self.final_learning_rate_share;
        self.learning_rate * (share + (1.0 - share) * 0.5 * (1.0 + (PI * done).cos()))
    }

    /// The weight of tokens at a step that the model does not write itself.
    #[must_use]
    pub fn prompt_weight(&self, step: u64) -> f64 {
        let counts = (step as f64) < self.prompt_steps_share * self.steps as f64;
        if counts { self.prompt_weight } else { 0.0 }
    }

    /// Whether the weights of a step are rounded as in the exported file.
    #[must_use]
    pub fn is_quantised(&self, step: u64) -> bool {
        step as f64 >= self.quantise_from_share * self.steps as f64
    }
}

#[cfg(test)]
mod tests {
    use crate::recipe::Schedule;
    use crate::recipe::tests::recipe;

    fn schedule(steps: u64, warmup_steps: u64) -> Schedule {
        Schedule { steps, warmup_steps, learning_rate: 0.004, final_learning_rate_share: 0.25, ..recipe().train }
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn the_learning_rate_rises_and_falls() {
        let schedule = schedule(111, 10);
        near(schedule.learning_rate(0), 0.0004);
        near(schedule.learning_rate(9), 0.004);
        near(schedule.learning_rate(10), 0.004);
        near(schedule.learning_rate(60), 0.004 * (0.25 + 0.75 / 2.0));
        near(schedule.learning_rate(110), 0.001);
        near(schedule.learning_rate(500), 0.001);
        let rates: Vec<f64> = (0..111).map(|step| schedule.learning_rate(step)).collect();
        assert!(rates[..10].is_sorted() && rates[10..].iter().rev().is_sorted());
    }

    #[test]
    fn short_schedules_have_a_rate_too() {
        near(schedule(1, 0).learning_rate(0), 0.004);
        near(schedule(5, 5).learning_rate(4), 0.004);
        near(schedule(2, 0).learning_rate(1), 0.001);
    }

    #[test]
    fn prompts_count_at_first_and_rounding_comes_last() {
        let schedule = schedule(100, 10);
        assert_eq!([0, 19, 20, 99].map(|step| schedule.prompt_weight(step)), [0.1, 0.1, 0.0, 0.0]);
        assert_eq!([0, 74, 75, 99].map(|step| schedule.is_quantised(step)), [false, false, true, true]);
        let never = Schedule { quantise_from_share: 1.0, prompt_steps_share: 0.0, ..schedule };
        assert!(!never.is_quantised(99) && never.prompt_weight(0) == 0.0);
    }
}
