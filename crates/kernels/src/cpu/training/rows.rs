//! Row-wise steps of training, forward and backward: RMSNorm, rotary pairs, SwiGLU, cross-entropy, AdamW. Must not know layers.

use crate::cpu::lanes::Lanes;

/// What RMSNorm had and gave for one row.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Normed<'a> {
    pub(in crate::cpu) x: &'a [f32],
    pub(in crate::cpu) weight: &'a [f32],
    /// `1 / sqrt(mean(x²) + epsilon)`.
    pub(in crate::cpu) scale: f32,
}

/// Backward of RMSNorm: `dx += r·(weight·dy − x·r²·mean(weight·dy·x))`, `dweight += dy·x·r`.
///
/// # Safety
/// The slices are equally long (for all functions here, if nothing else is said).
#[inline(always)]
pub(in crate::cpu) unsafe fn rms_norm_backward<L: Lanes>(
    &Normed { x, weight, scale }: &Normed<'_>,
    out_gradient: &[f32],
    x_gradient: &mut [f32],
    weight_gradient: &mut [f32],
) {
    let length = x.len();
    let (x, weight, dy) = (x.as_ptr(), weight.as_ptr(), out_gradient.as_ptr());
    let (dx, dw) = (x_gradient.as_mut_ptr(), weight_gradient.as_mut_ptr());
    // SAFETY: all indices are below the common length.
    unsafe {
        let mut sums = L::splat(0.0);
        let mut i = 0;
        while i + L::WIDTH <= length {
            let product = L::mul(L::load(dy.add(i)), L::load(x.add(i)));
            let sum = L::fma(L::splat(scale), product, L::load(dw.add(i)));
            L::store(dw.add(i), sum);
            sums = L::fma(product, L::load(weight.add(i)), sums);
            i += L::WIDTH;
        }
        let mut sum = L::reduce_add(sums);
        while i < length {
            let product = *dy.add(i) * *x.add(i);
            *dw.add(i) += scale * product;
            sum += product * *weight.add(i);
            i += 1;
        }
        let back = -sum / length as f32 * scale * scale * scale;
        i = 0;
        while i + L::WIDTH <= length {
            let direct = L::mul(L::mul(L::load(dy.add(i)), L::load(weight.add(i))), L::splat(scale));
            let value = L::fma(L::load(x.add(i)), L::splat(back), direct);
            L::store(dx.add(i), L::add(L::load(dx.add(i)), value));
            i += L::WIDTH;
        }
        while i < length {
            *dx.add(i) += *dy.add(i) * *weight.add(i) * scale + *x.add(i) * back;
            i += 1;
        }
    }
}

/// Rotates the pairs `(x[i], x[half + i])` by the angles of a position; `direction` −1 turns back (and so is the backward
/// pass, as the table's concentration scales both alike).
///
/// # Safety
/// `x` holds `2 · half` values, `cos` and `sin` `half`.
#[inline(always)]
pub(in crate::cpu) unsafe fn rotate<L: Lanes>(x: *mut f32, half: usize, cos: &[f32], sin: &[f32], direction: f32) {
    let (cos, sin) = (cos.as_ptr(), sin.as_ptr());
    // SAFETY: as required.
    unsafe {
        let mut i = 0;
        while i + L::WIDTH <= half {
            let (a, b) = (L::load(x.add(i)), L::load(x.add(half + i)));
            let (c, s) = (L::load(cos.add(i)), L::mul(L::load(sin.add(i)), L::splat(direction)));
            L::store(x.add(i), L::sub(L::mul(a, c), L::mul(b, s)));
            L::store(x.add(half + i), L::add(L::mul(b, c), L::mul(a, s)));
            i += L::WIDTH;
        }
        while i < half {
            let (a, b) = (*x.add(i), *x.add(half + i));
            let (c, s) = (*cos.add(i), *sin.add(i) * direction);
            *x.add(i) = a * c - b * s;
            *x.add(half + i) = b * c + a * s;
            i += 1;
        }
    }
}

const SWIGLU_ALPHA: f32 = 1.702;

