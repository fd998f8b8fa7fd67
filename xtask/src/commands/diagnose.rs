//! `diagnose`: the verdict on both axes of a run, from its folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use ebm_core::NoiseKey;
use ebm_data::{DataConfig, Dataset};
use ebm_diagnostics::plot::Figure;
use ebm_experiment::EngineChoice;
use ebm_langevin::{ChainRun, LangevinError};

use crate::advice::shell_word;
use crate::backend::{BackendName, BackendTask, dispatch};
use crate::cli::{BackendArguments, DataDirectory};
use crate::diagnosis::{
    Chains, Diagnosis, GroupRecord, Learning, NetChains, PAGE, Page, PlaneQuality, RECORD,
    Recorder, Schedule, StartName, Starts, Subject, judge_plane,
};
use crate::error::DriverError;
use crate::estimate::{MeasureStep, duration};
use crate::job::load_data;
use crate::logging::Screen;
use crate::observers::rounded;
use crate::quality::{DigitQuality, or_warning};
use crate::stop::on_interrupt;
use crate::trained_chains::TrainedChains;

const TEMPLATE: &str = "{bar:24} {percent}%  {msg}  {elapsed} gone, {eta} left";

/// Arguments of `diagnose`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask diagnose --run runs/short-run
  cargo xtask diagnose --run runs/short-run --chains 32 --multiple 30 --out quick-look
  cargo xtask diagnose --run runs/mnist_convergent --from noise,data,bank")]
pub(crate) struct DiagnoseArguments {
    /// The run folder: net and bank of its newest checkpoint, d and r of all iterations.
    #[arg(long, value_name = "DIR")]
    pub(crate) run: PathBuf,
    /// Judge the average of the parameters over learning, of a run with `optimizer.averaging`.
    #[arg(long)]
    pub(crate) average: bool,
    /// Chains from each start.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(4..=100_000))]
    pub(crate) chains: u32,
    /// Length of the chains, in multiples of L, the Langevin steps of a learning iteration.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(3..=1_000_000))]
    pub(crate) multiple: u64,
    /// Where chains start: noise, data, bank, or several with commas between [default: where learning starts its
    /// chains, and data].
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) from: Vec<StartName>,
    /// Seed of the chains.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder for the diagnosis [default: RUN/diagnosis].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) backend: BackendArguments,
    #[command(flatten)]
    pub(crate) data: DataDirectory,
}

pub(crate) fn run(arguments: &DiagnoseArguments, screen: &Screen) -> Result<(), DriverError> {
    match diagnose(arguments, on_interrupt, screen) {
        Err(DriverError::Langevin(LangevinError::Cancelled)) => {
            screen.say("Stopped; nothing was written. The same command starts anew, with fewer --chains or a lower --multiple it takes less time.");
            Err(DriverError::Interrupted)
        }
        result => result,
    }
}

/// Diagnoses a run. `stop` gives the flag that cancels it, and is asked when everything has been checked.
///
/// # Errors
/// [`LangevinError::Cancelled`] after a stop; nothing has been written then.
pub(crate) fn diagnose(
    arguments: &DiagnoseArguments,
    stop: impl FnOnce() -> Arc<AtomicBool>,
    screen: &Screen,
) -> Result<(), DriverError> {
    let subject = Subject::open(&arguments.run, arguments.average)?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => arguments.run.join("diagnosis"),
    };
    refuse_to_overwrite(&out)?;
    let (backend, engine) = arguments.backend.resolve(Some(&subject.info))?;
    let from = starts(&arguments.from, &subject);
    let dataset = load_needed_data(&subject, &from, arguments)?;
    let chains = arguments.chains as usize;
    let schedule = Schedule::new(subject.config.langevin.steps, arguments.multiple);
    let starts = Starts {
        subject: &subject,
        dataset: dataset.as_ref(),
        seed: arguments.seed,
    };
    // Drawn before anything is measured or run, because what is asked for may not be there.
    let initial = from
        .iter()
        .enumerate()
        .map(|(family, start)| Ok((*start, starts.draw(*start, family as u64, chains)?)))
        .collect::<Result<Vec<_>, DriverError>>()?;
    let job = DiagnoseJob {
        subject: &subject,
        starts: &starts,
        schedule: &schedule,
        chains,
        initial,
        backend,
        engine,
        stop: stop(),
        screen,
    };
    let found = dispatch(backend, job)?;
    let learning = Learning::of(&subject.metrics);
    let convergence = Chains::of(&found.records, &schedule)?;
    let epsilon = subject.config.langevin.epsilon;
    let diagnosis = Diagnosis {
        sentence: format!("{}; {}.", learning.sentence(), convergence.sentence()),
        experiment: subject.info.experiment.clone(),
        iteration: subject.iteration,
        average: arguments.average,
        chains,
        training_steps: schedule.training_steps,
        epsilon: epsilon.get(),
        temperature: epsilon.learned_temperature().get(),
        seed: arguments.seed,
        backend: backend.to_string(),
        engine: found.engine.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        learning,
        convergence,
        data_energy: found
            .records
            .iter()
            .find(|record| record.start == StartName::Data)
            .map(|record| record.initial_energy)
            .filter(|energy| energy.is_finite()),
        start: Some(Starts::of_learning(&subject)),
        plane: found.plane.as_ref().map(|(quality, _)| quality.clone()),
        digits: found.digits,
    };
    let page = Page {
        diagnosis: &diagnosis,
        subject: &subject,
        records: &found.records,
        landscape: found.plane.as_ref().map(|(_, figure)| figure),
        command: command_line(arguments, &from, backend, found.engine, &out),
    };
    page.write(&out)?;
    tell(&diagnosis, &out, screen);
    Ok(())
}

