//! Temporary PostgreSQL servers that a test can kill.

use std::io::Write as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::lines::Lines;

/// The exit code of the script if PostgreSQL is not installed.
const NO_BINARIES: i32 = 3;

/// A temporary server, which stops when this value is dropped or the process ends.
pub(crate) struct Server {
    script: Child,
    commands: Option<ChildStdin>,
    output: Lines,
    dir: String,
}

impl Server {
    /// Starts a server, or returns `None` with a message if PostgreSQL is not installed.
    ///
    /// With `FACTUM_REQUIRE_SERVICES=1`, a missing installation is a failure.
    pub(crate) fn start() -> Option<Self> {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/support/killable-server.sh"
        );
        let mut script = Command::new("sh")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = script.stdin.take();
        let mut output = Lines::new(script.stdout.take().unwrap());
        let Some(dir) = output.next() else {
            // Any other exit code is a failure.
            assert_eq!(script.wait().unwrap().code(), Some(NO_BINARIES));
            let required = std::env::var("FACTUM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "PostgreSQL is not installed, but FACTUM_REQUIRE_SERVICES=1"
            );
            // The test harness does not capture direct writes to the standard error.
            let message =
                b"SKIPPED: no PostgreSQL server that a test may kill; install PostgreSQL\n";
            std::io::stderr().write_all(message).unwrap();
            return None;
        };
        Some(Self {
            script,
            commands,
            output,
            dir,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.dir)
    }

    /// Sends `SIGKILL` to the server and to all its children.
    #[allow(dead_code, reason = "not used by every test")]
    pub(crate) fn kill(&mut self) {
        self.send("kill");
    }

    /// Starts the server again, with the same data.
    #[allow(dead_code, reason = "not used by every test")]
    pub(crate) fn restart(&mut self) {
        self.send("start");
    }

    fn send(&mut self, command: &str) {
        let commands = self.commands.as_mut().unwrap();
        writeln!(commands, "{command}").unwrap();
        let response = self.output.next();
        let response = response.unwrap_or_else(|| panic!("the server script failed: {command}"));
        assert_eq!(response, command);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.commands = None;
        // The exit status of the script does not matter.
        let _ = self.script.wait();
    }
}
