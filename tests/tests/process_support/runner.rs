//! `process_forever` in a process of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use factum::document::Changes;
use factum_tests::backend::Backend;

use crate::lines::Lines;

/// Killed with the value.
pub(crate) struct Runner {
    child: Child,
    lines: Lines,
    /// Its name, once it has said so.
    name: Option<String>,
    /// How many commands it has begun to decide.
    decides: u64,
    /// What it has handled.
    pub(crate) mails: BTreeSet<u64>,
}

impl Runner {
    pub(crate) fn start(place: &str) -> Self {
        Self::start_with(&[place])
    }

    /// The same; its first reservation waits in the middle of its decision until there is a file of this name.
    pub(crate) fn start_held(place: &str, until: &Path) -> Self {
        Self::start_with(&[place, until.to_str().unwrap()])
    }

    fn start_with(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_process_forever"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::new(child.stdout.take().unwrap());
        Self {
            child,
            lines,
            name: None,
            decides: 0,
            mails: BTreeSet::new(),
        }
    }

    fn note(&mut self, line: &str) {
        match line.split_once(' ') {
            None if line == "decides" => self.decides += 1,
            Some(("is", name)) => self.name = Some(name.to_owned()),
            Some(("mails", position)) => drop(self.mails.insert(position.parse().unwrap())),
            _ => panic!("{line}"),
        }
    }

    /// Its name, once it has said so.
    pub(crate) fn name(&mut self) -> Option<&str> {
        for line in self.lines.buffered().collect::<Vec<_>>() {
            self.note(&line);
        }
        self.name.as_deref()
    }

    /// Waits until it has begun to decide so many commands more, or does nothing for so long, since another took over.
    pub(crate) fn hear_deciding(&mut self, count: u64, patience: Duration) -> bool {
        let _ = self.name();
        let (enough, mut since) = (self.decides + count, Instant::now());
        while self.decides < enough {
            let before = self.decides;
            let _ = self.name();
            if self.decides > before {
                since = Instant::now();
            }
            if since.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Stops it, at a moment when it does not hold the only writer of a SQLite file.
    pub(crate) async fn stop_between_writes(&self, backend: &Backend) {
        loop {
            self.signal("-STOP");
            let engine = backend.engine();
            let probe = Changes::new().put("probe", "{}");
            let probe = engine.store().change_documents(probe);
            let patience = Duration::from_millis(150);
            if tokio::time::timeout(patience, probe).await.is_ok() {
                return;
            }
            self.signal("-CONT");
        }
    }

    /// Lets one that was stopped go on.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    /// Kills it, and gives back all that it has handled.
    pub(crate) fn kill(mut self) -> BTreeSet<u64> {
        self.child.kill().unwrap();
        self.end_of_lines();
        assert!(!self.child.wait().unwrap().success());
        std::mem::take(&mut self.mails)
    }

    /// Lets it end once nothing is due any more.
    pub(crate) fn end(mut self) -> BTreeSet<u64> {
        drop(self.child.stdin.take());
        self.end_of_lines();
        assert!(self.child.wait().unwrap().success());
        std::mem::take(&mut self.mails)
    }

    fn end_of_lines(&mut self) {
        while let Some(line) = self.lines.next() {
            self.note(&line);
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
