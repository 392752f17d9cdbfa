//! [`OwnServer`]: a temporary PostgreSQL server of one test, which the test can stop and start.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const SCRIPT: &str = include_str!("../../adapters/postgres/tests/throwaway-server.sh");

/// A temporary server, which stops when this value is dropped or the process ends.
#[derive(Debug)]
pub struct OwnServer {
    /// The directory of the server, with its socket.
    pub dir: String,
    pipe: Mutex<(BufReader<ChildStdout>, Child)>,
}

impl OwnServer {
    /// Starts a server with command-line `options`; prints a message and returns `None` if PostgreSQL is not installed.
    ///
    /// With `FACTUM_REQUIRE_SERVICES=1`, a missing installation is a failure.
    #[must_use]
    pub fn start(options: &[&str]) -> Option<Self> {
        let mut script = Command::new("sh")
            .args(["-c", SCRIPT, "throwaway-server.sh"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script starts");
        let output = script.stdout.take().expect("standard output is piped");
        let mut output = BufReader::new(output);
        let mut dir = String::new();
        output.read_line(&mut dir).expect("the output is UTF-8");
        if dir.is_empty() {
            script.wait().expect("the script has ended");
            let required = std::env::var("FACTUM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "FACTUM_REQUIRE_SERVICES=1, but PostgreSQL is not installed"
            );
            // The test harness does not capture direct writes to the standard error.
            let message = b"SKIPPED: PostgreSQL is not installed\n";
            std::io::stderr()
                .write_all(message)
                .expect("standard error is writable");
            return None;
        }
        Some(Self {
            dir: dir.trim().to_owned(),
            pipe: Mutex::new((output, script)),
        })
    }

    /// Returns the URL of its database, as a superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.dir)
    }

    /// Carries out a command: `stop`, `crash`, `start`, or `standby` before the next start.
    pub fn control(&self, command: &str) {
        let mut pipe = self.pipe.lock().expect("no test panics here");
        let stdin = pipe.1.stdin.as_mut().expect("standard input is piped");
        stdin
            .write_all(format!("{command}\n").as_bytes())
            .expect("the script runs");
        let mut done = String::new();
        pipe.0.read_line(&mut done).expect("the output is UTF-8");
        assert_eq!(done.trim(), command);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let pipe = self.pipe.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The server stops when the standard input of the script ends.
        drop(pipe.1.stdin.take());
        // The exit status of the script does not matter.
        let _ = pipe.1.wait();
    }
}