/// `out = g·σ(1.702·g)·(u + 1)` with `g = min(gate, limit)`, `u = clamp(up, ±limit)` (gpt-oss reference, `swiglu`).
///
/// # Safety
/// As above.
#[inline(always)]
pub(in crate::cpu) unsafe fn swiglu<L: Lanes>(gate: &[f32], up: &[f32], limit: f32, out: &mut [f32]) {
    let length = gate.len();
    let (gate, up, out) = (gate.as_ptr(), up.as_ptr(), out.as_mut_ptr());
    // SAFETY: all indices are below the common length.
    unsafe {
        let mut i = 0;
        while i + L::WIDTH <= length {
            let g = L::min(L::load(gate.add(i)), L::splat(limit));
            let u = L::max(L::splat(-limit), L::min(L::load(up.add(i)), L::splat(limit)));
            let sigmoid = sigmoid::<L>(L::mul(g, L::splat(SWIGLU_ALPHA)));
            L::store(out.add(i), L::mul(L::mul(g, sigmoid), L::add(u, L::splat(1.0))));
            i += L::WIDTH;
        }
        while i < length {
            let (g, u) = ((*gate.add(i)).min(limit), (*up.add(i)).clamp(-limit, limit));
            *out.add(i) = g / (1.0 + (-SWIGLU_ALPHA * g).exp()) * (u + 1.0);
            i += 1;
        }
    }
}

#[inline(always)]
unsafe fn sigmoid<L: Lanes>(x: L::V) -> L::V {
    // SAFETY: as for the trait.
    unsafe {
        let exponential = L::exp(L::sub(L::splat(0.0), x));
        L::div(L::splat(1.0), L::add(L::splat(1.0), exponential))
    }
}

/// Backward of [`swiglu`]: replaces `gate` and `up` by their gradients. Where a value was clamped its gradient is 0.
///
/// # Safety
/// As above.
#[inline(always)]
pub(in crate::cpu) unsafe fn swiglu_backward<L: Lanes>(
    gate: &mut [f32],
    up: &mut [f32],
    limit: f32,
    out_gradient: &[f32],
) {
    let length = gate.len();
    let (gate, up, dy) = (gate.as_mut_ptr(), up.as_mut_ptr(), out_gradient.as_ptr());
    // SAFETY: all indices are below the common length.
    unsafe {
        let one = L::splat(1.0);
        let mut i = 0;
        while i + L::WIDTH <= length {
            let (raw_g, raw_u, dy) = (L::load(gate.add(i)), L::load(up.add(i)), L::load(dy.add(i)));
            let g = L::min(raw_g, L::splat(limit));
            let u = L::max(L::splat(-limit), L::min(raw_u, L::splat(limit)));
            let sigmoid = sigmoid::<L>(L::mul(g, L::splat(SWIGLU_ALPHA)));
            let slope = L::mul(L::mul(L::splat(SWIGLU_ALPHA), g), L::sub(one, sigmoid));
            let slope = L::mul(sigmoid, L::add(one, slope));
            let dg = L::mul(L::mul(dy, L::add(u, one)), slope);
            let du = L::mul(dy, L::mul(g, sigmoid));
            L::store(gate.add(i), L::mul(dg, inside::<L>(raw_g, g)));
            L::store(up.add(i), L::mul(du, inside::<L>(raw_u, u)));
            i += L::WIDTH;
        }
        while i < length {
            let (raw_g, raw_u, dy) = (*gate.add(i), *up.add(i), *dy.add(i));
            let (g, u) = (raw_g.min(limit), raw_u.clamp(-limit, limit));
            let sigmoid = 1.0 / (1.0 + (-SWIGLU_ALPHA * g).exp());
            let slope = sigmoid * (1.0 + SWIGLU_ALPHA * g * (1.0 - sigmoid));
            *gate.add(i) = if raw_g == g { dy * (u + 1.0) * slope } else { 0.0 };
            *up.add(i) = if raw_u == u { dy * g * sigmoid } else { 0.0 };
            i += 1;
        }
    }
}

