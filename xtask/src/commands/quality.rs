//! `quality`: how good samples are, in numbers.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use ebm_diagnostics::DEFAULT_NEIGHBOURS;
use ebm_experiment::quality::QualitySubject;
use ebm_experiment::tools::{aligned, check_new_file};

use crate::backend::{BackendChoice, BackendName, compute};
use crate::cli::DataDirectory;
use crate::error::DriverError;
use crate::logging::Screen;

/// Arguments of `quality`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["run", "samples", "features"]))]
#[command(after_help = "Examples:
  cargo xtask sample --run runs/short-run --count 1000
  cargo xtask quality --run runs/short-run
  cargo xtask quality --run runs/flowers --classifier flowers.safetensors
  cargo xtask quality --samples samples/samples.npy
  cargo xtask quality --features mine.safetensors --reference-features data.safetensors")]
pub(crate) struct QualityArguments {
    /// The folder of a run that learned digits, or with --classifier other images. Its samples, which `sample` wrote
    /// into its folder `samples`, are compared with its data.
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    /// Samples of digits, or with --classifier of other images, as .npy, .npz with one array, or .safetensors: [count,
    /// channels, height, width] in [−1, 1].
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
    /// Data to compare the samples with, in the same form [default: the data of the run, or the embedded digits
    /// resized to the size of the samples].
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    pub(crate) reference: Option<PathBuf>,
    /// A file that `classifier train` wrote, to judge images of its classes [default: the classifier of digits].
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    pub(crate) classifier: Option<PathBuf>,
    /// Features of samples, such as Inception's for the FID, [samples, features]: a two-dimensional .npy file, an
    /// .npz file of one such array, or the only two-dimensional tensor of a safetensors file.
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
    /// The backend of the classifier, as for `experiment` [default: flex].
    #[arg(long, value_name = "NAME[:DEVICE]", conflicts_with = "features")]
    pub(crate) backend: Option<BackendChoice>,
    #[command(flatten)]
    pub(crate) data: DataDirectory,
}

pub(crate) fn run(arguments: &QualityArguments, screen: &Screen) -> Result<(), DriverError> {
    let judged = arguments.judged()?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => judged.file()?.with_file_name("quality.json"),
    };
    check_new_file(&out)?;
    let backend = arguments
        .backend
        .map_or_else(BackendName::default, BackendChoice::resolve);
    let neighbours = arguments.neighbours as usize;
    let (classifier, folder) = (arguments.classifier.as_deref(), arguments.data.folder());
    let table = judged.measure(classifier, neighbours, folder, &*compute(backend)?)?;
    let written = table.write(&out)?;
    screen.tell(&format!("{} against {}:", table.samples, table.reference));
    for line in aligned(&table.rows(), &[0, 1, 2]).lines() {
        screen.tell(line);
    }
    for (what, path) in written {
        screen.tell(&format!("{what}: {}", path.display()));
    }
    Ok(())
}

impl QualityArguments {
    fn judged(&self) -> Result<QualitySubject, DriverError> {
        let reference = self.reference.clone();
        match (
            &self.run,
            &self.samples,
            &self.features,
            &self.reference_features,
        ) {
            (Some(folder), ..) => Ok(QualitySubject::Run {
                folder: folder.clone(),
                reference,
            }),
            (None, Some(_), ..) if self.classifier.is_some() && reference.is_none() => {
                Err(DriverError::Usage(
                    "--samples with --classifier need data of the same classes: give --reference FILE, or judge a run \
                     with --run"
                        .into(),
                ))
            }
            (None, Some(file), ..) => Ok(QualitySubject::Samples {
                file: file.clone(),
                reference,
            }),
            (None, None, Some(file), Some(reference)) => Ok(QualitySubject::Features {
                file: file.clone(),
                reference: reference.clone(),
            }),
            _ => Err(DriverError::Usage(
                "say what to judge: --run, --samples, or --features with --reference-features"
                    .into(),
            )),
        }
    }
}
