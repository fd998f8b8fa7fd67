//! A small HTTP server with faults to order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the server answers one request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// As it should.
    Good,
    /// The whole file, whatever range was asked for.
    WithoutRanges,
    /// So many bytes of what was asked for, then the connection closes.
    Cut(usize),
    /// So many bytes, then silence.
    Stall(usize),
    /// Without saying how long the answer is.
    WithoutLength,
    /// A partial answer that starts elsewhere.
    WrongRange,
    /// An error.
    Status(u16),
}

/// Serves one file to every request, on a thread that lives as long as the test.
pub(super) struct TestServer {
    /// The base address.
    pub(super) url: String,
    /// What was asked for: path and start of the range.
    requests: Arc<Mutex<Vec<(String, usize)>>>,
}

impl TestServer {
    /// The n-th request gets the n-th answer, later ones [`Answer::Good`].
    pub(super) fn start(file: Vec<u8>, answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let mut answers: VecDeque<Answer> = answers.iter().copied().collect();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read_request(&stream);
                let start = request.1;
                log.lock().unwrap().push(request);
                // A client that hangs up is no concern of the server's.
                let _ = respond(
                    &mut stream,
                    &file,
                    start,
                    answers.pop_front().unwrap_or(Answer::Good),
                );
            }
        });
        Self { url, requests }
    }

    pub(super) fn requests(&self) -> Vec<(String, usize)> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream) -> (String, usize) {
    let mut path = String::new();
    let mut start = 0;
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().unwrap().into();
        } else if let Some(range) = lower.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().unwrap();
        }
    }
    (path, start)
}

fn respond(
    stream: &mut TcpStream,
    file: &[u8],
    start: usize,
    answer: Answer,
) -> std::io::Result<()> {
    let total = file.len();
    if let Answer::Status(status) = answer {
        return write!(
            stream,
            "HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    if start >= total {
        return write!(
            stream,
            "HTTP/1.1 416 Range\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let start = match answer {
        Answer::WithoutRanges => 0,
        _ => start,
    };
    let (status, claimed) = match answer {
        Answer::WrongRange => ("206 Partial", start + 1),
        _ if start > 0 => ("206 Partial", start),
        _ => ("200 OK", 0),
    };
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    if status.starts_with("206") {
        write!(
            stream,
            "Content-Range: bytes {claimed}-{}/{total}\r\n",
            total - 1
        )?;
    }
    if !matches!(answer, Answer::WithoutLength) {
        write!(stream, "Content-Length: {}\r\n", total - start)?;
    }
    write!(stream, "\r\n")?;
    let body = &file[start..];
    match answer {
        Answer::Cut(count) => stream.write_all(&body[..count]),
        Answer::Stall(count) => {
            stream.write_all(&body[..count])?;
            std::thread::sleep(Duration::from_millis(600));
            Ok(())
        }
        _ => stream.write_all(body),
    }
}
