//! What to do next, as words and commands that can be pasted.

use std::path::Path;
use std::sync::OnceLock;

use ebm_benches::{BenchError, LeftOut};
use ebm_data::DataError;
use ebm_experiment::config::{ConfigError, Origin};
use ebm_experiment::study::StudyFolder;
use ebm_experiment::tools::as_typed;
use ebm_experiment::{ExperimentConfig, ExperimentError, NextStep, RunFolder};
use ebm_trainer::latest_checkpoint;

/// The name by which the program was called: `ebm`, or `cargo xtask` where cargo runs it from its workspace.
pub(crate) fn program() -> &'static str {
    static PROGRAM: OnceLock<&str> = OnceLock::new();
    // Cargo tells every program that it runs which package the program belongs to.
    PROGRAM.get_or_init(|| match std::env::var("CARGO_PKG_NAME").as_deref() {
        Ok(env!("CARGO_PKG_NAME")) => "cargo xtask",
        _ => "ebm",
    })
}

/// The path as one word of a shell command.
pub(crate) fn shell_word(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if path.chars().all(is_plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}

/// The command line of this process.
pub(crate) fn command_line() -> String {
    let words = std::env::args_os()
        .skip(1)
        .map(|word| shell_word(word.as_ref()));
    std::iter::once(program().to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The command for a next step.
pub(crate) fn command(step: NextStep<'_>) -> Option<String> {
    let program = program();
    match step {
        NextStep::Learn { config } => Some(format!(
            "{program} experiment --config {}",
            shell_word(config)
        )),
        NextStep::Diagnose { run } => Some(format!("{program} diagnose --run {}", shell_word(run))),
        NextStep::DiagnoseAgain {
            run,
            average,
            options,
            backend,
            engine,
            out,
        } => {
            let from: Vec<_> = options.from.iter().map(|start| start.as_str()).collect();
            let mut again = out.as_os_str().to_owned();
            again.push("-again");
            Some(format!(
                "{program} diagnose --run {}{} --chains {} --multiple {}{} --from {} --seed {} --backend {backend} \
                 --engine {engine} --out {}",
                shell_word(run),
                if average { " --average" } else { "" },
                options.chains,
                options.multiple,
                options
                    .judged_multiple
                    .map_or_else(String::new, |it| format!(" --judged-multiple {it}")),
                from.join(","),
                options.seed,
                shell_word(Path::new(&again)),
            ))
        }
        _ => None,
    }
}

/// The message of an error, with the flags and commands that help.
pub(crate) fn explain(error: &ExperimentError) -> String {
    let program = program();
    match error {
        ExperimentError::Setting { setting, problem } => {
            format!("{} {problem}{}", flag(setting), hint(setting))
        }
        ExperimentError::NotDigits { .. } => {
            format!(
                "{error}; for others train one with `{program} classifier train --set data.source=…` and pass it with \
                 --classifier, or give features with --features and --reference-features"
            )
        }
        ExperimentError::TooFew { .. } => format!("{error} (--neighbours)"),
        ExperimentError::Io { source, .. } if is_in_the_way(source) => {
            format!("{error} with --out")
        }
        ExperimentError::Config(error) => explain_config(error),
        ExperimentError::Data(error) => explain_data(error),
        ExperimentError::Occupied {
            path,
            problem,
            can_resume: true,
        } => {
            let path = path.display();
            format!(
                "{path} {problem}; continue it with `--resume {path}`, or choose another folder with --out"
            )
        }
        ExperimentError::Occupied { path, problem, .. } => {
            format!(
                "{} {problem}; choose another place with --out",
                path.display()
            )
        }
        ExperimentError::UnknownNet { path, problem } => {
            format!(
                "{} {problem}; name the net with --experiment NAME or --config FILE",
                path.display()
            )
        }
        ExperimentError::NoNet { average: true, .. } => {
            format!("{error}; leave out --average, or learn with --set optimizer.averaging=0.9999")
        }
        ExperimentError::NoNet { folder, .. } | ExperimentError::NoCheckpoint { folder } => {
            let config = shell_word(&folder.join("config.json"));
            format!("{error}; learn one with `{program} experiment --config {config}`")
        }
        ExperimentError::NoSamples { folder } => {
            let run = shell_word(folder);
            format!(
                "{error} with `{program} sample --run {run} --count 1000`, or as many as its bank has states"
            )
        }
        ExperimentError::Complete { done, .. } => {
            format!("{error}, such as `--iterations {}`", 2 * (*done).max(1))
        }
        ExperimentError::Unfit { checkpoint, .. } => format!(
            "{error}\nTo go on from the checkpoint before, if there is one, delete the folder {} and resume again.",
            checkpoint.display()
        ),
        ExperimentError::Halted {
            folder, checkpoint, ..
        } => match checkpoint {
            Some(checkpoint) => format!(
                "{error}\nThe newest checkpoint is {}. When the cause is fixed, go on with:\n  {}",
                checkpoint.display(),
                resume("experiment", folder)
            ),
            // A study starts its variant anew.
            None if StudyFolder::is_at(folder) => format!(
                "{error}\nThere is no checkpoint yet. When the cause is fixed, go on with:\n  {}",
                resume("experiment", folder)
            ),
            None => format!(
                "{error}\nThere is no checkpoint yet. When the cause is fixed, start anew with:\n  {program} experiment \
                 --config {}",
                shell_word(&folder.join("config.json"))
            ),
        },
        ExperimentError::Diverged { folder, .. } => format!("{error}{}", divergence_advice(folder)),
        ExperimentError::RanAway { folder, .. } => format!(
            "{error}. To go back to an earlier checkpoint and on with other noise:\n  {} --attempt\nCalmer with \
             --set recovery.learning_rate_factor=0.5 or --set recovery.steps_factor=2.",
            resume("experiment", folder)
        ),
        ExperimentError::Study { folder, .. } => format!(
            "{error}. When the cause is fixed, go on with:\n  {}",
            resume("experiment", folder)
        ),
        ExperimentError::Variant { variant, error } => {
            format!("variant \"{variant}\": {}", explain(error))
        }
        ExperimentError::Map(_) => format!(
            "{error}. Options that change it: --alpha, --alpha-range LOW,HIGH, both also with --resume; --start, \
             --chains, --gather-steps, --resolution"
        ),
        ExperimentError::RunawayChains => {
            format!("{error} (`evaluate` has --epsilon and --temp-factor for it)")
        }
        error => error.to_string(),
    }
}

/// Whole files of the published data sets come with a command.
fn explain_data(error: &DataError) -> String {
    let fetch = |name: &str| format!("`{} data fetch {name}`", program());
    match error {
        DataError::Labels { error } => format!("labels: {}", explain_data(error)),
        DataError::NotFetched { name, .. } => format!("{error} with {}", fetch(name)),
        DataError::Truncated { .. }
        | DataError::TrailingBytes { .. }
        | DataError::Damaged { .. } => {
            format!("{error} ({} for the published data sets)", fetch("NAME"))
        }
        error => error.to_string(),
    }
}

fn explain_config(error: &ConfigError) -> String {
    let program = program();
    match error {
        ConfigError::UnknownName { .. } => format!("{error}; for a file use --config FILE"),
        ConfigError::Evaluation { .. } => {
            format!("{error}; use `{program} sample` to run chains under a saved net")
        }
        ConfigError::Study { .. } => format!("{error} (`{program} experiment --list` shows both)"),
        ConfigError::Contested { .. } => {
            format!("{error}; --dry-run writes it as a file for --config")
        }
        ConfigError::Key {
            origin: Origin::Override(_),
            ..
        }
        | ConfigError::Override { .. } => format!("--set {error}"),
        ConfigError::Variant {
            origin,
            variant,
            error,
        } => {
            format!("{origin}, variant \"{variant}\": {}", explain_config(error))
        }
        error => error.to_string(),
    }
}

/// The message of an error of a measurement, with the flags that help.
pub(crate) fn explain_bench(error: &BenchError) -> String {
    match error {
        BenchError::Experiment(error) => explain(error),
        BenchError::NoScript(_) => format!("{error}; name one with --peers-script"),
        BenchError::NoInterpreter(_) => {
            format!("{error}; give --peers the path of one that has torch and jax")
        }
        error => error.to_string(),
    }
}

/// How to have a case measured that is left out, as the rest of a sentence.
pub(crate) fn measured_with(left_out: LeftOut) -> Option<&'static str> {
    match left_out {
        LeftOut::FusedOnGpu => Some("add --backend flex"),
        LeftOut::CubeOnCpu => Some("add --backend cuda or --backend wgpu"),
        LeftOut::Slow => Some("--backend ndarray with --net measures it all the same"),
        _ => None,
    }
}

/// The command that goes on in a folder.
pub(crate) fn resume(command: &str, folder: &Path) -> String {
    format!("{} {command} --resume {}", program(), shell_word(folder))
}

/// The flag of a setting.
fn flag(setting: &str) -> String {
    let name = match setting {
        "temperature_factor" => "temp-factor",
        setting => setting,
    };
    format!("--{}", name.replace('_', "-"))
}

/// What else helps with a setting.
fn hint(setting: &str) -> &'static str {
    match setting {
        "start" => " (--run of a run with persistent chains, or --states FILE)",
        "data_of" => " (--data-of NAME|FILE, or --start data)",
        "target_acceptance" => " (--kernel mala or hmc, --chains, --temp-factor, --epsilon)",
        "alpha_range" => " (LOW,HIGH)",
        _ => "",
    }
}

/// Whether a file is where a folder should be.
fn is_in_the_way(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists
    )
}

