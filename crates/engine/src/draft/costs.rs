//! What a step costs, by its rows, learned while the engine runs. It must not know clocks or sequences.
//!
//! A step's time is the product of a prior shape, a ratio that was learned for about so many rows, and the scale of the moment.
//! The shape is what the 20b model took on two cores, where reading the weights dominates and more rows touch more experts: 1,
//! 1.5, 2.2, 3.2 and 4.6 for 1, 2, 4, 8 and 16 rows, continued with the same growth. Ratios are exponential averages, one per
//! bucket of row counts; between and beyond the buckets that were seen they are interpolated, so a single observation
//! already gives a time for every row count. Averages are of logarithms, so that a step that was interrupted, which is much
//! too long, counts no more than one that is much too short.
//!
//! Steps become slower as contexts grow, and the machine has other things to do. Every observation moves the scale. A ratio,
//! which is what decisions depend on, moves in the first steps after steps of another bucket: then the scale comes from other
//! row counts of about the same time, and the comparison says something about the ratio. The longer steps of one bucket follow
//! each other the more a change is a change of the scale, and the buckets that are not seen meanwhile keep their ratios to it.

/// Rows and relative time of a step.
const SHAPE: [(f64, f64); 5] = [(1.0, 1.0), (2.0, 1.5), (4.0, 2.2), (8.0, 3.2), (16.0, 4.6)];
/// The row counts that have an average of their own; others count to the nearest.
const BUCKETS: [usize; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];
/// Weight of a new observation in a ratio, once there have been many; the prior counts as two.
const RATIO_WEIGHT: f64 = 0.1;
/// What remains of that weight after another step of the same bucket.
const RATIO_WEIGHT_KEPT: f64 = 0.9;
/// Weight of a new observation in the scale.
const SCALE_WEIGHT: f64 = 0.1;
/// An observation counts as at most so many times more, or less, than expected.
const SURPRISE_MAX: f64 = 2.0;

/// What steps cost on this machine with this model; one per engine.
#[derive(Clone, Debug, Default)]
pub struct StepCosts {
    buckets: [Bucket; BUCKETS.len()],
    newest: Option<Newest>,
}

/// The steps of about so many rows.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Logarithm of what the steps took, relative to shape and scale.
    log_ratio: f64,
    observations: u32,
}

/// Where things stand since the newest observation.
#[derive(Clone, Copy, Debug)]
struct Newest {
    bucket: usize,
    /// Steps of this bucket since the last one of another.
    run: i32,
    /// Logarithm of the seconds per unit of shape and ratio.
    log_scale: f64,
}

impl StepCosts {
    /// Costs of which nothing is known but the prior shape.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A step of `rows` rows, each of them a token of some sequence that generates, took `seconds`. Steps that also read
    /// prompts tell nothing here. Times that are not finite or not above zero, and steps without rows, are ignored.
    pub fn observe_step(&mut self, rows: usize, seconds: f64) {
        if rows == 0 || !seconds.is_finite() || seconds <= 0.0 {
            return;
        }
        let (index, found) = (nearest(rows), (seconds / shape(rows)).ln());
        let Some(Newest { bucket, run, log_scale }) = self.newest else {
            self.buckets[index].observations = 1;
            self.newest = Some(Newest { bucket: index, run: 1, log_scale: found });
            return;
        };
        let run = if bucket == index { run.saturating_add(1) } else { 1 };
        let ratio = self.log_ratio(rows);
        let surprise = (found - log_scale - ratio).clamp(-SURPRISE_MAX.ln(), SURPRISE_MAX.ln());
        let seen = &mut self.buckets[index];
        let before = if seen.observations == 0 { ratio } else { seen.log_ratio };
        seen.observations = seen.observations.saturating_add(1);
        let weight = RATIO_WEIGHT.max(1.0 / (f64::from(seen.observations) + 2.0));
        seen.log_ratio = before + surprise * weight * RATIO_WEIGHT_KEPT.powi(run - 1);
        self.newest = Some(Newest { bucket: index, run, log_scale: log_scale + surprise * SCALE_WEIGHT });
    }

    /// What a step of `rows` rows is expected to take. Before the first observation a step of one row takes 1.
    ///
    /// # Panics
    /// When `rows` is 0.
    #[must_use]
    pub fn seconds(&self, rows: usize) -> f64 {
        assert!(rows > 0, "a step has rows");
        let log_scale = self.newest.map_or(0.0, |newest| newest.log_scale);
        shape(rows) * (log_scale + self.log_ratio(rows)).exp()
    }

    fn log_ratio(&self, rows: usize) -> f64 {
        let seen = BUCKETS.iter().zip(&self.buckets).filter(|(_, bucket)| bucket.observations > 0);
        let points = seen.map(|(&at, bucket)| ((at as f64).ln(), bucket.log_ratio));
        let at = (rows as f64).ln();
        let below = points.clone().take_while(|point| point.0 <= at).last();
        let above = points.clone().find(|point| point.0 >= at);
        match (below, above) {
            (Some(below), Some(above)) => between(below, above, at),
            (Some((_, log_ratio)), None) | (None, Some((_, log_ratio))) => log_ratio,
            (None, None) => 0.0,
        }
    }
}

/// The prior: relative time of a step, straight lines over the logarithms of rows and time.
fn shape(rows: usize) -> f64 {
    let rows = rows as f64;
    let above = SHAPE.iter().position(|&(at, _)| at >= rows).unwrap_or(SHAPE.len() - 1).max(1);
    let logarithms = |(rows, time): (f64, f64)| (rows.ln(), time.ln());
    between(logarithms(SHAPE[above - 1]), logarithms(SHAPE[above]), rows.ln()).exp()
}

/// The value at `at` on the line through two points, which goes on beyond them.
fn between((at_a, a): (f64, f64), (at_b, b): (f64, f64), at: f64) -> f64 {
    if at_a == at_b { a } else { a + (b - a) * (at - at_a) / (at_b - at_a) }
}

/// The bucket whose row count is nearest in ratio.
fn nearest(rows: usize) -> usize {
    let above = BUCKETS.iter().position(|&at| at >= rows).unwrap_or(BUCKETS.len() - 1);
    // A row count is nearer to the lower bucket when it is below the geometric mean of both.
    if above > 0 && rows.saturating_mul(rows) < BUCKETS[above - 1] * BUCKETS[above] { above - 1 } else { above }
}
