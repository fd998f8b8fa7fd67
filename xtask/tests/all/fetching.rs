//! `data fetch`; the downloads themselves are tested in the crate `ebm-data`.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::common::{Ended, Place};

#[test]
fn an_unknown_data_set() {
    let place = Place::new();
    place.run(["data", "fetch", "mnits"]).badly(
        2,
        &["\"mnits\"", "mnist, fashion-mnist, cifar10, flowers102"],
    );
    assert!(place.contents().is_empty());
}

#[test]
fn a_mirror_that_does_not_have_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}/sets", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let place = Place::new();
    let mut command = place.command(["data", "fetch", "mnist"]);
    let output = command.env("EBM_DATA_MIRROR", &mirror).output().unwrap();
    let file = "mnist/train-images-idx3-ubyte.gz";
    Ended::of(output).badly(
        1,
        &[&format!("{mirror}/{file}"), "404", "EBM_DATA_MIRROR", file],
    );
    assert!(!place.path("data").join(file).exists());
}

#[test]
fn a_mirror_that_is_no_address() {
    let place = Place::new();
    let mut command = place.command(["data", "fetch", "mnist"]);
    let output = command
        .env("EBM_DATA_MIRROR", "mirror.example")
        .output()
        .unwrap();
    Ended::of(output).badly(2, &["EBM_DATA_MIRROR", "mirror.example", "https://"]);
}
