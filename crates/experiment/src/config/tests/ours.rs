use ebm_energy_net::Architecture;
use ebm_langevin::ChainStart;
use ebm_trainer::Method;

use super::super::{DensityPlotConfig, LongRunConfig, LongRunStart, OutputConfig, Source};
use super::{load, load_from, load_named, refused};

const IMAGES: &str = r#"{"data": {"source": "mnist"}}"#;
const TOY: &str = r#"{"data": {"source": "gmm"}}"#;

#[test]
fn only_the_data_must_be_said() {
    let config = load(IMAGES, &[]).unwrap();
    let published = load_named("cifar10_nonconvergent", &[]).unwrap();
    assert_eq!(config.learning(), published.learning());
    assert_eq!(config.net, published.net);
    assert_eq!(config.output, OutputConfig::default());
    assert_eq!((config.long_run, config.landscape), (None, None));

    let toy = load(TOY, &[]).unwrap();
    assert_eq!(toy.net.architecture, Architecture::Toy);
    assert_eq!(
        toy.optimizer,
        load_named("gmm_convergent", &[]).unwrap().optimizer
    );

    let spelled_out = load(
        r#"{"data": {"source": "mnist"}, "langevin": null, "net": {}}"#,
        &[],
    );
    assert_eq!(spelled_out.unwrap(), config);
}

#[test]
fn a_section_keeps_the_defaults_of_the_keys_it_leaves_out() {
    let json = r#"{"data": {"source": "mnist"}, "net": {"width": 8}, "langevin": {"steps": 5}}"#;
    let config = load(json, &[]).unwrap();
    assert_eq!(
        (config.net.width, config.net.architecture),
        (8, Architecture::Vanilla)
    );
    assert_eq!(
        (config.langevin.steps, config.langevin.start),
        (5, ChainStart::Uniform)
    );
}

/// The default rate belongs to the default method.
#[test]
fn a_method_needs_its_rate() {
    refused(
        load(IMAGES, &["optimizer.method=sgd"]),
        &[
            "optimizer.method=sgd: ",
            "\"optimizer\" needs the key \"learning_rate\"",
        ],
    );
    let config = load(
        IMAGES,
        &["optimizer.method=sgd", "optimizer.learning_rate=0.1"],
    )
    .unwrap();
    assert_eq!(config.optimizer.method, Method::Sgd);
}

#[test]
fn overrides_are_json_or_bare_strings() {
    let overrides = [
        "langevin.steps=200",
        "langevin.start=persistent",
        "data.fit=\"pad\"",
        r#"output={"checkpoint_every": 7}"#,
        "description=a = b",
        "seed=1",
        "seed=2",
    ];
    let config = load(IMAGES, &overrides).unwrap();
    assert_eq!(config.langevin.steps, 200);
    assert_eq!(config.langevin.start, ChainStart::Persistent);
    assert_eq!(
        (config.output.checkpoint_every, config.output.images_every),
        (7, 500)
    );
    assert_eq!(config.description, "a = b");
    assert_eq!(config.seed, 2);
}

#[test]
fn overrides_make_and_remove_sections() {
    let long_run = [
        "long_run.every=10",
        "long_run.steps=20",
        "long_run.start=gaussian",
    ];
    let expected = LongRunConfig {
        every: 10,
        steps: 20,
        start: LongRunStart::Gaussian,
    };
    assert_eq!(load(IMAGES, &long_run).unwrap().long_run, Some(expected));
    refused(
        load(IMAGES, &long_run[..1]),
        &[
            "long_run.every=10: ",
            "needs the keys every, steps and start",
            "missing: steps, start",
        ],
    );
    let expected = DensityPlotConfig {
        samples: 5000,
        ..DensityPlotConfig::default()
    };
    assert_eq!(
        load(TOY, &["landscape.samples=5000"]).unwrap().landscape,
        Some(expected)
    );
    let without = load_named("gmm_convergent", &["landscape=null"]).unwrap();
    assert_eq!(without.landscape, None);
}

#[test]
fn the_name_of_an_experiment_is_the_file_name() {
    let (_, name) = load_from(Source::Named("short-run".into()), &[]).unwrap();
    assert_eq!(name, "short-run");
}

#[test]
fn whole_numbers_may_be_written_as_floats() {
    let config = load(
        IMAGES,
        &["iterations=2.0", "batch_size=1e2", "data.size=16.0"],
    )
    .unwrap();
    assert_eq!((config.iterations, config.batch_size), (2, 100));
    assert_eq!(config.data.shape(), [1, 16, 16]);
    let noise = load(IMAGES, &["data_noise=0", "langevin.epsilon=1"]).unwrap();
    assert_eq!((noise.data_noise, noise.langevin.epsilon.get()), (0.0, 1.0));
}
