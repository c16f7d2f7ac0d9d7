//! Steps of AdamW.

use kernels::AdamStep;

use super::{assert_near, on_every_machine, random, wide};

/// AdamW as its paper has it (arXiv 1711.05101, algorithm 2), in f64.
fn twin(step: &AdamStep, [parameters, first, second]: [&mut Vec<f64>; 3], gradients: &[f32]) {
    let AdamStep { learning_rate, betas, epsilon, weight_decay, gradient_scale, corrections } = *step;
    let [learning_rate, epsilon, decay, scale] = [learning_rate, epsilon, weight_decay, gradient_scale].map(f64::from);
    let ([beta1, beta2], [correction1, correction2]) = (betas.map(f64::from), corrections.map(f64::from));
    for (index, &gradient) in gradients.iter().enumerate() {
        let gradient = scale * f64::from(gradient);
        first[index] = beta1 * first[index] + (1.0 - beta1) * gradient;
        second[index] = beta2 * second[index] + (1.0 - beta2) * gradient * gradient;
        let direction = first[index] / correction1 / ((second[index] / correction2).sqrt() + epsilon);
        parameters[index] -= learning_rate * (direction + decay * parameters[index]);
    }
}

fn follow(count: usize, steps: &[AdamStep]) {
    let parameters = random(count, 1);
    // A gradient that is always zero, small ones, and great ones.
    let gradients = |step: usize| -> Vec<f32> {
        let sizes = [1.0, 0.0, 1e-6, 30.0];
        random(count, 10 + step as u64).iter().enumerate().map(|(index, value)| value * sizes[index % 4]).collect()
    };
    let [mut expected, mut first, mut second] = [wide(&parameters), vec![0.0; count], vec![0.0; count]];
    for (index, step) in steps.iter().enumerate() {
        twin(step, [&mut expected, &mut first, &mut second], &gradients(index));
    }
    on_every_machine(
        |training| {
            let [mut parameters, mut first, mut second] = [parameters.clone(), vec![0.0; count], vec![0.0; count]];
            for (index, step) in steps.iter().enumerate() {
                training.adam(step, &mut parameters, [&mut first, &mut second], &gradients(index));
            }
            [parameters, first, second]
        },
        |found, isa| {
            for (found, (expected, name)) in
                found.iter().zip([(&expected, "parameters"), (&first, "first"), (&second, "second")])
            {
                assert_near(found, expected, 2e-6, &format!("{name} of {count}, {isa}"));
            }
        },
    );
}

#[test]
fn steps_are_the_twins() {
    let step = |number: i32| AdamStep {
        learning_rate: 0.1 / number as f32,
        betas: [0.9, 0.97],
        epsilon: 1e-8,
        weight_decay: 0.1,
        gradient_scale: 0.7,
        corrections: [1.0 - 0.9_f32.powi(number), 1.0 - 0.97_f32.powi(number)],
    };
    let steps: Vec<AdamStep> = (1..=5).map(step).collect();
    for count in [0, 1, 33, 16 << 10, 40_003] {
        follow(count, &steps);
    }
}

#[test]
fn epsilon_is_added_to_the_corrected_root() {
    // Large enough to decide the length of the step.
    let step = AdamStep {
        learning_rate: 0.5,
        betas: [0.5, 0.75],
        epsilon: 0.5,
        weight_decay: 0.0,
        gradient_scale: 1.0,
        corrections: [0.5, 0.25],
    };
    follow(50, &[step]);
}
