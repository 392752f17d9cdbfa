//! [`Runner`]: the program `process_forever` as a child process.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use factum::store::DocumentChanges;
use factum_tests::backend::Backend;

use crate::lines::Lines;

/// A running `process_forever`, which is killed when the value is dropped.
pub(crate) struct Runner {
    child: Child,
    lines: Lines,
    /// The name of the node, once the program has printed it.
    name: Option<String>,
    /// The number of commands that the program has started to decide.
    decides: u64,
    /// The positions of the events that the program has handled.
    pub(crate) mails: BTreeSet<u64>,
}

impl Runner {
    pub(crate) fn start(place: &str) -> Self {
        Self::start_with(&[place])
    }

    /// Starts the program so that its first reservation blocks in `decide` until the file `until` exists.
    pub(crate) fn start_blocked(place: &str, until: &Path) -> Self {
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

    fn record(&mut self, line: &str) {
        match line.split_once(' ') {
            None if line == "decides" => self.decides += 1,
            Some(("is", name)) => self.name = Some(name.to_owned()),
            Some(("mails", position)) => drop(self.mails.insert(position.parse().unwrap())),
            _ => panic!("{line}"),
        }
    }

    /// Returns the name of the node, once the program has printed it.
    pub(crate) fn name(&mut self) -> Option<&str> {
        for line in self.lines.buffered().collect::<Vec<_>>() {
            self.record(&line);
        }
        self.name.as_deref()
    }

    /// Waits until the program has started to decide `count` more commands.
    ///
    /// Returns `false` if it decides nothing for `patience`, because another node took over.
    pub(crate) fn wait_for_decisions(&mut self, count: u64, patience: Duration) -> bool {
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

    /// Suspends the program with `SIGSTOP` while it does not hold the write lock of a SQLite file.
    pub(crate) async fn suspend_between_writes(&self, backend: &Backend) {
        loop {
            self.signal("-STOP");
            let engine = backend.engine();
            let probe = DocumentChanges::new().put("probe", "{}");
            let probe = engine.store().change_documents(probe);
            let patience = Duration::from_millis(150);
            if tokio::time::timeout(patience, probe).await.is_ok() {
                return;
            }
            self.signal("-CONT");
        }
    }

    /// Resumes the suspended program.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Kills the program and returns the positions that it has handled.
    pub(crate) fn kill(mut self) -> BTreeSet<u64> {
        self.child.kill().unwrap();
        self.read_remaining_lines();
        assert!(!self.child.wait().unwrap().success());
        std::mem::take(&mut self.mails)
    }

    /// Lets the program end once no work is due, and returns the positions that it has handled.
    pub(crate) fn end(mut self) -> BTreeSet<u64> {
        drop(self.child.stdin.take());
        self.read_remaining_lines();
        assert!(self.child.wait().unwrap().success());
        std::mem::take(&mut self.mails)
    }

    fn read_remaining_lines(&mut self) {
        while let Some(line) = self.lines.next() {
            self.record(&line);
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Fails if the program has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
