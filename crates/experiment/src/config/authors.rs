//! The flat JSON files of the paper's authors (github.com/point0bar1/ebm-anatomy), read unchanged.

use serde_json::{Map, Value};

use super::error::{ConfigError, Fault};
use super::overrides::put;
use super::suggest::did_you_mean;

/// Their key, and ours with the same meaning.
type Pair = (&'static str, &'static str);

/// Keys of both kinds of training file.
const COMMON: [Pair; 9] = [
    ("num_train_iters", "iterations"),
    ("batch_size", "batch_size"),
    ("seed", "seed"),
    ("net_type", "net.architecture"),
    ("optimizer_type", "optimizer.method"),
    ("lr_init", "optimizer.learning_rate"),
    ("lr_min", "optimizer.minimum_learning_rate"),
    ("lr_decay", "optimizer.decay"),
    ("epsilon", "langevin.epsilon"),
];

/// Keys of training files for images.
const IMAGES: [Pair; 11] = [
    ("data", "data.source"),
    ("im_sz", "data.size"),
    ("im_ch", "data.channels"),
    ("data_epsilon", "data_noise"),
    ("num_shortrun_steps", "langevin.steps"),
    ("shortrun_init", "langevin.start"),
    ("log_freq", "output.checkpoint_every"),
    ("log_freq", "output.images_every"),
    ("log_longrun_freq", "long_run.every"),
    ("num_longrun_steps", "long_run.steps"),
    ("longrun_init", "long_run.start"),
];

/// The switch of the long run, which in our files is the presence of the section.
const LONG_RUN_SWITCH: &str = "log_longrun";

/// Keys of training files for toy densities.
const TOYS: [Pair; 14] = [
    ("toy_type", "data.source"),
    ("toy_groups", "data.groups"),
    ("toy_sd", "data.sd"),
    ("toy_radius", "data.radius"),
    ("num_mcmc_steps", "langevin.steps"),
    ("init_type", "langevin.start"),
    ("s_t_0_size", "langevin.bank_size"),
    ("noise_init_factor", "langevin.start_factor"),
    ("log_info_freq", "output.checkpoint_every"),
    ("log_info_freq", "output.images_every"),
    ("viz_res", "landscape.resolution"),
    ("kde_bw", "landscape.bandwidth"),
    ("batch_size_kde", "landscape.samples"),
    ("log_viz_freq", "landscape.every"),
];

/// Keys that their training programs read only for some starts, and that their files leave out for the other starts.
const OPTIONAL: [&str; 2] = ["s_t_0_size", "noise_init_factor"];

/// Keys that only occur in files for their evaluation program.
const EVALUATION: [&str; 5] = [
    "net_weight_path",
    "mcmc_init",
    "train_epsilon",
    "temp_factor",
    "use_mh_langevin",
];

const COMMENT: &str = "_comment";

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Ours.
    Ours,
    /// Theirs, for images.
    Images,
    /// Theirs, for toy densities.
    Toys,
}

impl Dialect {
    /// Tells the format by the keys. In ours `data` is an object, and in theirs it never is.
    pub(super) fn of(file: &Map<String, Value>, origin: &str) -> Result<Self, ConfigError> {
        let ours = file.get("data").is_some_and(Value::is_object);
        if ours {
            return Ok(Self::Ours);
        }
        if let Some(key) = EVALUATION.into_iter().find(|&key| file.contains_key(key)) {
            return Err(ConfigError::Evaluation {
                origin: origin.to_owned(),
                key: key.to_owned(),
            });
        }
        let has = |pairs: &[Pair]| {
            let mut theirs = pairs.iter().filter(|(theirs, ours)| theirs != ours);
            theirs.any(|&(theirs, _)| theirs != "data" && file.contains_key(theirs))
        };
        Ok(if has(&TOYS) {
            Self::Toys
        } else if has(&IMAGES) || has(&COMMON) {
            Self::Images
        } else {
            Self::Ours
        })
    }

    fn pairs(self) -> impl Iterator<Item = Pair> {
        let (common, own): (&[Pair], &[Pair]) = match self {
            Self::Ours => (&[], &[]),
            Self::Images => (&COMMON, &IMAGES),
            Self::Toys => (&COMMON, &TOYS),
        };
        common.iter().chain(own).copied()
    }

    /// Names the key as the file does.
    pub(super) fn name_key(self, fault: Fault) -> Fault {
        match self.pairs().find(|&(_, ours)| ours == fault.key) {
            Some((theirs, _)) => Fault::new(theirs, fault.problem),
            None => fault,
        }
    }

    /// The same settings with our keys.
    pub(super) fn translate(self, file: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
        if self == Self::Ours {
            return Ok(file);
        }
        self.check_keys(&file)?;
        let mut translated = Map::new();
        for (theirs, ours) in self.pairs() {
            if let Some(value) = file.get(theirs).filter(|_| is_used(theirs, &file)) {
                put(&mut translated, ours, translate_value(theirs, value, &file))?;
            }
        }
        Ok(translated)
    }

    /// Their programs read every key, so no key may be absent, and no key may be present that would be ignored.
    fn check_keys(self, file: &Map<String, Value>) -> Result<(), Fault> {
        let switch = (self == Self::Images).then_some(LONG_RUN_SWITCH);
        let known = || self.pairs().map(|(theirs, _)| theirs).chain(switch);
        if let Some(key) = file
            .keys()
            .find(|&key| key != COMMENT && known().all(|known| known != key))
        {
            return Err(Fault::new(
                key,
                format!(
                    "is not a key of the authors' training files{}",
                    did_you_mean(key, known())
                ),
            ));
        }
        let absent: Vec<&str> = known()
            .filter(|key| is_used(key, file) && !file.contains_key(*key) && !OPTIONAL.contains(key))
            .collect();
        if let Some(first) = absent.first() {
            return Err(Fault::new(
                *first,
                format!(
                    "is missing: a training file in the authors' format has every key; missing here: {}",
                    absent.join(", ")
                ),
            ));
        }
        match file.get(LONG_RUN_SWITCH) {
            None | Some(Value::Bool(_)) => Ok(()),
            Some(other) => Err(Fault::new(
                LONG_RUN_SWITCH,
                format!("is {other}: must be true or false"),
            )),
        }
    }
}

/// Whether their programs would use the key, given the others.
fn is_used(key: &str, file: &Map<String, Value>) -> bool {
    let text = |key: &str| file.get(key).and_then(Value::as_str);
    let number = |key: &str| file.get(key).and_then(Value::as_f64);
    match key {
        "s_t_0_size" => text("init_type") == Some("persistent"),
        "noise_init_factor" => matches!(text("init_type"), Some("uniform" | "gaussian")),
        "log_longrun_freq" | "num_longrun_steps" | "longrun_init" => {
            file.get(LONG_RUN_SWITCH) != Some(&Value::Bool(false))
        }
        // A rate that does not decay never reaches its floor. A floor above the rate would raise it; that is refused
        // later.
        "lr_min" => number("lr_decay") != Some(1.0) || number("lr_min") > number("lr_init"),
        _ => true,
    }
}

fn translate_value(key: &str, value: &Value, file: &Map<String, Value>) -> Value {
    let persistent = file.get("shortrun_init").and_then(Value::as_str) == Some("persistent");
    match (key, value.as_str()) {
        ("data", Some("flowers")) => "flowers102".into(),
        ("longrun_init", Some("persistent")) if persistent => "bank".into(),
        // Without persistent chains nothing is written to their bank: it stays the uniform noise it starts as.
        ("longrun_init", Some("persistent")) => "uniform".into(),
        _ => value.clone(),
    }
}
