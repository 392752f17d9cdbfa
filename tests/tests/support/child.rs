//! `command_forever` in a process of its own.

use std::process::{Child, Command, Stdio};

use factum_tests::load::Acknowledged;

use crate::lines::Lines;

/// Killed with the value, too.
pub(crate) struct Writer {
    child: Child,
    lines: Lines,
    told: Vec<Acknowledged>,
}

impl Writer {
    pub(crate) fn start(place: &str, name: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_command_forever"))
            .args([place, name])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::new(child.stdout.take().unwrap());
        let told = Vec::new();
        Self { child, lines, told }
    }

    /// Waits until it has told of `count` more commands.
    pub(crate) fn hear(&mut self, count: u64) {
        let enough = self.told.len() + count as usize;
        while self.told.len() < enough {
            self.hear_line();
        }
    }

    /// Waits until its projection has taken `count` more events, and is in the middle of a page or close to it.
    pub(crate) fn hear_taking(&mut self, count: u64) {
        for _ in 0..count {
            while self.hear_line() {}
        }
    }

    /// Whether it tells of a command.
    fn hear_line(&mut self) -> bool {
        let line = self.lines.next();
        let line = line.unwrap_or_else(|| panic!("the writer failed after {}", self.told.len()));
        self.keep(&line)
    }

    fn keep(&mut self, line: &str) -> bool {
        if line == "applying" {
            return false;
        }
        self.told.push(line.parse().unwrap());
        true
    }

    /// Waits until it has told of a command behind `position`.
    pub(crate) fn hear_beyond(&mut self, position: u64) {
        while self
            .told
            .last()
            .is_none_or(|told| told.position <= position)
        {
            self.hear(1);
        }
    }

    /// Kills it, and gives back all that it told of.
    pub(crate) fn kill(mut self) -> Vec<Acknowledged> {
        self.child.kill().unwrap();
        // What is left in the pipe; a line is written whole or not at all, as it is shorter than the pipe's unit.
        while let Some(line) = self.lines.next() {
            self.keep(&line);
        }
        let status = self.child.wait().unwrap();
        assert!(!status.success(), "the writer ended by itself: {status}");
        std::mem::take(&mut self.told)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
