//! Checkpoints: folders with all that is needed to go on. A checkpoint appears whole or not at all.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use ebm_core::{Energy, StateShape, States, checksum};
use ebm_energy_net::{
    NamedParameter, NetError, load_weights, named_parameters, read_metadata, read_tensors,
    write_tensors,
};
use ebm_langevin::{LangevinError, PersistentBank};
use serde::{Deserialize, Serialize};

use crate::{Attempt, Learner, LearnerView, LearningConfig, Method, Optimizer, TrainerError};

/// The version of the layout below, checked before anything else is read.
pub const CHECKPOINT_FORMAT: u32 = 2;

/// The version before, which had no checksum, is still read.
const WITHOUT_CHECKSUM: u32 = 1;

/// The entry of `checkpoint.json` by which damage is seen.
const CHECKSUM: &str = "crc32";

const INFO: &str = "checkpoint.json";
const WEIGHTS: &str = "weights.safetensors";
const AVERAGE: &str = "average.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const BANK: &str = "bank.safetensors";

/// What `checkpoint.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointInfo {
    /// [`CHECKPOINT_FORMAT`].
    pub format: u32,
    /// Iterations done. With the seed this is the position of the generator, since all noise is addressed by iteration.
    pub iteration: u64,
    /// The rate of the next iteration.
    pub learning_rate: f64,
    /// The part of the run between two recoveries that it belongs to.
    #[serde(default, skip_serializing_if = "Attempt::is_first")]
    pub attempt: Attempt,
    /// The shape of a state.
    pub state_shape: StateShape,
    /// The settings the checkpoint was made with.
    pub learning: LearningConfig,
}

/// `checkpoint.json` with its checksum.
#[derive(Serialize)]
struct Sealed<'a> {
    crc32: &'a str,
    #[serde(flatten)]
    info: &'a CheckpointInfo,
}

/// Where and how often checkpoints are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    /// The folder that holds one folder for each checkpoint.
    pub folder: PathBuf,
    /// Iterations between checkpoints; the last iteration always has one.
    pub every: u64,
    /// How many of the newest are kept.
    pub keep: usize,
}

impl Checkpoints {
    /// Writes a checkpoint and removes the oldest beyond `keep`; returns its folder.
    ///
    /// # Errors
    /// As [`LearnerView::save_checkpoint`].
    pub fn write(&self, learner: &dyn LearnerView) -> Result<PathBuf, TrainerError> {
        fs::create_dir_all(&self.folder).map_err(|source| io(&self.folder, source))?;
        let folder = self.folder.join(format!("{:08}", learner.iteration()));
        if !folder.exists() {
            learner.save_checkpoint(&folder)?;
        }
        let all = list(&self.folder)?;
        let surplus = all.len().saturating_sub(self.keep.max(1));
        // From the newest that a recovery may go back to if the next iteration runs away; there are at most two,
        // because the others are not on its grid.
        let recovery = learner.config().recovery;
        let goal = recovery.goal(self.every, learner.iteration() + 1, learner.attempt());
        let is_for_recovery =
            |at: u64| recovery.attempts > 0 && at >= goal && recovery.is_on_grid(self.every, at);
        for (iteration, old) in &all[..surplus] {
            if !is_for_recovery(*iteration) {
                // An old checkpoint that cannot be removed costs space, not results.
                let _ = remove(old);
            }
        }
        Ok(folder)
    }

    /// The newest checkpoint up to `iteration`, or else the oldest.
    pub(crate) fn up_to(&self, iteration: u64) -> Result<Option<PathBuf>, TrainerError> {
        let all = list(&self.folder)?;
        let mut newest_first = all.iter().rev();
        let found = newest_first
            .find(|(at, _)| *at <= iteration)
            .or(all.first());
        Ok(found.map(|(_, folder)| folder.clone()))
    }

    /// Removes the checkpoints after `iteration`, newest first: whenever this is interrupted, the newest that is left
    /// leads to the same recovery again.
    pub(crate) fn remove_after(&self, iteration: u64) -> Result<(), TrainerError> {
        for (at, folder) in list(&self.folder)?.into_iter().rev() {
            if at > iteration {
                remove(&folder).map_err(|source| io(&folder, source))?;
            }
        }
        Ok(())
    }
}

/// The beginning of the name of a checkpoint that is being removed; [`list`] ignores it.
const REMOVED: &str = ".removed-";

