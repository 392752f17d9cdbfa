//! PostgreSQL servers for the tests, one of which can be killed.

use std::io::Write as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::lines::Lines;

/// What the script ends with.
const NO_BINARIES: i32 = 3;

/// A server of one test. Ends with the value, and with the process, however that ends.
pub(crate) struct Server {
    script: Child,
    orders: Option<ChildStdin>,
    answers: Lines,
    dir: String,
}

impl Server {
    /// `None`: there are no binaries, which is said loudly. With `FACTUM_REQUIRE_SERVICES=1` that is a failure.
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
        let orders = script.stdin.take();
        let mut answers = Lines::new(script.stdout.take().unwrap());
        let Some(dir) = answers.next() else {
            // Any other end is a failure.
            assert_eq!(script.wait().unwrap().code(), Some(NO_BINARIES));
            let required = std::env::var("FACTUM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "no PostgreSQL server, and FACTUM_REQUIRE_SERVICES=1"
            );
            // Past the capture of the test harness.
            let loud = b"SKIPPED: no PostgreSQL server that a test may kill; install one\n";
            std::io::stderr().write_all(loud).unwrap();
            return None;
        };
        Some(Self {
            script,
            orders,
            answers,
            dir,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.dir)
    }

    /// `SIGKILL` to the server and to all its children.
    #[allow(dead_code, reason = "where only clients are killed")]
    pub(crate) fn kill(&mut self) {
        self.order("kill");
    }

    /// Starts it again, on the same data.
    #[allow(dead_code, reason = "where only clients are killed")]
    pub(crate) fn restart(&mut self) {
        self.order("start");
    }

    fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().unwrap();
        writeln!(orders, "{order}").unwrap();
        let answer = self.answers.next();
        let answer = answer.unwrap_or_else(|| panic!("the server failed to {order}"));
        assert_eq!(answer, order);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.orders = None;
        // It can only have ended.
        let _ = self.script.wait();
    }
}
