use ebm_energy_net::Architecture;
use ebm_langevin::ChainStart::{Gaussian, Persistent, Uniform};
use ebm_trainer::Method::{Adam, Sgd};

use super::super::{Source, Study, cost, named, studies};
use super::{load, load_named, refused};

#[test]
fn every_experiment_loads_has_a_description_and_survives_a_round_trip() {
    assert_eq!(named()[0].0, "short-run");
    assert_eq!(named().len(), 17);
    for (name, _) in named() {
        let config = load_named(name, &[]).unwrap();
        assert!(!config.description.is_empty() && !config.description.contains('\n'));
        let written = serde_json::to_string_pretty(&config).unwrap();
        assert_eq!(load(&written, &[]).unwrap(), config);
    }
}

/// The table of published settings, row by row.
#[test]
fn the_published_settings_are_those_of_the_paper() {
    #[rustfmt::skip]
    let table = [
        ("cifar10_nonconvergent", "cifar10", Architecture::Vanilla, Adam, [1e-4, 0.0, 1.0], 100_000, 1e-2, 3e-2, 150, Uniform),
        ("cifar10_oscillate", "cifar10", Architecture::Vanilla, Adam, [1e-4, 0.0, 1.0], 100_000, 1e-2, 3e-2, 500, Persistent),
        ("flowers_nonconvergent", "flowers102", Architecture::Vanilla, Adam, [1e-4, 0.0, 1.0], 100_000, 1e-2, 3e-2, 150, Uniform),
        ("flowers_convergent", "flowers102", Architecture::Nonlocal, Sgd, [0.1, 5e-4, 0.99995], 200_000, 7.5e-3, 1.5e-2, 500, Persistent),
        ("mnist_convergent", "mnist", Architecture::Nonlocal, Sgd, [1e-2, 0.0, 1.0], 100_000, 7.5e-3, 1.5e-2, 500, Persistent),
        ("gmm_convergent", "gmm", Architecture::Toy, Sgd, [0.1, 0.0, 1.0], 200_000, 0.125, 0.0, 500, Persistent),
        ("gmm_nonconvergent", "gmm", Architecture::Toy, Adam, [1e-4, 0.0, 1.0], 100_000, 0.01, 0.0, 100, Gaussian),
        ("rings_convergent", "rings", Architecture::Toy, Sgd, [0.1, 0.0, 1.0], 200_000, 0.125, 0.0, 500, Persistent),
        ("rings_nonconvergent", "rings", Architecture::Toy, Adam, [1e-4, 0.0, 1.0], 100_000, 0.01, 0.0, 100, Gaussian),
    ];
    for (
        name,
        source,
        net,
        method,
        [rate, floor, decay],
        iterations,
        epsilon,
        noise,
        steps,
        start,
    ) in table
    {
        let config = load_named(name, &[]).unwrap();
        let optimizer = config.optimizer;
        assert_eq!(config.data.source(), source);
        assert_eq!(
            (config.net.architecture, config.net.width, config.net.slope),
            (net, 32, 0.05)
        );
        assert_eq!(optimizer.method, method);
        assert_eq!(
            [
                optimizer.learning_rate,
                optimizer.minimum_learning_rate,
                optimizer.decay
            ],
            [rate, floor, decay]
        );
        assert_eq!(
            (config.iterations, config.batch_size, config.seed),
            (iterations, 100, 123)
        );
        assert_eq!(
            (config.langevin.epsilon.get(), config.data_noise),
            (epsilon, noise)
        );
        assert_eq!(
            (config.langevin.steps, config.langevin.start),
            (steps, start)
        );
        let factor = if name == "rings_nonconvergent" {
            2.0
        } else {
            1.0
        };
        assert_eq!(config.langevin.start_factor, factor);
        let bank = (config.is_toy() && start == Persistent).then_some(10_000);
        assert_eq!(config.langevin.bank_size, bank);
        assert_eq!(config.long_run.is_none(), config.is_toy());
        assert_eq!(config.landscape.is_some(), config.is_toy());
    }
}