/// Removes a checkpoint, and what is left of those whose removal was interrupted. It is renamed first, because a folder
/// that has lost some of its files must not be taken for a checkpoint.
fn remove(folder: &Path) -> std::io::Result<()> {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    for entry in fs::read_dir(parent)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(REMOVED) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    let removed = parent.join(format!("{REMOVED}{}", name.display()));
    fs::rename(folder, &removed)?;
    fs::remove_dir_all(removed)
}

/// The newest checkpoint in a folder of checkpoints.
///
/// # Errors
/// [`TrainerError::Checkpoint`] when there is none.
pub fn latest_checkpoint(folder: &Path) -> Result<PathBuf, TrainerError> {
    match list(folder)?.pop() {
        Some((_, newest)) => Ok(newest),
        None => Err(problem(folder, "holds no checkpoint to continue from")),
    }
}

/// Checkpoint folders by iteration, oldest first.
fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, TrainerError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io(folder, source)),
    };
    let mut all: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let iteration = path.file_name()?.to_str()?.parse().ok()?;
            Some((iteration, path))
        })
        .collect();
    all.sort();
    Ok(all)
}

/// Reads `checkpoint.json` of a checkpoint folder.
///
/// # Errors
/// [`TrainerError::Io`] and [`TrainerError::Checkpoint`].
pub fn read_checkpoint_info(folder: &Path) -> Result<CheckpointInfo, TrainerError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let path = folder.join(INFO);
    let text = fs::read_to_string(&path).map_err(|source| io(&path, source))?;
    let unreadable = |error: serde_json::Error| {
        problem(
            &path,
            format!("not a readable checkpoint ({error}); use an earlier one"),
        )
    };
    let Format { format } = serde_json::from_str(&text).map_err(unreadable)?;
    match (format, checksum::is_sound(text.as_bytes(), CHECKSUM)) {
        (CHECKPOINT_FORMAT, Some(true)) | (WITHOUT_CHECKSUM, None) => {}
        (CHECKPOINT_FORMAT | WITHOUT_CHECKSUM, _) => {
            return Err(problem(
                &path,
                "its contents do not fit its checksum; use an earlier one",
            ));
        }
        _ => {
            return Err(problem(
                &path,
                format!("format {format}, but this version reads format {CHECKPOINT_FORMAT}"),
            ));
        }
    }
    serde_json::from_str(&text).map_err(unreadable)
}

pub(crate) fn save<B, N>(learner: &Learner<B, N>, folder: &Path) -> Result<(), TrainerError>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Energy<B>,
{
    let parent = folder.parent().unwrap_or(Path::new("."));
    // A name that `list` ignores: a half-written checkpoint is never taken for one.
    let draft = tempfile::Builder::new()
        .prefix(".unfinished-")
        .tempdir_in(parent)
        .map_err(|source| io(parent, source))?;
    // The error names the checkpoint and not its draft, which nobody looks for.
    fill(learner, draft.path()).map_err(|error| match error {
        TrainerError::Io { source, .. } | TrainerError::Net(NetError::Io { source, .. }) => {
            io(folder, source)
        }
        other => other,
    })?;
    make_readable(draft.path());
    fs::rename(draft.path(), folder).map_err(|source| io(folder, source))?;
    // The folder has moved: there is nothing left to clean up.
    let _ = draft.keep();
    Ok(())
}

fn fill<B, N>(learner: &Learner<B, N>, folder: &Path) -> Result<(), TrainerError>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Energy<B>,
{
    let at = |name: &str| folder.join(name);
    learner.save_weights(&at(WEIGHTS))?;
    learner.save_average(&at(AVERAGE))?;
    let moments = learner.state.optimizer.state();
    // Plain descent has no state, and a safetensors file needs a tensor.
    if !moments.is_empty() {
        write_tensors(&moments, &at(OPTIMIZER), Default::default())?;
    }
    if let Some(bank) = &learner.bank {
        let states = NamedParameter {
            name: "states".into(),
            shape: vec![bank.len(), bank.states().shape().size()],
            values: bank.states().values().to_vec(),
        };
        write_tensors(&[states], &at(BANK), Default::default())?;
    }
    let info = CheckpointInfo {
        format: CHECKPOINT_FORMAT,
        iteration: learner.state.iteration,
        learning_rate: learner.state.learning_rate,
        attempt: learner.state.attempt,
        state_shape: learner.dataset().shape(),
        learning: learner.config.clone(),
    };
    let sealed = Sealed {
        crc32: checksum::UNSEALED,
        info: &info,
    };
    let mut text =
        serde_json::to_vec_pretty(&sealed).map_err(|error| problem(folder, error.to_string()))?;
    checksum::seal(&mut text, CHECKSUM);
    let path = at(INFO);
    ebm_core::write_atomically(&path, &text).map_err(|source| io(&path, source))
}

