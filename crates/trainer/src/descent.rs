//! The update of parameters that are on the host, in one pass. The operations are those of burn's optimisers in the
//! same order, so the result does not depend on where the parameters are.

use rayon::prelude::*;

/// ε of Adam.
pub(crate) const EPSILON: f32 = 1e-8;

/// Parameters that one task updates: enough that a task is worth starting.
const PIECE: usize = 1 << 14;

/// Plain descent: θ ← θ − rate · g.
pub(crate) fn descend(parameters: &mut [f32], gradient: &[f32], rate: f64) {
    let rate = rate as f32;
    for (parameter, &g) in parameters.iter_mut().zip(gradient) {
        *parameter -= g * rate;
    }
}

/// The `time`-th update of Adam, counted from 1; before the first the `moments` are zero.
pub(crate) fn adam(
    parameters: &mut [f32],
    gradient: &[f32],
    [first, second]: [&mut [f32]; 2],
    betas: [f32; 2],
    time: u64,
    rate: f64,
) {
    let time = i32::try_from(time).unwrap_or(i32::MAX);
    let correction = betas.map(|beta| 1.0 - beta.powi(time));
    let root = correction[1].sqrt();
    let (factor, epsilon) = (root / correction[0], EPSILON * root);
    let rate = rate as f32;
    let [keep_first, keep_second] = betas;
    let [take_first, take_second] = betas.map(|beta| 1.0 - beta);
    let pieces = parameters
        .par_chunks_mut(PIECE)
        .zip(gradient.par_chunks(PIECE))
        .zip(first.par_chunks_mut(PIECE))
        .zip(second.par_chunks_mut(PIECE));
    pieces.for_each(|(((parameters, gradient), first), second)| {
        let moments = first.iter_mut().zip(second);
        for ((parameter, &g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
            *m = *m * keep_first + g * take_first;
            *v = *v * keep_second + (g * g) * take_second;
            *parameter -= *m * factor / (v.sqrt() + epsilon) * rate;
        }
    });
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::optim::{AdamConfig, SimpleOptimizer};
    use burn::tensor::{Tensor, TensorData};

    use super::*;

    type Row = Tensor<Flex, 1>;

    fn row(values: &[f32]) -> Row {
        Tensor::from_data(
            TensorData::new(values.to_vec(), [values.len()]),
            &Default::default(),
        )
    }

    fn values(row: Row) -> Vec<f32> {
        row.into_data().iter::<f32>().collect()
    }

    /// Numbers of very different sizes, and zeros.
    fn gradient(count: usize, step: usize) -> Vec<f32> {
        (0..count)
            .map(|k| {
                ((k * 7 + step) as f32).sin() * 10f32.powi((k % 17) as i32 - 12) * (k % 5) as f32
            })
            .collect()
    }

    #[test]
    fn adam_is_that_of_burn_to_the_last_bit() {
        for betas in [[0.9, 0.999], [0.0, 0.9], [0.5, 0.0]] {
            same_as_burn(betas);
        }
    }

    fn same_as_burn(betas: [f32; 2]) {
        // More than one piece, and a rest.
        let count = 2 * PIECE + 37;
        let optimiser = AdamConfig::new()
            .with_beta_1(betas[0])
            .with_beta_2(betas[1])
            .with_epsilon(EPSILON)
            .build();
        let mut ours: Vec<f32> = (0..count).map(|k| (k as f32).cos()).collect();
        let (mut theirs, mut state) = (row(&ours), None);
        let mut moments = [vec![0.0; count], vec![0.0; count]];
        for step in 1..=20 {
            let gradient = gradient(count, step);
            let rate = 1e-3 * 0.99f64.powi(step as i32);
            let [first, second] = &mut moments;
            adam(
                &mut ours,
                &gradient,
                [first, second],
                betas,
                step as u64,
                rate,
            );
            let (next, after) = optimiser.step(rate, theirs, row(&gradient), state);
            (theirs, state) = (next, after);
            assert!(ours == values(theirs.clone()), "after {step} steps");
        }
    }

    #[test]
    fn descent_is_that_of_burn_to_the_last_bit() {
        let gradient = gradient(1000, 3);
        let mut ours: Vec<f32> = (0..1000).map(|k| (k as f32).cos()).collect();
        let theirs = row(&ours) - row(&gradient) * 0.3_f64;
        descend(&mut ours, &gradient, 0.3);
        assert_eq!(ours, values(theirs));
    }
}
