//! The output lines of a child process, read with a timeout.

use std::io::{BufRead as _, BufReader};
use std::process::ChildStdout;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

const LINE_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn new(output: ChildStdout) -> Self {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                // The receiver is dropped when the test ends.
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    /// Returns the lines that have arrived and were not read yet.
    #[allow(dead_code, reason = "not used by every test")]
    pub(crate) fn buffered(&self) -> impl Iterator<Item = String> {
        self.0.try_iter()
    }

    /// Returns the next line, or `None` if the process has closed its output.
    pub(crate) fn next(&mut self) -> Option<String> {
        match self.0.recv_timeout(LINE_TIMEOUT) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {LINE_TIMEOUT:?}"),
        }
    }
}
