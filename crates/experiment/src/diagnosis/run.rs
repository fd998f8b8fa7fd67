//! A diagnosis from a run folder to its page.

use std::path::{Path, PathBuf};

use ebm_core::States;
use ebm_data::{DataConfig, LoadedData};
use ebm_figures::plot::Figure;
use ebm_langevin::Chains;

use super::{
    Diagnosis, GroupRecord, JUDGED_STARTS, JudgedStart, LearningOutcome, LongChains, PAGE, Page,
    PlaneQuality, RECORD, Recorder, Schedule, StartName, Starts, Subject, judge_plane,
};
use crate::data::load_data;
use crate::once::each_once;
use crate::quality::{DigitQuality, or_warning};
use crate::run_folder::refuse_second;
use crate::words::{duration, rounded};
use crate::{Computation, Compute, ExperimentError, NextStep, Progress, Supervisor, Work, memory};

/// The options of a diagnosis.
#[derive(Debug, Clone, PartialEq)]
pub struct DiagnosisOptions {
    /// The number of chains from each start, at least 4.
    pub chains: usize,
    /// Length of the chains, in multiples of L; at least 3.
    pub multiple: u64,
    /// Also judge 1,000 chains of this length, in multiples of L, from noise and from the data alike, if the data are
    /// digits.
    pub judged_multiple: Option<u64>,
    /// Where chains start. If it is empty: where learning starts its chains, and data.
    pub from: Vec<StartName>,
    /// Seed of the chains.
    pub seed: u64,
}

impl Default for DiagnosisOptions {
    fn default() -> Self {
        Self {
            chains: 128,
            multiple: 100,
            judged_multiple: None,
            from: Vec::new(),
            seed: 1,
        }
    }
}

/// The folder of the diagnosis of a run, unless another is asked for.
#[must_use]
pub fn default_folder(run: &Path) -> PathBuf {
    run.join("diagnosis")
}

/// Judges a run on both axes and writes figures, page and `verdict.json` into the new folder `out`. Data sets are
/// looked for in `data_directory`, or in the usual place.
///
/// # Errors
/// [`ExperimentError::Stopped`] after a stop; nothing has been written then. [`ExperimentError::is_usage`] ones
/// before chains run; later those of files and engines.
pub fn diagnose(
    subject: &Subject,
    options: &DiagnosisOptions,
    out: &Path,
    data_directory: Option<&Path>,
    Computation { compute, engine }: Computation<'_>,
    supervisor: &dyn Supervisor,
) -> Result<Diagnosis, ExperimentError> {
    refuse_second(out, RECORD, "a diagnosis")?;
    let from = starts(&options.from, subject);
    let is_judged = options.judged_multiple.is_some();
    if is_judged && !subject.config.is_digits() {
        return Err(ExperimentError::setting(
            "judged-multiple",
            "judges digits, and the data of this run are none; leave it out",
        ));
    }
    let mut needed = from.clone();
    if is_judged {
        needed.push(StartName::Data);
    }
    let dataset = load_needed_data(subject, &needed, data_directory)?;
    let schedule = Schedule::new(subject.config.langevin.steps, options.multiple);
    let starts = Starts {
        subject,
        dataset: dataset.as_ref(),
        seed: options.seed,
    };
    let all = options.chains.saturating_mul(from.len());
    memory::check_chains("chains", all, subject.config.data.shape())?;
    // Starts are drawn before anything is measured or run, because some of them may not exist.
    let initial = from
        .iter()
        .enumerate()
        .map(|(family, start)| Ok((*start, starts.draw(*start, family as u64, options.chains)?)))
        .collect::<Result<Vec<_>, ExperimentError>>()?;
    let stop = supervisor.stop_flag();
    let config = &subject.config;
    let net = compute.trained_net(
        &config.net,
        config.data.shape(),
        &subject.weights,
        engine,
        &stop,
    )?;
    let work = Chained {
        starts: &starts,
        schedule: &schedule,
        chains: options.chains,
        judged_multiple: options.judged_multiple,
        initial: &initial,
    };
    // A damaged file costs no chains.
    let likelihood = crate::likelihood::read_likelihood(&subject.folder.root().join("likelihood"))?;
    let (groups, all) = work.cost();
    let mut measured = config.clone();
    measured.batch_size = options.chains;
    let seconds = compute.seconds_per_step(&measured, engine)? / options.chains as f64;
    supervisor.tell(&format!(
        "{} groups of {} chains, {} Langevin steps each: {} chain steps with the samples that are judged, about {} here",
        initial.len(),
        options.chains,
        schedule.last(),
        rounded(all as f64),
        duration(all as f64 * seconds),
    ));
    let mut progress = supervisor.begin(Work::Diagnosis, 0, groups);
    let found = work.look(&*net, compute, &mut *progress)?;
    drop(progress);
    let learning = LearningOutcome::of(&subject.metrics);
    let convergence = LongChains::of(&found.records, &schedule)?;
    let epsilon = config.langevin.epsilon;
    let diagnosis = Diagnosis {
        sentence: format!("{}; {}.", learning.sentence(), convergence.sentence()),
        experiment: subject.info.experiment.clone(),
        iteration: subject.iteration,
        average: subject.average,
        chains: options.chains,
        training_steps: schedule.training_steps,
        epsilon: epsilon.get(),
        temperature: epsilon.learned_temperature().get(),
        seed: options.seed,
        backend: compute.name().to_owned(),
        engine: net.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        learning,
        recoveries: subject.info.recoveries.clone(),
        convergence,
        data_energy: found
            .records
            .iter()
            .find(|record| record.start == StartName::Data)
            .map(|record| record.initial_energy)
            .filter(|energy| energy.is_finite()),
        start: Some(Starts::of_learning(subject)),
        plane: found.plane.as_ref().map(|(quality, _)| quality.clone()),
        digits: found.digits,
        judged: found.judged,
    };
    let command = supervisor.command(NextStep::DiagnoseAgain {
        run: subject.folder.root(),
        average: subject.average,
        options: &DiagnosisOptions {
            from,
            ..options.clone()
        },
        backend: compute.name(),
        engine: net.name(),
        out,
    });
    let page = Page {
        diagnosis: &diagnosis,
        subject,
        records: &found.records,
        landscape: found.plane.as_ref().map(|(_, figure)| figure),
        likelihood,
        command: command.unwrap_or_default(),
    };
    page.write(out)?;
    Ok(diagnosis)
}

