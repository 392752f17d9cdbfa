//! [`OwnServer`]: a temporary PostgreSQL server of one test, which the test can stop and start.

#![allow(dead_code, reason = "no test uses all items")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use factum_postgres::PgConnectOptions;

pub struct OwnServer {
    pub dir: String,
    pipe: Mutex<(BufReader<ChildStdout>, Child)>,
}

impl OwnServer {
    /// Starts a server with command-line `options`; `None` if PostgreSQL is not installed.
    pub fn start(options: &[&str]) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/throwaway-server.sh");
        let mut script = Command::new("sh")
            .arg(script)
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

    /// Returns the address of its socket, as a superuser.
    pub fn address(&self) -> PgConnectOptions {
        let server = PgConnectOptions::new_without_pgpass().host("/");
        let server = server.socket(&self.dir).port(5432);
        server.username("postgres").database("postgres")
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
        let pipe = self.pipe.get_mut().expect("no test panics here");
        drop(pipe.1.stdin.take());
        pipe.1.wait().expect("the script ends");
    }
}