fn refuse_to_overwrite(out: &Path) -> Result<(), DriverError> {
    // It is written last: without it the rest is what an interrupted diagnosis left.
    if out.join(RECORD).exists() {
        return Err(DriverError::Usage(format!(
            "{} already holds a diagnosis; choose another folder with --out",
            out.display()
        )));
    }
    Ok(())
}

/// The starts that were asked for, each once, or those that belong to the claim under test: that what learning calls
/// its samples stays as it is, and meets chains from the data. Noise that learning never starts from would first need
/// a burn-in that the claim is not about.
fn starts(asked: &[StartName], subject: &Subject) -> Vec<StartName> {
    let mut starts = vec![Starts::of_learning(subject), StartName::Data];
    if !asked.is_empty() {
        starts = asked.to_vec();
    }
    let mut once = Vec::new();
    for start in starts {
        if !once.contains(&start) {
            once.push(start);
        }
    }
    once
}

/// The data, where chains start from them or samples are compared with them and no download is needed for that.
fn load_needed_data(
    subject: &Subject,
    from: &[StartName],
    arguments: &DiagnoseArguments,
) -> Result<Option<Dataset>, DriverError> {
    let data = &subject.config.data;
    let comes_along = matches!(data, DataConfig::EmbeddedDigits(_));
    if !subject.config.is_toy() && !comes_along && !from.contains(&StartName::Data) {
        return Ok(None);
    }
    Ok(Some(load_data(data, &arguments.data)?))
}

fn command_line(
    arguments: &DiagnoseArguments,
    from: &[StartName],
    backend: BackendName,
    engine: &str,
    out: &Path,
) -> String {
    let from: Vec<_> = from.iter().map(|start| start.as_str()).collect();
    let mut again = out.as_os_str().to_owned();
    again.push("-again");
    format!(
        "cargo xtask diagnose --run {}{} --chains {} --multiple {} --from {} --seed {} --backend {} --engine {engine} --out {}",
        shell_word(&arguments.run),
        if arguments.average { " --average" } else { "" },
        arguments.chains,
        arguments.multiple,
        from.join(","),
        arguments.seed,
        backend,
        shell_word(Path::new(&again)),
    )
}

fn tell(diagnosis: &Diagnosis, out: &Path, screen: &Screen) {
    screen.tell(&format!("\n{}\n", diagnosis.sentence));
    for line in diagnosis.learning.details() {
        screen.tell(&line);
    }
    if let Chains::Judged(test) = &diagnosis.convergence {
        for change in test.changes.iter().filter(|c| c.summary == "energy") {
            screen.tell(&format!(
                "From {}: mean U {:.2} at L, {:.2} at {}·L; change {} spreads.",
                change.start.name(),
                change.mean_before,
                change.mean_after,
                change.multiple,
                change.spreads,
            ));
        }
    }
    for [name, value] in diagnosis.plane.iter().flat_map(PlaneQuality::rows) {
        screen.tell(&format!("{name}: {value}"));
    }
    if let Some(digits) = &diagnosis.digits {
        screen.tell(&digits.sentence(&diagnosis.samples()));
    }
    screen.tell(&format!(
        "Diagnosis: {} — open {}",
        out.display(),
        out.join(PAGE).display()
    ));
}

