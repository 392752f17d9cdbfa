//! The example `application` as a process: requests, an erasure, and a shutdown by a signal.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

const ADA: &str = "0198c0de-0000-7000-8000-000000000001";
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A running application, which is killed at the end of the test.
struct Application {
    process: Child,
    address: String,
    /// Keeps the pipe open, so that the application can log.
    logs: BufReader<ChildStderr>,
}

impl Application {
    fn start(file: &std::path::Path) -> Self {
        let test: PathBuf = std::env::current_exe().expect("this test has a path");
        let folder = test.ancestors().nth(2);
        let folder = folder.expect("the path has the form target/debug/deps/application");
        let mut process = Command::new(folder.join("examples/application"))
            .arg(file)
            .arg("127.0.0.1:0")
            .env("MASTER_KEY", MASTER_KEY)
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example is built");
        let mut logs = BufReader::new(process.stderr.take().expect("stderr is a pipe"));
        let mut read = String::new();
        let address = loop {
            let mut line = String::new();
            let length = logs.read_line(&mut line).expect("the log is text");
            assert!(length > 0, "the application ended: {read}");
            read.push_str(&line);
            if let Some((_, address)) = line.split_once("listening address=") {
                break address.trim().to_owned();
            }
        };
        Self {
            process,
            address,
            logs,
        }
    }

    /// Sends a request and returns the complete response.
    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("the application listens");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream
            .write_all(request.as_bytes())
            .expect("the request is sent");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .expect("the response is text");
        response
    }

    /// Stops the application with a signal, and returns the rest of its log.
    fn stop(mut self) -> String {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("`kill` exists").success());
        let mut log = String::new();
        self.logs.read_to_string(&mut log).expect("the log is text");
        let status = self.process.wait().expect("the application ends");
        assert!(status.success(), "{status}: {log}");
        log
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn application_serves_erases_and_stops() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let application = Application::start(&folder.path().join("members.db"));
    let member = format!("/members/{ADA}");
    let new = format!(r#"{{"id": "{ADA}", "name": "Ada"}}"#);

    let joined = application.request("POST", "/members", &new);
    assert!(joined.starts_with("HTTP/1.1 201"), "{joined}");
    let again = application.request("POST", "/members", &new);
    assert!(again.starts_with("HTTP/1.1 409"), "{again}");
    let list = application.request("GET", "/members", "");
    assert!(list.ends_with(&format!(r#"["{ADA}"]"#)), "{list}");
    let name = application.request("GET", &member, "");
    assert!(name.ends_with("\r\n\r\nAda"), "{name}");
    let metrics = application.request("GET", "/metrics", "");
    let joins = r#"factum_commands_total{command="Join",outcome="done"} 1"#;
    assert!(metrics.contains(joins), "{metrics}");

    let erased = application.request("DELETE", &member, "");
    assert!(erased.starts_with("HTTP/1.1 204"), "{erased}");
    let name = application.request("GET", &member, "");
    assert!(name.ends_with("\r\n\r\n[redacted]"), "{name}");

    let log = application.stop();
    assert!(log.contains("stopped"), "{log}");
}
