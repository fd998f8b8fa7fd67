//! Long work that leaves a folder and can be resumed, for tests that interrupt it.

use std::fs;

use crate::common::{Ended, Place, TINY};
use crate::{mapping, studies};

/// What is started, how it goes on, and what must come out of it however often it was interrupted.
pub(crate) struct Job {
    pub(crate) name: &'static str,
    /// A place with all that the work needs.
    pub(crate) place: fn() -> Place,
    pub(crate) start: Vec<&'static str>,
    pub(crate) folder: &'static str,
    /// Files that must come out the same to the last byte.
    results: Vec<&'static str>,
}

/// What there is to resume.
pub(crate) const NOTHING_THERE: [&str; 3] = [
    "before its first checkpoint",
    "is not a run folder",
    "is not the folder of",
];

impl Job {
    /// Learning images: `start` is where chains start.
    pub(crate) fn learning(start: &'static str) -> Self {
        let more = [
            "--set",
            start,
            "--set",
            "output.checkpoint_every=3",
            "--set",
            "output.images_every=5",
            "--set",
            "optimizer.averaging=0.9",
            "--iterations",
            "40",
            "--out",
            "work",
        ];
        Self {
            name: "experiment",
            place: Place::new,
            start: [&["experiment", "short-run"], &TINY[..], &more].concat(),
            folder: "work",
            results: vec![
                "metrics.jsonl",
                "weights.safetensors",
                "weights-average.safetensors",
            ],
        }
    }

    /// Learning that runs away and recovers.
    pub(crate) fn recovering() -> Self {
        let mut job = Self::learning("langevin.start=persistent");
        job.name = "experiment with recoveries";
        job.start.extend([
            "--set",
            "divergence_limit=0.007",
            "--set",
            "recovery.attempts=1000",
            "--set",
            "recovery.distance=4",
            "--set",
            "recovery.learning_rate_factor=0.9",
        ]);
        job.results.push("undone/metrics-0.jsonl");
        job
    }

    pub(crate) fn evaluation() -> Self {
        Self {
            name: "evaluate",
            place: || Place::with_image_run("2"),
            start: vec![
                "evaluate",
                "--run",
                "run",
                "--chains",
                "6",
                "--steps",
                "4000",
                "--record-every",
                "20",
                "--start",
                "data",
                "--out",
                "work",
            ],
            folder: "work",
            results: vec!["records.jsonl", "traces.jsonl", "states.safetensors"],
        }
    }

    pub(crate) fn map() -> Self {
        Self {
            name: "map",
            place: mapping::learned_toy,
            start: vec![
                "map",
                "--run",
                "run",
                "--chains",
                "20",
                "--gather-steps",
                "400",
                "--out",
                "work",
            ],
            folder: "work",
            results: vec!["minima.safetensors"],
        }
    }

    pub(crate) fn study() -> Self {
        Self {
            name: "study",
            place: || studies::place(&studies::tiny()),
            start: vec![
                "experiment",
                "--config",
                "mine.json",
                "--iterations",
                "10",
                "--out",
                "work",
            ],
            folder: "work",
            results: vec![
                "noise/metrics.jsonl",
                "noise/weights.safetensors",
                "cd/metrics.jsonl",
                "cd/weights.safetensors",
            ],
        }
    }

    /// The arguments that go on with the work.
    pub(crate) fn resume(&self) -> [&'static str; 3] {
        [self.start[0], "--resume", self.folder]
    }

    /// The next command after an interruption, and its outcome: resumes, or starts anew where the program says that
    /// there is nothing to resume yet.
    pub(crate) fn go_on(&self, place: &Place) -> Ended {
        let ended = place.run(self.resume());
        if self.is_nothing_there(&ended) {
            self.clear(place);
            return place.run(&self.start);
        }
        ended
    }

    pub(crate) fn is_nothing_there(&self, ended: &Ended) -> bool {
        ended.code != Some(0)
            && NOTHING_THERE
                .iter()
                .any(|words| ended.stderr.contains(words))
    }

    pub(crate) fn clear(&self, place: &Place) {
        let _ = fs::remove_dir_all(place.path(self.folder));
    }

    /// The results.
    pub(crate) fn results(&self, place: &Place) -> Vec<(&'static str, Vec<u8>)> {
        let read = |name: &&'static str| (*name, place.bytes(&format!("{}/{name}", self.folder)));
        self.results.iter().map(read).collect()
    }

    /// The results of work that is never interrupted.
    pub(crate) fn expected(&self, place: &Place) -> Vec<(&'static str, Vec<u8>)> {
        place.run(&self.start).well();
        let results = self.results(place);
        self.clear(place);
        results
    }

    #[track_caller]
    pub(crate) fn assert_same(
        &self,
        place: &Place,
        expected: &[(&'static str, Vec<u8>)],
        when: &str,
    ) {
        for ((name, expected), (_, found)) in expected.iter().zip(self.results(place)) {
            assert!(*expected == found, "{}, {when}: {name} differs", self.name);
        }
    }
}
