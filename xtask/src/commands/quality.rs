//! `quality`: how good samples are, in numbers.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use ebm_data::{Dataset, ImageConfig, ImageSet, embedded_digits};
use ebm_diagnostics::DEFAULT_NEIGHBOURS;
use serde::Serialize;

use super::sample;
use crate::advice::shell_word;
use crate::aligned::aligned;
use crate::arrays::{GreyImages, read_features, read_grey_images};
use crate::backend::{BackendChoice, BackendName};
use crate::cli::DataDirectory;
use crate::config::{ExperimentConfig, Source};
use crate::digits::DigitImages;
use crate::error::DriverError;
use crate::job::load_data;
use crate::json::write_json;
use crate::logging::Screen;
use crate::quality::{DigitQuality, FeatureQuality, digit_quality};
use crate::run_folder::{RunFolder, check_new_file};

/// Arguments of `quality`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["run", "samples", "features"]))]
#[command(after_help = "Examples:
  cargo xtask sample --run runs/short-run --count 1000
  cargo xtask quality --run runs/short-run
  cargo xtask quality --samples samples/samples.npy
  cargo xtask quality --features mine.safetensors --reference-features data.safetensors")]
pub(crate) struct QualityArguments {
    /// A run folder that learned digits: what `sample` left in its folder samples, against the data of the run.
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    /// Samples of digits, as .npy or .safetensors, [count, 1, height, width] in [−1, 1].
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
    /// Data to compare the samples with, in the same form [default: the data of the run, or the embedded digits
    /// resized to the size of the samples].
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    pub(crate) reference: Option<PathBuf>,
    /// Features of samples, such as Inception's for the FID, [samples, features]: a two-dimensional .npy file, or the only
    /// two-dimensional tensor of a safetensors file.
    #[arg(long, value_name = "FILE", requires = "reference_features")]
    pub(crate) features: Option<PathBuf>,
    /// The same features of data.
    #[arg(long, value_name = "FILE", requires = "features", conflicts_with_all = ["run", "samples"])]
    pub(crate) reference_features: Option<PathBuf>,
    /// k: a neighbourhood reaches to the k-th nearest neighbour.
    #[arg(long, value_name = "K", default_value_t = DEFAULT_NEIGHBOURS as u32, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) neighbours: u32,
    /// The file for the numbers [default: quality.json beside the samples or features].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The backend of the digit classifier, as for `experiment` [default: flex].
    #[arg(long, value_name = "NAME[:DEVICE]", conflicts_with = "features")]
    pub(crate) backend: Option<BackendChoice>,
    #[command(flatten)]
    pub(crate) data: DataDirectory,
}

/// What is written. Of the two kinds of quality one is there.
#[derive(Debug, Serialize)]
struct Record {
    /// What was judged.
    samples: String,
    /// What it was compared with.
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digits: Option<DigitQuality>,
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<FeatureQuality>,
    version: &'static str,
}

pub(crate) fn run(arguments: &QualityArguments, screen: &Screen) -> Result<(), DriverError> {
    let subject = subject(arguments)?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => subject.with_file_name("quality.json"),
    };
    check_new_file(&out)?;
    let record = match &arguments.reference_features {
        Some(reference) => judge_features(&subject, reference, arguments)?,
        None => judge_digits(&subject, arguments)?,
    };
    write_json(&out, &record)?;
    screen.tell(&format!("{} against {}:", record.samples, record.reference));
    for line in table(&record).lines() {
        screen.tell(line);
    }
    screen.tell(&format!("Numbers: {}", out.display()));
    Ok(())
}

/// The file with the samples or their features.
fn subject(arguments: &QualityArguments) -> Result<PathBuf, DriverError> {
    let Some(run) = &arguments.run else {
        let given = arguments.samples.as_ref().or(arguments.features.as_ref());
        return given.cloned().ok_or_else(|| {
            DriverError::Usage("say what to judge: --run, --samples or --features".into())
        });
    };
    RunFolder::open(run)?;
    let samples = run.join("samples").join(sample::TENSORS);
    if !samples.is_file() {
        return Err(DriverError::Usage(format!(
            "{} has no samples yet; draw some with `cargo xtask sample --run {} --count 1000`",
            run.display(),
            shell_word(run)
        )));
    }
    Ok(samples)
}

