//! Loads a run folder, continues its chains far beyond learning, and prints the verdict.
//!
//! `cargo run -p ebm-experiment --example continue_chains -- runs/two-settings`

use std::path::PathBuf;

use burn::backend::{Autodiff, Flex};
use ebm_experiment::diagnosis::{DiagnosisOptions, Subject};
use ebm_experiment::evaluation::EvaluationOptions;
use ebm_experiment::{BurnCompute, Computation, Evaluation, TrainedSource, diagnose};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(
        std::env::args()
            .nth(1)
            .ok_or("usage: continue_chains RUN")?,
    );
    let compute = BurnCompute::<Autodiff<Flex>>::cpu("flex");
    let on = Computation::on(&compute);

    let trained = TrainedSource::Run {
        folder: folder.clone(),
        average: false,
    }
    .find()?;
    let options = EvaluationOptions {
        steps: Some(2_000),
        ..EvaluationOptions::default()
    };
    let evaluation =
        Evaluation::start(&trained, &options, &folder.join("continued"), None, on, &())?;
    for record in evaluation.records.iter().step_by(200) {
        println!(
            "step {:5}: mean U {:.1} nats",
            record.step, record.mean_energy
        );
    }
    println!("{}", evaluation.sentence);

    let subject = Subject::open(&folder, false)?;
    let options = DiagnosisOptions {
        chains: 32,
        multiple: 20,
        ..DiagnosisOptions::default()
    };
    let diagnosis = diagnose(&subject, &options, &folder.join("verdict"), None, on, &())?;
    println!("{}", diagnosis.sentence);
    Ok(())
}
