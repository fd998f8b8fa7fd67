//! `sample`: chains as in learning, under a learned energy.

use ebm_experiment::{Computation, SampleOptions, Samples};

use crate::backend::compute;
use crate::cli::SampleArguments;
use crate::error::DriverError;
use crate::logging::Screen;

pub(crate) fn run(arguments: &SampleArguments, screen: &Screen) -> Result<(), DriverError> {
    let trained = arguments.trained.find()?;
    let options = SampleOptions {
        count: arguments.count as usize,
        steps: arguments.steps,
        epsilon: arguments.epsilon,
        noiseless_steps: arguments.noiseless_steps,
        start: arguments.start,
        seed: arguments.seed,
    };
    options.check(&trained)?;
    let out = arguments
        .trained
        .folder_for(arguments.out.as_deref(), "samples");
    Samples::check_free(&out)?;
    let (backend, engine) = arguments.backend.resolve(None)?;
    let compute = compute(backend)?;
    let on = Computation::on(&*compute).with_engine(engine);
    let samples = options.draw(&trained, on)?;
    samples.write(&out)?;
    screen.tell(&format!(
        "{}\nSamples: {}",
        samples.sentence(),
        out.display()
    ));
    Ok(())
}
