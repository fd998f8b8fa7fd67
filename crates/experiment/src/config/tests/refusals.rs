use std::path::PathBuf;

use proptest::prelude::*;

use super::super::Source;
use super::{load, load_from, load_named, refused};

const IMAGES: &str = r#"{"data": {"source": "mnist"}}"#;
const TOY: &str = r#"{"data": {"source": "gmm"}}"#;

#[test]
fn unreadable_files() {
    let missing = Source::File(PathBuf::from("no/such/file.json"));
    refused(
        load_from(missing, &[]),
        &["no/such/file.json", "cannot be read", "No such file"],
    );
    refused(
        load_from(Source::File(PathBuf::from("/")), &[]),
        &["/: cannot be read"],
    );
}

#[test]
fn broken_json_has_line_and_column() {
    refused(
        load("{\n  \"seed\": 1,,\n}", &[]),
        &["mine.json", "not valid JSON", "line 2 column 13"],
    );
    refused(load("", &[]), &["mine.json", "not valid JSON", "line 1"]);
    refused(load("[1]", &[]), &["mine.json", "must be a JSON object"]);
    refused(
        load(&"[".repeat(100_000), &[]),
        &["mine.json", "recursion limit"],
    );
}

#[test]
fn absent_data() {
    refused(load("{}", &[]), &["mine.json: \"data\" is missing"]);
    refused(
        load(r#"{"data": {}}"#, &[]),
        &["mine.json: \"data\" needs the key \"source\""],
    );
    refused(
        load(r#"{"data": {"source": "folder"}}"#, &[]),
        &["mine.json: \"data\" needs the key \"path\""],
    );
    refused(
        load(r#"{"data": 3}"#, &[]),
        &["mine.json: \"data\" is 3: must be a section", "source"],
    );
}

/// One override each for the key of a setting, and what the message must say besides the override and the key.
#[test]
fn one_wrong_value_is_one_clear_message() {
    let wrong: &[(&str, &str, &[&str])] = &[
        (IMAGES, "langevin.epsilon=-0.01", &["-0.01", "≥ 0"]),
        (
            IMAGES,
            "langevin.epsilon=small",
            &["\"small\"", "must be a number"],
        ),
        (IMAGES, "langevin.steps=0", &["is 0", "at least 1"]),
        (
            IMAGES,
            "langevin.steps=1.5",
            &["is 1.5", "must be a whole number from 0"],
        ),
        (
            IMAGES,
            "langevin.start=persistant",
            &[
                "is \"persistant\"",
                "did you mean \"persistent\"?",
                "uniform",
            ],
        ),
        (IMAGES, "langevin.start_factor=0", &["is 0", "above 0"]),
        (IMAGES, "stabilisers.weight_decay=0", &["is 0", "above 0"]),
        (
            IMAGES,
            "stabilisers.weigth_decay=1e-4",
            &["did you mean \"weight_decay\"?", "energy_penalty"],
        ),
        (
            IMAGES,
            "stabilisers.state_clamp=-1",
            &["-1", "must be a number > 0"],
        ),
        (
            IMAGES,
            "langevin.bank_size=500",
            &["is 500", "\"persistent\""],
        ),
        (
            IMAGES,
            "langevin.stpes=5",
            &[
                "not a known key",
                "did you mean \"steps\"?",
                "steps, epsilon, kernel, friction",
            ],
        ),
        (IMAGES, "langevin=5", &["is 5", "a section in { }"]),
        (IMAGES, "batch_size=0", &["is 0", "at least 1"]),
        (
            IMAGES,
            "batch_size=10000000",
            &["is 10000000", "at most 1000000"],
        ),
        (IMAGES, "batch_size=-3", &["-3"]),
        (IMAGES, "iterations=0", &["is 0", "at least 1"]),
        (
            IMAGES,
            "seed=-1",
            &["is -1", "from 0 to 18446744073709551615"],
        ),
        (
            IMAGES,
            "batch_size=1e300",
            &["e300", "must be a whole number"],
        ),
        (IMAGES, "description=3", &["is 3", "a text in quotes"]),
        (IMAGES, "data.fit=[]", &["is a list"]),
        (
            IMAGES,
            "seed=abc",
            &["is \"abc\"", "must be a whole number from 0"],
        ),
        (IMAGES, "data_noise=-1", &["is -1", "0 or more"]),
        (
            IMAGES,
            "optimiser={}",
            &["not a known key", "did you mean \"optimizer\"?"],
        ),
        (
            IMAGES,
            "data.size=big",
            &["is \"big\"", "must be a whole number from 0"],
        ),
        (
            IMAGES,
            "data.sizes=3",
            &[
                "not a known key",
                "did you mean \"size\"?",
                "size, channels, fit, limit",
            ],
        ),
        (
            IMAGES,
            "data.source=mnits",
            &["is \"mnits\"", "did you mean \"mnist\"?"],
        ),
        (
            IMAGES,
            "data.channels=2",
            &["2 channels", "1 for grey or 3 for colour"],
        ),
        (
            IMAGES,
            "net.architecture=vanila",
            &["is \"vanila\"", "did you mean \"vanilla\"?"],
        ),
        (
            IMAGES,
            "net.architecture=toy",
            &["is toy", "use vanilla or nonlocal for images"],
        ),
        (IMAGES, "net.width=0", &["is 0", "1 to 4096"]),
        (IMAGES, "divergence_limit=0", &["is 0", "above 0"]),
        (IMAGES, "output.checkpoint_every=0", &["is 0", "at least 1"]),
        (IMAGES, "output.images_every=0", &["is 0", "at least 1"]),
        (IMAGES, "output.keep_checkpoints=0", &["is 0", "at least 1"]),
        (IMAGES, "output.metrics_every=0", &["is 0", "at least 1"]),
        (
            IMAGES,
            "output.metrics_every=1001",
            &["is 1001", "at most 1000"],
        ),
        (
            IMAGES,
            "landscape={}",
            &["toy densities gmm and rings", "\"mnist\""],
        ),
        (TOY, "data.sd=0", &["0 is not between", "0.15"]),
        (
            TOY,
            "net.architecture=vanilla",
            &["is vanilla", "use toy for points"],
        ),
        (
            TOY,
            "langevin.bank_size=50",
            &["is 50", "at least batch_size (100)"],
        ),
        (
            TOY,
            "batch_size=20000",
            &["is 20000", "at most \"langevin.bank_size\" (10000)"],
        ),
        (
            TOY,
            "landscape.samples=20000",
            &["is 20000", "at most \"langevin.bank_size\" (10000)"],
        ),
        (TOY, "landscape.samples=2", &["is 2", "at least 3"]),
        (
            TOY,
            "landscape.resolution=5000",
            &["is 5000", "at most 2000"],
        ),
        (TOY, "landscape.bandwidth=0", &["is 0", "above 0"]),
        (TOY, "landscape.every=0", &["is 0", "at least 1"]),
        (TOY, "seed.x=1", &["\"seed\" is a single value"]),
    ];
    for (file, argument, parts) in wrong {
        let file = file.replace("}}", r#"}, "seed": 5}"#);
        let (key, _) = argument.split_once('=').unwrap();
        let origin = format!("{argument}: \"{key}\"");
        refused(
            load(&file, &[argument]),
            &[&[origin.as_str()], *parts].concat(),
        );
    }
}

#[test]
fn a_long_run_needs_what_it_starts_from() {
    let bank = r#"long_run={"every": 10, "steps": 10, "start": "bank"}"#;
    refused(
        load(IMAGES, &[bank]),
        &[
            "long_run={",
            "\"long_run.start\" is \"bank\"",
            "\"langevin.start\" = \"persistent\"",
        ],
    );
    load(IMAGES, &[bank, "langevin.start=persistent"]).unwrap();
    refused(
        load(IMAGES, &["long_run.evry=3"]),
        &[
            "\"long_run.evry\" is not a known key",
            "did you mean \"every\"?",
        ],
    );
    for key in ["every", "steps"] {
        let zero = format!("long_run.{key}=0");
        refused(
            load_named("mnist_convergent", &[&zero]),
            &["is 0", "at least 1", &zero],
        );
    }
}

#[test]
fn without_overrides_the_file_or_experiment_is_named() {
    refused(
        load(r#"{"data": {"source": "gmm", "sd": -1}}"#, &[]),
        &["mine.json: \"data.sd\""],
    );
    refused(
        load_named("gmm_convergent", &["batch_size=20000"]),
        &[
            "experiment gmm_convergent: \"langevin.bank_size\" is 10000",
            "batch_size (20000)",
        ],
    );
}

#[test]
fn malformed_overrides() {
    refused(load(IMAGES, &["seed"]), &["seed:", "no \"=\"", "KEY=VALUE"]);
    refused(load(IMAGES, &["=3"]), &["=3:", "empty"]);
    refused(load(IMAGES, &["langevin.=3"]), &["empty"]);
    refused(load(IMAGES, &["a.b.c=3"]), &["a.b.c=3:", "two parts"]);
}

proptest! {
    #[test]
    fn nothing_panics(text in any::<String>(), key in "[a-z_.]{0,12}", value in any::<String>()) {
        let _ = load(&text, &[]);
        for key in [&*key, "data", "data.source", "langevin.epsilon", "long_run"] {
            let _ = load(TOY, &[&format!("{key}={value}")]);
        }
        let _ = load(IMAGES, &[&text]);
    }
}