/// Everything that needs the net.
struct DiagnoseJob<'a> {
    subject: &'a Subject,
    starts: &'a Starts<'a>,
    schedule: &'a Schedule,
    chains: usize,
    initial: Vec<(StartName, Vec<f32>)>,
    backend: BackendName,
    engine: EngineChoice,
    stop: Arc<AtomicBool>,
    screen: &'a Screen,
}

/// What the net showed.
struct Found {
    records: Vec<GroupRecord>,
    plane: Option<(PlaneQuality, Figure)>,
    digits: Option<DigitQuality>,
    engine: &'static str,
}

impl BackendTask for DiagnoseJob<'_> {
    type Output = Found;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<Found, DriverError> {
        let config = &self.subject.config;
        let engine = (self.backend, self.engine);
        let weights = &self.subject.weights;
        let shape = config.data.shape();
        let chains = TrainedChains::<B>::new(
            &config.net,
            shape,
            weights,
            engine,
            device.clone(),
            Some(&self.stop),
        )?;
        self.tell_cost::<B>(&device)?;
        // That of learning, with its bounds if it has any: what is asked is whether its own chains have come to rest.
        let kernel = config.kernel();
        let walk = |states: Vec<f32>, noise: NoiseKey, first_step: u64, steps: u64| {
            let run = ChainRun {
                kernel: kernel.into(),
                steps,
                first_step,
                noise,
                final_energies: true,
            };
            chains.run(states, &run)
        };
        self.look(&walk, chains.engine_name())
    }
}

impl DiagnoseJob<'_> {
    /// Chain steps of the groups, and with those of the short-run samples.
    fn cost(&self) -> (u64, u64) {
        let each = self.schedule.last().saturating_mul(self.chains as u64);
        let groups = each.saturating_mul(self.initial.len() as u64);
        let count = self.starts.sample_count() as u64;
        let samples = count.saturating_mul(self.schedule.training_steps);
        (groups, groups.saturating_add(samples))
    }

    fn tell_cost<B: AutodiffBackend>(&self, device: &B::Device) -> Result<(), DriverError> {
        let mut measured = self.subject.config.clone();
        measured.batch_size = self.chains;
        let measure = MeasureStep {
            config: &measured,
            backend: self.backend,
            engine: self.engine,
        };
        let seconds = measure.run::<B>(device.clone())? / self.chains as f64;
        let (groups, all) = self.cost();
        self.screen.tell(&format!(
            "{} groups of {} chains, {} Langevin steps each: {} chain steps, about {} here",
            self.initial.len(),
            self.chains,
            self.schedule.last(),
            rounded(groups as f64),
            duration(all as f64 * seconds),
        ));
        Ok(())
    }

    fn look(&self, net: NetChains<'_>, engine: &'static str) -> Result<Found, DriverError> {
        let config = &self.subject.config;
        let bar = self.screen.bar(self.cost().0, TEMPLATE);
        bar.enable_steady_tick(Duration::from_secs(1));
        let recorder = Recorder {
            net,
            schedule: self.schedule,
            temperature: config.langevin.epsilon.learned_temperature(),
            shape: config.data.shape(),
            progress: &|chain_steps| bar.inc(chain_steps),
        };
        let mut records = Vec::new();
        for (family, (start, states)) in self.initial.iter().enumerate() {
            bar.set_message(format!("chains from {}", start.as_str()));
            let key = self.starts.steps_key(family as u64);
            let record = recorder.record(*start, states.clone(), key)?;
            tracing::info!(start = start.as_str(), "chains done");
            records.push(record);
        }
        bar.finish_and_clear();
        let has_runaways = records.iter().any(|record| record.runaway.is_some());
        let toy = self.starts.dataset.and_then(Dataset::toy);
        let plane = match toy.filter(|_| !has_runaways) {
            None => None,
            // Samples that all collapse into a point have no density.
            Some(toy) => or_warning(
                "comparison with the true density",
                judge_plane(toy, self.starts, net).map(Some),
            )?,
        };
        let digits = if has_runaways {
            None
        } else {
            let judged = self.starts.judge_digits(net, self.backend);
            or_warning("quality of samples", judged)?
        };
        Ok(Found {
            records,
            plane,
            digits,
            engine,
        })
    }
}