/// The page of a diagnosis in its folder.
#[must_use]
pub fn page_in(folder: &Path) -> PathBuf {
    folder.join(PAGE)
}

/// The requested starts, each once, or else those of the claim under test: the samples of learning do not change when
/// their chains go on, and they meet chains from the data. Noise that learning never starts from would first need a
/// burn-in, about which the claim says nothing.
fn starts(asked: &[StartName], subject: &Subject) -> Vec<StartName> {
    let mut starts = vec![Starts::of_learning(subject), StartName::Data];
    if !asked.is_empty() {
        starts = asked.to_vec();
    }
    each_once(starts)
}

/// The data, if chains start from them, or if samples are compared with them and this needs no download.
fn load_needed_data(
    subject: &Subject,
    from: &[StartName],
    directory: Option<&Path>,
) -> Result<Option<LoadedData>, ExperimentError> {
    let data = &subject.config.data;
    let comes_along = matches!(data, DataConfig::EmbeddedDigits(_));
    if !subject.config.is_toy() && !comes_along && !from.contains(&StartName::Data) {
        return Ok(None);
    }
    Ok(Some(load_data(data, directory)?))
}

/// Runs everything that needs the net.
struct Chained<'a> {
    starts: &'a Starts<'a>,
    schedule: &'a Schedule,
    chains: usize,
    judged_multiple: Option<u64>,
    initial: &'a [(StartName, States)],
}

/// The results for the net.
struct Found {
    records: Vec<GroupRecord>,
    plane: Option<(PlaneQuality, Figure)>,
    digits: Option<DigitQuality>,
    judged: Vec<JudgedStart>,
}

impl Chained<'_> {
    /// Chain steps of the groups, and with those of all samples that are judged.
    fn cost(&self) -> (u64, u64) {
        let each = self.schedule.last().saturating_mul(self.chains as u64);
        let groups = each.saturating_mul(self.initial.len() as u64);
        let count = self.starts.sample_count() as u64;
        let samples = count.saturating_mul(self.schedule.training_steps);
        let judged = self.starts.judged_count() as u64 * JUDGED_STARTS.len() as u64;
        let judged = judged.saturating_mul(self.judged_steps().unwrap_or(0));
        let all = groups.saturating_add(samples).saturating_add(judged);
        (groups, all)
    }

    fn judged_steps(&self) -> Option<u64> {
        let multiple = self.judged_multiple?;
        Some(self.schedule.training_steps.saturating_mul(multiple))
    }

    fn look(
        &self,
        net: &dyn Chains,
        compute: &dyn Compute,
        progress: &mut dyn Progress,
    ) -> Result<Found, ExperimentError> {
        let config = &self.starts.subject.config;
        let length = self.cost().0;
        let mut done = 0;
        let mut records = Vec::new();
        for (family, (start, states)) in self.initial.iter().enumerate() {
            progress.message(&format!("chains from {}", start.as_str()));
            let key = self.starts.steps_key(family as u64);
            let recorder = Recorder {
                net,
                kernel: config.kernel(),
                schedule: self.schedule,
                temperature: config.langevin.epsilon.learned_temperature(),
                progress: &mut |chain_steps| {
                    done += chain_steps;
                    progress.advance_to(done, length);
                },
            };
            let record = recorder.record(*start, states.clone(), key)?;
            tracing::info!(start = start.as_str(), "chains done");
            records.push(record);
        }
        let has_runaways = records.iter().any(|record| record.runaway.is_some());
        let toy = self.starts.dataset.and_then(LoadedData::toy);
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
            let judged = self.starts.judge_digits(net, compute);
            or_warning("quality of samples", judged)?
        };
        let mut judged = Vec::new();
        // Where chains ran away, so would these.
        if let Some(steps) = self.judged_steps().filter(|_| !has_runaways) {
            for (number, &start) in JUDGED_STARTS.iter().enumerate() {
                progress.message(&format!("{steps} steps from {}, judged", start.as_str()));
                let found = self
                    .starts
                    .judge_start(net, compute, start, number as u64, steps);
                let what = format!("quality of samples from {}", start.as_str());
                judged.extend(or_warning(&what, found)?);
            }
        }
        Ok(Found {
            records,
            plane,
            digits,
            judged,
        })
    }
}
