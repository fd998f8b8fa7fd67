//! Work that is killed at any moment, again and again, comes to the same results as work that is left alone.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Ended, Place, signal};
use crate::jobs::Job;
use crate::number::number;
use crate::random::Random;

/// Kills of each kind of work; more with the variable EBM_KILLS. The moments depend on the machine, but the results
/// must not, so this test is as strict with one seed as with any other.
const KILLS: u64 = 5;

/// Two of three times SIGKILL, which nothing can catch; the others ask politely, as `timeout` or a closed terminal
/// does.
const SIGNALS: [&str; 6] = ["KILL", "KILL", "TERM", "KILL", "KILL", "HUP"];

fn survive(job: &Job) {
    let place = (job.place)();
    let start = Instant::now();
    let expected = job.expected(&place);
    let mut whole = start.elapsed();
    let kills = number("EBM_KILLS", KILLS) as usize;
    let mut random = Random::new(1, job.name, 0);
    let (mut done, mut finished) = (0, 0);
    let mut command: Vec<&str> = job.start.clone();
    while done < kills || finished == 0 {
        // Once all kills are done the work is left alone.
        let moment = whole.mul_f64(random.below(1000) as f64 / 900.0);
        let is_left_alone = done >= kills;
        let ended = interrupted(
            &place,
            &command,
            SIGNALS[done % SIGNALS.len()],
            moment,
            is_left_alone,
        );
        match ended {
            None => done += 1,
            // The second: the signal came after the results were written and before the program ended.
            Some(ended) if ended.code == Some(0) || ended.stderr.contains("already has") => {
                let when = format!("after {done} kills");
                job.assert_same(&place, &expected, &when);
                finished += 1;
                // It was faster than the first time, so that no signal came: signals come earlier from now on.
                whole = whole.mul_f64(0.8);
                job.clear(&place);
                command = job.start.clone();
                continue;
            }
            Some(ended) if job.is_nothing_there(&ended) => {
                job.clear(&place);
                command = job.start.clone();
                continue;
            }
            Some(ended) => panic!("{}: {ended:#?}", job.name),
        }
        command = job.resume().to_vec();
    }
}

/// Runs a command and interrupts it after a time; how it ended, if that came first.
fn interrupted(
    place: &Place,
    command: &[&str],
    name: &str,
    moment: Duration,
    is_left_alone: bool,
) -> Option<Ended> {
    let mut child = place
        .command(command)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while is_left_alone || start.elapsed() < moment {
        if child.try_wait().unwrap().is_some() {
            return Some(Ended::of(child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, name);
    let ended = Ended::of(child.wait_with_output().unwrap());
    match ended.code {
        // Killed, or before it could listen.
        None => None,
        Some(130) if name != "KILL" => None,
        _ => Some(ended),
    }
}

#[test]
fn learning_survives_kills() {
    survive(&Job::learning("langevin.start=uniform"));
    survive(&Job::learning("langevin.start=persistent"));
}

#[test]
fn learning_with_recoveries_survives_kills() {
    survive(&Job::recovering());
}

#[test]
fn an_evaluation_survives_kills() {
    survive(&Job::evaluation());
}

#[test]
fn a_map_survives_kills() {
    survive(&Job::map());
}

#[test]
fn a_study_survives_kills() {
    survive(&Job::study());
}
