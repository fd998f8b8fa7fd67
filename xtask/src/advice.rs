//! What to do next, as words and commands that can be pasted.

use std::path::Path;

use ebm_trainer::latest_checkpoint;

use crate::config::ExperimentConfig;
use crate::run_folder::RunFolder;

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

/// This process as it was called.
pub(crate) fn command_line() -> String {
    let words = std::env::args_os()
        .skip(1)
        .map(|word| shell_word(word.as_ref()));
    std::iter::once("cargo xtask".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// What to change when learning ran away.
pub(crate) fn divergence_advice(config: &ExperimentConfig, folder: &RunFolder) -> String {
    let epsilon = config.langevin.epsilon.get();
    let mut advice = match latest_checkpoint(&folder.checkpoints()) {
        Ok(checkpoint) => format!(
            "The last checkpoint before that is {}.",
            checkpoint.display()
        ),
        Err(_) => "It ran away before the first checkpoint.".to_owned(),
    };
    if folder.report().is_file() {
        advice += &format!(" Plots: {}", folder.report().display());
    }
    advice += "\nWhat usually helps, in a new run:";
    if !config.is_toy() {
        advice += &format!(
            "\n  more data noise, which gives flat regions of images a width: --set data_noise={}",
            handy((config.data_noise * 2.0).max(3.0 * epsilon))
        );
    }
    let [rate, floor] = [
        config.optimizer.learning_rate / 3.0,
        config.optimizer.minimum_learning_rate,
    ];
    let floor = if rate < floor {
        format!(" --set optimizer.minimum_learning_rate={}", handy(rate))
    } else {
        String::new()
    };
    advice += &format!(
        "\n  a lower rate: --set optimizer.learning_rate={}{floor}\n  longer chains: --set langevin.steps={}",
        handy(rate),
        config.langevin.steps.saturating_mul(2)
    );
    advice
}

/// A number with two digits, as one would type it: 0.06, 1e-4.
fn handy(number: f64) -> String {
    let rounded = format!("{number:.1e}").parse().unwrap_or(number);
    if (1e-3..1e4).contains(&rounded) {
        format!("{rounded}")
    } else {
        format!("{rounded:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_advice_are_as_one_would_type_them() {
        for (number, text) in [
            (0.1 * 3.0, "0.3"),
            (3e-4 / 3.0, "1e-4"),
            (1e-4 / 3.0, "3.3e-5"),
            (2e300, "2e300"),
        ] {
            assert_eq!(handy(number), text);
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
