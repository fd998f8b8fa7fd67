//! The harness on readers whose faults are known.

use std::path::Path;
use std::time::Duration;

use crate::fuzz;
use crate::readers::{Reader, nothing};

const SOUND: &[u8] = b"sound and long enough to be changed";

type Faulty = fn(&Path) -> Result<(), String>;

fn reader(name: &'static str, read: Faulty) -> Reader {
    Reader {
        name,
        file: "input",
        named: "input",
        seeds: vec![SOUND.to_vec()],
        prepare: Box::new(nothing),
        memory: |_| 1 << 20,
        patience: Duration::from_millis(20),
        read: Box::new(read),
    }
}

fn is_sound(path: &Path) -> bool {
    std::fs::read(path).unwrap() == SOUND
}

pub(crate) fn the_harness_sees_faults() {
    let faulty: [(&str, Faulty, &str); 4] = [
        (
            "check panic",
            |path| {
                if is_sound(path) {
                    Ok(())
                } else {
                    panic!("found")
                }
            },
            "it panics: ",
        ),
        (
            "check memory",
            |path| {
                let size = if is_sound(path) { 1 } else { 2 << 20 };
                std::hint::black_box(vec![1u8; size]);
                Ok(())
            },
            "it takes 2",
        ),
        (
            "check time",
            |path| {
                let pause = if is_sound(path) { 0 } else { 50 };
                std::thread::sleep(Duration::from_millis(pause));
                Ok(())
            },
            "it took 5",
        ),
        (
            "check name",
            |path| {
                if is_sound(path) {
                    Ok(())
                } else {
                    Err("no".into())
                }
            },
            "does not name the file",
        ),
    ];
    for (name, read, words) in faulty {
        let faults = fuzz(&reader(name, read), 50, 1);
        assert!(
            faults.iter().any(|fault| fault.contains(words)),
            "{name}: {faults:?}"
        );
    }
    let sound = reader("check nothing", |_| Ok(()));
    assert_eq!(fuzz(&sound, 50, 1), Vec::<String>::new());
}
