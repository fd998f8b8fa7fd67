//! A study over three step sizes with two seeds each, built in code.
//!
//! `cargo run -p ebm-experiment --example step_sizes`

use burn::backend::{Autodiff, Flex};
use ebm_experiment::config::{DiagnosisConfig, Study, StudyConfig, VariantConfig};
use ebm_experiment::study::StudyRun;
use ebm_experiment::{BurnCompute, EngineChoice};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let variant = |epsilon: &str| VariantConfig {
        name: format!("epsilon-{}", epsilon.replace('.', "-")),
        set: vec![format!("langevin.epsilon={epsilon}")],
    };
    let study = Study::new(
        "step-sizes",
        StudyConfig {
            description: "gmm_nonconvergent with three step sizes".to_owned(),
            base: "gmm_nonconvergent".to_owned(),
            set: vec!["iterations=500".to_owned()],
            variants: ["0.005", "0.01", "0.02"].map(variant).to_vec(),
            seeds: vec![1, 2],
            diagnosis: DiagnosisConfig {
                chains: 64,
                multiple: 20,
                ..DiagnosisConfig::default()
            },
        },
    )?;
    let run = StudyRun {
        compute: &BurnCompute::<Autodiff<Flex>>::cpu("flex"),
        engine: EngineChoice::Auto,
        data_directory: None,
        supervisor: &(),
        on_event: &|_| (),
    };
    let result = run.start(&study, None)?;
    for compared in &result.runs {
        println!("{}: {}", compared.name, compared.verdict(&()));
    }
    println!("\n{}", result.table_text());
    Ok(())
}