/// Temporary folders are private; a checkpoint is as readable as any other result.
fn make_readable(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o755));
    }
    #[cfg(not(unix))]
    let _ = folder;
}

pub(crate) fn restore<B, N>(learner: &mut Learner<B, N>, folder: &Path) -> Result<(), TrainerError>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Energy<B>,
{
    let info = read_checkpoint_info(folder)?;
    let shape = learner.dataset().shape();
    if info.state_shape != shape {
        return Err(problem(
            folder,
            format!(
                "was made for states of shape {}, the data have {shape}",
                info.state_shape
            ),
        ));
    }
    // Only the total and what follows a divergence may change between the parts of a run.
    let made_with = LearningConfig {
        iterations: learner.config.iterations,
        recovery: learner.config.recovery,
        ..info.learning
    };
    if made_with != learner.config {
        return Err(problem(
            folder,
            "was made with other learning settings than the run's config; resume with the config as it was",
        ));
    }
    learner.state.net = load_weights(learner.state.net.clone(), &folder.join(WEIGHTS))?;
    if let Some(average) = learner.state.average.take() {
        learner.state.average = Some(load_weights(average, &folder.join(AVERAGE))?);
    }
    let header = read_metadata(&folder.join(WEIGHTS))?;
    // The shapes fit; settings without a shape, such as a slope or the spread of a toy density, stand in the header.
    let differs = |(key, value): &(&String, &String)| header.get(*key) != Some(*value);
    if let Some((key, _)) = learner.metadata.iter().find(differs) {
        return Err(problem(
            folder,
            format!(
                "was made with another `{key}` than the run's config; resume with the config as it was"
            ),
        ));
    }
    let path = folder.join(OPTIMIZER);
    let has_state = learner.config.optimizer.method == Method::Adam && info.iteration > 0;
    let moments = if has_state {
        read_tensors(&path)?
    } else {
        Vec::new()
    };
    check_moments(&moments, &named_parameters(&learner.state.net)).map_err(|name| {
        problem(
            &path,
            format!("tensor `{name}` does not belong to a parameter of the net"),
        )
    })?;
    learner.state.optimizer =
        Optimizer::from_state(&learner.config.optimizer, info.iteration, moments).map_err(
            |name| {
                problem(
                    &path,
                    format!("tensor `{name}` is no complete optimiser state"),
                )
            },
        )?;
    if let Some(bank) = &learner.bank {
        let path = folder.join(BANK);
        let states = read_tensors(&path)?.pop().map(|tensor| tensor.values);
        let states = States::new(bank.states().shape(), states.unwrap_or_default());
        let restored = PersistentBank::new(states.map_err(LangevinError::from)?);
        if restored.len() != bank.len() {
            return Err(problem(
                &path,
                format!(
                    "holds {} states, the run's bank has {}",
                    restored.len(),
                    bank.len()
                ),
            ));
        }
        learner.bank = Some(restored);
    }
    learner.unread = None;
    learner.state.iteration = info.iteration;
    learner.state.learning_rate = info.learning_rate;
    learner.state.attempt = info.attempt;
    learner.rebind()?;
    Ok(())
}

/// Every moment must have as many values as the parameter it is named after; returns the name of one that has not.
fn check_moments(moments: &[NamedParameter], parameters: &[NamedParameter]) -> Result<(), String> {
    let count_of: HashMap<_, _> = parameters
        .iter()
        .map(|parameter| (parameter.name.as_str(), parameter.values.len()))
        .collect();
    let fits = |moment: &NamedParameter| {
        let owner = moment.name.rsplit_once('.').map(|(owner, _)| owner);
        owner.and_then(|owner| count_of.get(owner)) == Some(&moment.values.len())
    };
    match moments.iter().find(|moment| !fits(moment)) {
        Some(moment) => Err(moment.name.clone()),
        None => Ok(()),
    }
}

fn io(path: &Path, source: std::io::Error) -> TrainerError {
    TrainerError::Io {
        path: path.to_owned(),
        source,
    }
}

fn problem(path: &Path, problem: impl Into<String>) -> TrainerError {
    TrainerError::Checkpoint {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_an_interrupted_removal_left_is_no_checkpoint_and_goes_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["00000002", "00000004", ".removed-00000006"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join(BANK), "").unwrap();
        }
        let at = || -> Vec<u64> {
            let all = list(folder.path()).unwrap();
            all.into_iter().map(|(at, _)| at).collect()
        };
        assert_eq!(at(), [2, 4]);
        remove(&folder.path().join("00000004")).unwrap();
        assert_eq!(at(), [2]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
