//! What a child process prints, waited for with patience but not for ever.

use std::io::{BufRead as _, BufReader};
use std::process::ChildStdout;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn new(output: ChildStdout) -> Self {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                // Nobody listens any more once a test has failed.
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    /// Those that have come and nobody has read.
    #[allow(dead_code, reason = "where the last line counts")]
    pub(crate) fn buffered(&self) -> impl Iterator<Item = String> {
        self.0.try_iter()
    }

    /// `None`: it has ended.
    pub(crate) fn next(&mut self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
        }
    }
}