#[test]
fn an_unknown_name_is_refused_with_a_suggestion_and_all_names() {
    refused(
        load_named("gmm_convergant", &[]),
        &[
            "\"gmm_convergant\"",
            "did you mean \"gmm_convergent\"?",
            "short-run, digits, convergent-digits, flowers-short-run, convergent-flowers, cifar10-short-run, gmm-mala, rings-mala, cifar10_nonconvergent",
        ],
    );
    refused(
        load_named("cifar10", &[]),
        &[
            "did you mean \"cifar10_",
            "the studies are budget, ablation, samplers",
        ],
    );
}

#[test]
fn costs_count_steps_and_chains() {
    let config = load_named("cifar10_nonconvergent", &["batch_size=10"]).unwrap();
    assert_eq!(cost::learning(&config), 100_000 * 150 * 10);
    assert_eq!(cost::long_runs(&config), 10 * 100_000 * 10);
    assert_eq!(cost::landscapes(&config), 0);

    let toy = load_named("gmm_nonconvergent", &[]).unwrap();
    assert_eq!(cost::long_runs(&toy), 0);
    assert_eq!(cost::landscapes(&toy), 100 * 100 * 10_000);

    // 1,000 fresh samples are judged where chains start from noise and data are digits.
    let judged = |name| cost::judged_samples(&load_named(name, &[]).unwrap());
    let names = ["short-run", "mnist_convergent", "cifar10_nonconvergent"];
    assert_eq!(names.map(judged), [30_000, 0, 0]);
}

fn study(name: &str) -> Study {
    Study::load(&Source::Named(name.to_owned()), &["seed=5".to_owned()]).unwrap()
}

#[test]
fn every_study_loads_and_its_variants_cost_the_same() {
    for (name, _) in studies() {
        let study = study(name);
        assert!(!study.config.description.is_empty());
        let costs = study.runs.iter().map(|run| cost::learning(&run.experiment));
        let costs: Vec<_> = costs.collect();
        assert!(costs.len() > 2 && costs.iter().all(|cost| *cost == costs[0]));
        assert!(study.runs.iter().all(|run| run.experiment.seed == 5));
        let written = serde_json::to_string(&study.config).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("again.json");
        std::fs::write(&path, written).unwrap();
        let again = Study::load(&Source::File(path), &[]).unwrap();
        let settings = |study: &Study| -> Vec<_> {
            let runs = study.runs.iter();
            runs.map(|run| run.experiment.clone()).collect()
        };
        assert_eq!(settings(&again), settings(&study));
    }
}

/// Nothing but the start of the chains in `budget`, and of `ablation` nothing but one stabiliser each, in three
/// strengths, then all of a strength.
#[test]
fn variants_differ_in_what_is_compared_and_in_nothing_else() {
    let experiments = |name| -> Vec<_> {
        let runs = study(name).runs.into_iter();
        runs.map(|run| run.experiment).collect()
    };
    // A seed from outside would take the place of the study's own.
    let study = Study::load(&Source::Named("budget".to_owned()), &[]).unwrap();
    let seeds = study.config.seeds;
    let runs = study.runs.into_iter();
    let budget: Vec<_> = runs.map(|run| run.experiment).collect();
    let starts = [Uniform, ebm_langevin::ChainStart::Data, Persistent];
    assert!(seeds.len() > 1);
    assert_eq!(budget.len(), starts.len() * seeds.len());
    for (number, mut config) in budget.iter().cloned().enumerate() {
        assert_eq!(config.langevin.start, starts[number / seeds.len()]);
        assert_eq!(config.seed, seeds[number % seeds.len()]);
        (config.langevin, config.seed) = (budget[0].langevin, budget[0].seed);
        assert_eq!(config, budget[0]);
    }
    let ablation = experiments("ablation");
    assert!(ablation[0].stabilisers.is_plain());
    let count = |config: &super::super::ExperimentConfig| {
        let on = serde_json::to_value(config.stabilisers).unwrap();
        on.as_object().unwrap().len()
    };
    let counts: Vec<_> = ablation.iter().map(count).collect();
    let strengths = 3;
    let (alone, together) = ([1].repeat(6 * strengths), [6].repeat(strengths));
    assert_eq!(counts, [vec![0], alone, together].concat());
    for config in &ablation {
        let mut plain = config.clone();
        plain.stabilisers = ablation[0].stabilisers;
        assert_eq!(plain, ablation[0]);
    }
    for pair in ablation.windows(2) {
        assert_ne!(pair[0].stabilisers, pair[1].stabilisers);
    }
}
