//! A child process that runs `command_forever`.

use std::process::{Child, Command, Stdio};

use factum_tests::load::Acknowledged;

use crate::lines::Lines;

/// A running `command_forever` process, which is killed when this value is dropped.
pub(crate) struct Writer {
    child: Child,
    lines: Lines,
    acknowledged: Vec<Acknowledged>,
}

impl Writer {
    pub(crate) fn start(location: &str, name: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_command_forever"))
            .args([location, name])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::new(child.stdout.take().unwrap());
        let acknowledged = Vec::new();
        Self {
            child,
            lines,
            acknowledged,
        }
    }

    /// Waits until `count` more commands are acknowledged.
    pub(crate) fn wait_for_commands(&mut self, count: u64) {
        let target = self.acknowledged.len() + count as usize;
        while self.acknowledged.len() < target {
            self.read_line();
        }
    }

    /// Waits until the projection applies the `count`th event from now, often in the middle of a page.
    pub(crate) fn wait_for_events(&mut self, count: u64) {
        for _ in 0..count {
            while self.read_line() {}
        }
    }

    /// Reads a line and returns whether it acknowledges a command.
    fn read_line(&mut self) -> bool {
        let line = self.lines.next();
        let line = line.unwrap_or_else(|| {
            panic!(
                "the writer ended after {} commands",
                self.acknowledged.len()
            )
        });
        self.process_line(&line)
    }

    fn process_line(&mut self, line: &str) -> bool {
        if line == "applying" {
            return false;
        }
        self.acknowledged.push(line.parse().unwrap());
        true
    }

    /// Waits until a command after `position` is acknowledged.
    pub(crate) fn wait_for_command_after(&mut self, position: u64) {
        while self
            .acknowledged
            .last()
            .is_none_or(|command| command.position <= position)
        {
            self.wait_for_commands(1);
        }
    }

    /// Kills the process and returns all acknowledged commands.
    pub(crate) fn kill(mut self) -> Vec<Acknowledged> {
        self.child.kill().unwrap();
        // Reads the rest of the pipe. A line is shorter than `PIPE_BUF`, so it is written completely or not at all.
        while let Some(line) = self.lines.next() {
            self.process_line(&line);
        }
        let status = self.child.wait().unwrap();
        assert!(!status.success(), "the writer was not killed: {status}");
        std::mem::take(&mut self.acknowledged)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Fails if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
