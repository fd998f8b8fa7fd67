//! The verdict on both axes, redone from a run folder.
//!
//! [`Subject`] finds net, bank and metrics, [`Schedule`] says at which steps chains are recorded, [`chains`] runs them
//! from each start, [`plane`] adds what only toy densities allow, [`short_run`] the quality of samples of digits, [`Diagnosis`] puts the numbers into one sentence and
//! `verdict.json`, and [`page`] writes figures and `diagnosis.html`.

mod chains;
mod page;
mod plane;
mod schedule;
mod short_run;
mod starts;
mod subject;
mod verdict;

pub(crate) use chains::{GroupRecord, NetChains, Recorder, Runaway};
pub(crate) use page::{PAGE, Page, short};
pub(crate) use plane::{PlaneQuality, judge_plane};
pub(crate) use schedule::Schedule;
pub(crate) use starts::{StartName, Starts, enough};
pub(crate) use subject::Subject;
pub(crate) use verdict::{Chains, Diagnosis, Learning, RECORD, read_diagnosis};
