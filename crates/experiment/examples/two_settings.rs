//! Runs `short-run` with changed settings from code, and reads d, r and the samples.
//!
//! `cargo run -p ebm-experiment --example two_settings`

use burn::backend::{Autodiff, Flex};
use ebm_experiment::{
    BurnCompute, Computation, ExperimentConfig, LearningRun, SampleOptions, Source, TrainedSource,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compute = BurnCompute::<Autodiff<Flex>>::cpu("flex");
    // Two settings to look at, and a small net so that it takes seconds.
    let changed = [
        "langevin.steps=20",
        "data_noise=0.15",
        "net.width=8",
        "data.size=16",
        "iterations=100",
    ];
    let short_run = Source::Named("short-run".to_owned());
    let (config, _) = ExperimentConfig::load(&short_run, &changed.map(str::to_owned))?;
    // The name is also that of the folder below runs/.
    let learned = LearningRun::new(config, "two-settings")?.learn(&compute, &(), &mut [])?;

    for metrics in learned.folder.read_metrics()?.iter().step_by(20) {
        println!(
            "iteration {:3}: d {:+9.1} nats, r {:.3}",
            metrics.iteration, metrics.energy_difference, metrics.gradient_magnitude
        );
    }
    let run = TrainedSource::Run {
        folder: learned.folder.root().to_owned(),
        average: false,
    };
    let samples = SampleOptions::default().draw(&run.find()?, Computation::on(&compute))?;
    println!(
        "{} samples of shape {}, mean F {:.3}",
        samples.states.len(),
        samples.states.shape(),
        samples.mean_energy()
    );
    println!("everything else: {}", learned.folder.report().display());
    Ok(())
}
