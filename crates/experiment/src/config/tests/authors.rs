use super::super::{ExperimentConfig, LongRunStart, Source, named};
use super::{authors_file, load, load_from, load_named, refused};

fn text(name: &str) -> String {
    std::fs::read_to_string(authors_file(name)).unwrap()
}

#[test]
fn their_files_mean_the_same_as_ours() {
    // Names with an underscore are those of the paper's authors.
    let published = || named().iter().filter(|(name, _)| name.contains('_'));
    assert_eq!(published().count(), 9);
    for (name, _) in published() {
        let (theirs, own_name) = load_from(Source::File(authors_file(name)), &[]).unwrap();
        assert_eq!(own_name, *name);
        let ours = ExperimentConfig {
            description: String::new(),
            ..load_named(name, &[]).unwrap()
        };
        assert_eq!(theirs, ours, "{name}");
    }
}

#[test]
fn overrides_use_our_keys() {
    let source = Source::File(authors_file("gmm_convergent"));
    let (config, _) = load_from(source.clone(), &["langevin.steps=7"]).unwrap();
    assert_eq!(config.langevin.steps, 7);
    refused(
        load_from(source, &["num_mcmc_steps=7"]),
        &["num_mcmc_steps=7: ", "not a known key"],
    );
}

#[test]
fn the_long_run_is_switched_and_started_as_there() {
    let long_run = |from: &str, to: &str, name: &str| {
        let text = text(name);
        assert!(text.contains(from));
        load(&text.replace(from, to), &[]).unwrap().long_run
    };
    let image = "cifar10_nonconvergent";
    assert_eq!(
        long_run("\"log_longrun\": true", "\"log_longrun\": false", image),
        None
    );
    let persistent = (
        "\"longrun_init\": \"data\"",
        "\"longrun_init\": \"persistent\"",
    );
    let start = |name| long_run(persistent.0, persistent.1, name).unwrap().start;
    assert_eq!(start("cifar10_oscillate"), LongRunStart::Bank);
    assert_eq!(start("cifar10_nonconvergent"), LongRunStart::Uniform);
}

#[test]
fn keys_their_programs_do_not_heed_do_not_count() {
    // The bank and the factor of toy files, each for starts that do not use it.
    let config = load(&text("rings_convergent"), &[]).unwrap();
    assert_eq!(config.langevin.start_factor, 1.0);
    let config = load(&text("rings_nonconvergent"), &[]).unwrap();
    assert_eq!(config.langevin.bank_size, None);
}

#[test]
fn wrong_keys_are_named_as_in_the_file() {
    let image = text("mnist_convergent");
    let toy = text("gmm_convergent");
    let replaced = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from));
        load(&text.replace(from, to), &[])
    };
    refused(
        replaced(&image, "\"lr_decay\"", "\"lr_decayy\""),
        &["mine.json", "\"lr_decayy\"", "did you mean \"lr_decay\"?"],
    );
    refused(
        replaced(&image, "\"lr_decay\": 1.0,", ""),
        &["mine.json", "\"lr_decay\" is missing"],
    );
    refused(
        replaced(&image, "\"epsilon\": 7.5e-3", "\"epsilon\": -7.5e-3"),
        &["mine.json: \"epsilon\"", "-0.0075", "≥ 0"],
    );
    refused(
        replaced(
            &image,
            "\"num_shortrun_steps\": 500",
            "\"num_shortrun_steps\": 0",
        ),
        &["mine.json: \"num_shortrun_steps\" is 0", "at least 1"],
    );
    refused(
        replaced(&image, "\"data\": \"mnist\"", "\"data\": \"mnits\""),
        &[
            "mine.json: \"data\"",
            "is \"mnits\"",
            "did you mean \"mnist\"?",
        ],
    );
    refused(
        replaced(&image, "\"log_longrun\": true", "\"log_longrun\": 1"),
        &["\"log_longrun\" is 1", "true or false"],
    );
    refused(
        replaced(&toy, "\"s_t_0_size\": 10000", "\"s_t_0_size\": 50"),
        &[
            "mine.json: \"s_t_0_size\" is 50",
            "at least batch_size (100)",
        ],
    );
    refused(
        replaced(&toy, "\"toy_sd\": 1.5e-1", "\"toy_sd\": \"wide\""),
        &["mine.json: \"toy_sd\"", "\"wide\""],
    );
    refused(
        replaced(&toy, "\"seed\"", "\"im_sz\": 32, \"seed\""),
        &["\"im_sz\" is not a key"],
    );
}

#[test]
fn a_rate_below_its_floor_is_refused_although_it_does_not_decay() {
    let text = text("mnist_convergent").replace("\"lr_min\": 1e-2", "\"lr_min\": 1");
    refused(load(&text, &[]), &["\"lr_min\" is 1", "must not exceed"]);
}

#[test]
fn evaluation_files_are_recognised() {
    let file = r#"{
        "_comment": "a", "_comment": "b", "batch_size": 100, "seed": 123, "im_sz": 32, "im_ch": 3,
        "net_type": "nonlocal", "net_weight_path": "./net.pth", "train_epsilon": 7.5e-3, "temp_factor": 1,
        "mcmc_init": "flowers", "epsilon": 7.5e-3, "num_mcmc_steps": 250000, "use_mh_langevin": false, "log_freq": 500
    }"#;
    refused(
        load(file, &[]),
        &[
            "mine.json",
            "evaluation",
            "net_weight_path",
            "evaluation of a saved net",
        ],
    );
}