/// Advice for learning that ran away, on lines of its own.
fn divergence_advice(folder: &Path) -> String {
    let Ok(run) = RunFolder::open(folder) else {
        return String::new();
    };
    let mut advice = match latest_checkpoint(&run.checkpoints()) {
        Ok(checkpoint) => format!(
            "\nThe last checkpoint before that is {}.",
            checkpoint.display()
        ),
        Err(_) => "\nIt ran away before the first checkpoint.".to_owned(),
    };
    if run.report().is_file() {
        advice += &format!(" Plots: {}", run.report().display());
    }
    if latest_checkpoint(&run.checkpoints()).is_ok() {
        advice += &format!(
            "\nTo go back to a checkpoint and on with other noise:\n  {} --attempt",
            resume("experiment", folder)
        );
    }
    if let Ok(config) = run.read_config() {
        advice += &calmer_settings(&config);
    }
    advice
}

fn calmer_settings(config: &ExperimentConfig) -> String {
    let epsilon = config.langevin.epsilon.get();
    let mut advice = "\nWhat usually helps, in a new run:".to_owned();
    if !config.is_toy() {
        let (key, noise) = match config.data_noise_decay {
            1.0 => ("data_noise", config.data_noise),
            _ => ("minimum_data_noise", config.minimum_data_noise),
        };
        advice += &format!(
            "\n  more data noise, which gives flat regions of images a width: --set {key}={}",
            as_typed((noise * 2.0).max(3.0 * epsilon), 2)
        );
    }
    let [rate, floor] = [
        config.optimizer.learning_rate / 3.0,
        config.optimizer.minimum_learning_rate,
    ];
    let floor = if rate < floor {
        format!(
            " --set optimizer.minimum_learning_rate={}",
            as_typed(rate, 2)
        )
    } else {
        String::new()
    };
    advice
        + &format!(
            "\n  a lower rate: --set optimizer.learning_rate={}{floor}\n  longer chains: --set langevin.steps={}",
            as_typed(rate, 2),
            config.langevin.steps.saturating_mul(2)
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_by_their_flags() {
        for (setting, name) in [
            ("chains", "--chains"),
            ("data_of", "--data-of"),
            ("temperature_factor", "--temp-factor"),
        ] {
            assert_eq!(flag(setting), name);
        }
    }

    /// Overrides are named by the flag that gave them, files by their names.
    #[test]
    fn complaints_about_overrides_name_the_flag() {
        let source = ebm_experiment::Source::Named("short-run".to_owned());
        for (argument, start) in [
            (
                "langevin.epsilon=-0.01",
                "--set langevin.epsilon=-0.01: \"langevin.epsilon\"",
            ),
            ("seed", "--set seed: there is no \"=\"; write KEY=VALUE"),
        ] {
            let refused = ExperimentConfig::load(&source, &[argument.to_owned()]);
            let message = refused
                .map_err(|error| explain(&error.into()))
                .err()
                .unwrap_or_default();
            assert!(message.starts_with(start), "{message}");
        }
    }

    #[test]
    fn paths_in_commands_are_one_word() {
        for (path, word) in [
            ("runs/short-run-2", "runs/short-run-2"),
            ("runs/größer", "runs/größer"),
            ("my runs/it's", "'my runs/it'\\''s'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
