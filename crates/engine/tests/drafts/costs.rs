//! What steps are believed to cost: the prior, what observations change, what they must not change.

use engine::StepCosts;

fn assert_near(found: f64, expected: f64, share: f64) {
    assert!((found / expected - 1.0).abs() < share, "{found} instead of {expected}");
}

#[test]
fn the_prior_is_the_measured_shape() {
    let costs = StepCosts::new();
    for (rows, expected) in [(1, 1.0), (2, 1.5), (3, 1.88), (4, 2.2), (8, 3.2), (16, 4.6), (32, 6.61)] {
        assert_near(costs.seconds(rows), expected, 0.01);
    }
    assert!((1..300).all(|rows| costs.seconds(rows) < costs.seconds(rows + 1)));
}

#[test]
fn one_observation_gives_the_scale() {
    let mut costs = StepCosts::new();
    costs.observe_step(1, 0.1);
    assert_near(costs.seconds(1), 0.1, 1e-9);
    assert_near(costs.seconds(4), 0.22, 1e-9);
}

#[test]
fn another_shape_is_learned_and_interpolated() {
    let truth = |rows: usize| 0.05 * (1.0 + 0.02 * rows as f64);
    let mut costs = StepCosts::new();
    for turn in 0..200 {
        for rows in [1, 2, 4, 8, 16] {
            let noise = if turn % 2 == 0 { 1.1 } else { 0.9 };
            costs.observe_step(rows, truth(rows) * noise);
        }
    }
    for rows in [1, 2, 3, 4, 6, 8, 16] {
        assert_near(costs.seconds(rows), truth(rows), 0.1);
    }
}

#[test]
fn an_interrupted_step_and_nonsense_change_little() {
    let mut costs = StepCosts::new();
    for _ in 0..50 {
        costs.observe_step(1, 1.0);
    }
    costs.observe_step(1, 1000.0);
    assert!(costs.seconds(1) <= 2.2, "{}", costs.seconds(1));
    for _ in 0..10 {
        costs.observe_step(1, 1.0);
    }
    assert_near(costs.seconds(1), 1.0, 0.1);
    let before = costs.seconds(1);
    for (rows, seconds) in [(1, f64::NAN), (1, f64::INFINITY), (1, 0.0), (1, -1.0), (0, 1.0)] {
        costs.observe_step(rows, seconds);
    }
    assert_near(costs.seconds(1), before, 1e-12);
}

#[test]
fn ratios_outlive_a_machine_that_becomes_slower() {
    let mut costs = StepCosts::new();
    for _ in 0..30 {
        costs.observe_step(1, 1.0);
        costs.observe_step(16, 8.0);
    }
    for _ in 0..60 {
        costs.observe_step(1, 1.0);
    }
    for _ in 0..200 {
        costs.observe_step(1, 2.0);
    }
    let ratio = costs.seconds(16) / costs.seconds(1);
    assert_near(ratio, 8.0, 0.05);
    assert_near(costs.seconds(1), 2.0, 0.01);
}

#[test]
fn ratios_survive_a_slow_drift_by_which_everything_takes_thrice_as_long() {
    let mut costs = StepCosts::new();
    for turn in 0..2000 {
        let slow = 1.0 + f64::from(turn) / 1000.0;
        costs.observe_step(1, slow);
        if turn % 64 == 0 {
            costs.observe_step(3, 2.5 * slow);
        }
    }
    assert_near(costs.seconds(3) / costs.seconds(1), 2.5, 0.05);
}
