//! Maps a landscape of four wells in the plane: its basins, the barriers between them, and how both depend on the pull.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{NoiseKey, PointEnergy, StepSize, Stream, Temperature};
use ebm_landscape::{
    BarrierSearch, Barriers, Descent, Diffusion, DisconnectivityTree, Grouping, Minimum,
    StrengthSweep, Surface,
};
use ebm_langevin::{NoiseStart, TensorEngine};

/// U = 2 (x² − 1)² + 4 (y² − 1)² + x/4 + y/2: four wells, barriers of about 2 nats along x and 4 along y.
fn four_wells<B: Backend>(points: Tensor<B, 2>) -> Tensor<B, 1> {
    let [x, y] = [0, 1].map(|axis| points.clone().narrow(1, axis, 1).squeeze_dim::<1>(1));
    let well = |x: Tensor<B, 1>| (x.powi_scalar(2) - 1.0).powi_scalar(2);
    well(x.clone()) * 2.0 + well(y.clone()) * 4.0 + x / 4.0 + y / 2.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let energy = PointEnergy(four_wells::<Autodiff<Flex>>);
    let chains = TensorEngine::default().bind(energy, 2, &Default::default());
    let surface = Surface::new(&chains, Temperature::ONE);

    let key = NoiseKey::new(1, Stream::WatchStart, 0);
    let starts = NoiseStart::Gaussian.draw(1.0, key, 60, 2)?;
    let descent = Descent {
        first_factor: 0.01,
        ..Descent::default()
    };
    let minima = descent.run(&surface, &starts)?;
    let states = Minimum::states(2, &minima)?;

    let temperature_factor = 0.05f64;
    let diffusion = Diffusion {
        step_size: StepSize::new((2.0 * 0.01 * temperature_factor).sqrt())?,
        temperature_factor,
        resolution: 0.15,
        patience: 200,
        most_steps: 5_000,
        trials: 2,
        batch: 1_024,
        seed: 1,
    };

    let pairs: Vec<(usize, usize)> = (1..minima.len()).map(|other| (0, other)).collect();
    let mut sweep = StrengthSweep::new(StrengthSweep::ladder(4.0, 400.0, 16), &pairs)?;
    while sweep.advance(&surface, &states, &diffusion, &mut |_| true)? {}
    println!("share of the minima that reach the lowest one");
    for strength in sweep.tried() {
        let together = sweep.together(*strength, |_| true).unwrap_or(0.0);
        println!("  α = {strength:6.1}: {:3.0} %", 100.0 * together);
    }
    let strength = sweep
        .widest_plateau(0.0)
        .ok_or("no plateau: widen the ladder")?;
    println!("the grouping depends least on α at {strength:.1}");

    let mut grouping = Grouping::new(&minima, strength)?;
    while grouping.advance(&surface, &minima, &diffusion, &mut |_| true)? {}
    let basins = grouping.basins();
    let leaves: Vec<(usize, f64)> = basins
        .iter()
        .map(|basin| {
            (
                basin.representative(),
                minima[basin.representative()].energy,
            )
        })
        .collect();
    for (number, (basin, (lowest, energy))) in basins.iter().zip(&leaves).enumerate() {
        let state = &minima[*lowest].state;
        println!(
            "basin {number}: {} minima, the lowest at ({:5.2}, {:5.2}) with U = {energy:5.2} nats",
            basin.members.len(),
            state[0],
            state[1]
        );
    }

    let mut barriers = Barriers::new(leaves.clone(), strength, BarrierSearch::default())?;
    while barriers.advance(&surface, &states, &diffusion, &mut |_| true)? {}
    let energies = leaves.into_iter().map(|(_, energy)| energy).collect();
    for merge in DisconnectivityTree::new(energies, barriers.found())?.merges {
        println!(
            "clusters {} and {} are connected above U = {:.2} nats",
            merge.a, merge.b, merge.energy
        );
    }
    Ok(())
}