/// 1 where clamping changed nothing, 0 where it did: `max(0, 1 − |raw − clamped|·2¹²⁶)`, as a difference of two f32 values
/// near the limit is 0 or far greater than 2⁻¹²⁶.
#[inline(always)]
unsafe fn inside<L: Lanes>(raw: L::V, clamped: L::V) -> L::V {
    // SAFETY: as for the trait.
    unsafe {
        let difference = L::sub(raw, clamped);
        let distance = L::max(difference, L::sub(L::splat(0.0), difference));
        let steps = L::mul(distance, L::splat(8.507_059e37));
        L::sub(L::splat(1.0), L::min(steps, L::splat(1.0)))
    }
}

/// The greatest of a row.
///
/// # Safety
/// The row has `length` values.
#[inline(always)]
pub(in crate::cpu) unsafe fn greatest<L: Lanes>(row: *const f32, length: usize) -> f32 {
    // SAFETY: the row has `length` values.
    unsafe {
        let mut most = f32::NEG_INFINITY;
        let mut i = 0;
        if length >= L::WIDTH {
            let mut lanes = L::load(row);
            i = L::WIDTH;
            while i + L::WIDTH <= length {
                lanes = L::max(lanes, L::load(row.add(i)));
                i += L::WIDTH;
            }
            most = L::reduce_max(lanes);
        }
        while i < length {
            most = most.max(*row.add(i));
            i += 1;
        }
        most
    }
}

/// Loss of one row of logits in nats times `weight`; the row becomes its gradient, `weight · (softmax − one-hot)`. Also
/// whether the target was the most likely.
///
/// # Safety
/// `target` is inside the row.
#[inline(always)]
pub(in crate::cpu) unsafe fn cross_entropy<L: Lanes>(row: &mut [f32], target: usize, weight: f32) -> (f32, bool) {
    let length = row.len();
    let row = row.as_mut_ptr();
    // SAFETY: all indices are below the length.
    unsafe {
        let most = greatest::<L>(row, length);
        let logit = *row.add(target);
        let mut sums = L::splat(0.0);
        let mut i = 0;
        while i + L::WIDTH <= length {
            let value = L::exp(L::sub(L::load(row.add(i)), L::splat(most)));
            sums = L::add(sums, value);
            L::store(row.add(i), value);
            i += L::WIDTH;
        }
        let mut sum = L::reduce_add(sums);
        while i < length {
            let value = (*row.add(i) - most).exp();
            sum += value;
            *row.add(i) = value;
            i += 1;
        }
        let factor = weight / sum;
        i = 0;
        while i + L::WIDTH <= length {
            L::store(row.add(i), L::mul(L::load(row.add(i)), L::splat(factor)));
            i += L::WIDTH;
        }
        while i < length {
            *row.add(i) *= factor;
            i += 1;
        }
        *row.add(target) -= weight;
        (weight * ((most - logit) + sum.ln()), logit >= most)
    }
}

/// What AdamW needs besides the vectors.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// Learning rate.
    pub learning_rate: f32,
    /// Decay of the two moments.
    pub betas: [f32; 2],
    /// Added to the root.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// By which the gradients are multiplied first (clipping).
    pub gradient_scale: f32,
    /// `1 − beta^step`, both.
    pub corrections: [f32; 2],
}

/// What AdamW moves: equally long parts of the parameters and of both moments.
pub(in crate::cpu) struct Moving<'a> {
    pub(in crate::cpu) parameters: &'a mut [f32],
    pub(in crate::cpu) first: &'a mut [f32],
    pub(in crate::cpu) second: &'a mut [f32],
}

/// One step of AdamW (arXiv 1711.05101, in the order of operations that PyTorch has).
///
/// # Safety
/// As above.
#[inline(always)]
pub(in crate::cpu) unsafe fn adam(step: &AdamStep, moving: &mut Moving<'_>, gradients: &[f32]) {
    let Moving { parameters, first, second } = moving;
    let decay = 1.0 - step.learning_rate * step.weight_decay;
    let [beta1, beta2] = step.betas;
    let size = step.learning_rate / step.corrections[0];
    let root = step.corrections[1].sqrt();
    for (((parameter, first), second), gradient) in
        parameters.iter_mut().zip(first.iter_mut()).zip(second.iter_mut()).zip(gradients)
    {
        let gradient = gradient * step.gradient_scale;
        *first = beta1 * *first + (1.0 - beta1) * gradient;
        *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
        *parameter = *parameter * decay - size * *first / (second.sqrt() / root + step.epsilon);
    }
}