fn judge_features(
    samples: &Path,
    reference: &Path,
    arguments: &QualityArguments,
) -> Result<Record, DriverError> {
    let (features, data) = (read_features(samples)?, read_features(reference)?);
    let dimension = features.shape[1];
    if data.shape[1] != dimension {
        return Err(DriverError::Usage(format!(
            "{} has {dimension} features a sample and {} has {}; take both from the same layer",
            samples.display(),
            reference.display(),
            data.shape[1]
        )));
    }
    for (path, array) in [(samples, &features), (reference, &data)] {
        enough(
            path,
            array.shape[0],
            (arguments.neighbours as usize).saturating_add(1),
        )?;
    }
    let quality = FeatureQuality::new(
        &features.values,
        &data.values,
        dimension,
        arguments.neighbours as usize,
    )?;
    Ok(Record {
        samples: samples.display().to_string(),
        reference: reference.display().to_string(),
        digits: None,
        features: Some(quality),
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn judge_digits(samples: &Path, arguments: &QualityArguments) -> Result<Record, DriverError> {
    let images = read_grey_images(samples)?;
    let needed = (arguments.neighbours as usize).saturating_add(1);
    enough(samples, images.view().count(), needed)?;
    let data = Data::find(images.view(), arguments)?;
    // Of the data every fifth is held out, and that many have to have neighbours too.
    enough(
        Path::new(&data.name),
        data.view().count(),
        needed.saturating_mul(5),
    )?;
    for (name, view) in [
        (samples.display().to_string(), images.view()),
        (data.name.clone(), data.view()),
    ] {
        if let Some(doubt) = view.doubt() {
            tracing::warn!("{name}: {doubt}");
        }
    }
    let quality = digit_quality(
        images.view(),
        data.view(),
        arguments.neighbours as usize,
        arguments
            .backend
            .map_or_else(BackendName::default, BackendChoice::resolve),
    )?;
    Ok(Record {
        samples: samples.display().to_string(),
        reference: data.name,
        digits: Some(quality),
        features: None,
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn enough(path: &Path, count: usize, needed: usize) -> Result<(), DriverError> {
    if count >= needed {
        return Ok(());
    }
    Err(DriverError::File {
        path: path.to_owned(),
        problem: format!(
            "{count} are too few, at least {needed} are needed; give more, or lower --neighbours"
        ),
    })
}

/// What samples are compared with.
struct Data {
    name: String,
    images: Images,
}

enum Images {
    File(GreyImages),
    Set(ImageSet),
}

impl Data {
    fn find(samples: DigitImages<'_>, arguments: &QualityArguments) -> Result<Self, DriverError> {
        if let Some(reference) = &arguments.reference {
            return Ok(Self {
                name: reference.display().to_string(),
                images: Images::File(read_grey_images(reference)?),
            });
        }
        if let Some(run) = &arguments.run {
            return Self::of_run(run, arguments);
        }
        let config = ImageConfig {
            size: samples.height,
            ..ImageConfig::default()
        };
        Ok(Self {
            name: format!("the embedded digits at {0}×{0}", config.size),
            images: Images::Set(embedded_digits(&config)?),
        })
    }

    fn of_run(run: &Path, arguments: &QualityArguments) -> Result<Self, DriverError> {
        let folder = RunFolder::open(run)?;
        let (config, _) = ExperimentConfig::load(&Source::File(folder.config()), &[])?;
        let source = config.data.source();
        let not_digits = || {
            DriverError::Usage(format!(
                "{} learned from \"{source}\", and the digit classifier reads digits of one channel; for others give features with --features and --reference-features",
                run.display()
            ))
        };
        if !config.is_digits() {
            return Err(not_digits());
        }
        match load_data(&config.data, &arguments.data)? {
            Dataset::Images { images, .. } => Ok(Self {
                name: format!("the data of the run, \"{source}\""),
                images: Images::Set(images),
            }),
            Dataset::Toy(_) => Err(not_digits()),
        }
    }

    fn view(&self) -> DigitImages<'_> {
        match &self.images {
            Images::File(images) => images.view(),
            Images::Set(images) => images.into(),
        }
    }
}

/// The numbers with their names.
fn table(record: &Record) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    if let Some(digits) = &record.digits {
        rows.push(DigitQuality::HEADER.map(str::to_owned).to_vec());
        rows.extend(digits.rows().into_iter().map(Vec::from));
    }
    if let Some(features) = &record.features {
        let count = features.frechet.samples[1].to_string();
        rows.extend(features.rows(count).into_iter().map(Vec::from));
    }
    aligned(&rows, &[0, 1, 2])
}
