//! The server as a child process, on ports chosen by the system.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use factum_store_protocol::v1::expected_version::Kind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Channel;

/// A time limit for waits that must end.
pub const LIMIT: Duration = Duration::from_secs(30);

pub struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The address of the gRPC API, with its scheme.
    pub url: String,
}

impl Server {
    /// Starts on the file in `dir`, and waits until the server prints its address.
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    /// Starts with environment variables.
    pub fn start_with(dir: &Path, settings: &[(&str, &str)]) -> Self {
        Self::spawn(&mut command(dir, settings))
    }

    /// Starts with environment variables, and with its logs in `log`.
    pub fn start_logging(dir: &Path, settings: &[(&str, &str)], log: File) -> Self {
        let mut command = command(dir, settings);
        Self::spawn(command.env("RUST_LOG", "info").stderr(log))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let mut server = Self {
            child,
            lines: BufReader::new(output).lines(),
            url: String::new(),
        };
        server.url = server.next_url("gRPC");
        server
    }

    /// Waits until the server prints the next address, which must be that of `api`.
    pub fn next_url(&mut self, api: &str) -> String {
        let line = self.lines.next();
        let line = line.expect("the server prints its address").unwrap();
        let url = line.strip_prefix(&format!("{api} API on "));
        let url = url.unwrap_or_else(|| panic!("expected the address of {api}: {line}"));
        url.to_owned()
    }

    pub fn address(&self) -> SocketAddr {
        socket_address(&self.url)
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(self.url.clone()).unwrap();
        endpoint.connect().await.unwrap()
    }

    pub async fn client(&self) -> EventStoreServiceClient<Channel> {
        EventStoreServiceClient::new(self.channel().await)
    }

    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Returns the memory of the process in bytes: a field of `/proc/<pid>/status`, for example `VmRSS` or `VmHWM`.
    pub fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let kibibytes = line.split_whitespace().nth(1).unwrap();
        kibibytes.parse::<u64>().unwrap() * 1024
    }

    /// Waits until the server ends. The runtime is not blocked.
    pub async fn wait(mut self) -> ExitStatus {
        let ended = tokio::task::spawn_blocking(move || self.child.wait());
        ended.await.unwrap().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the command that starts the server on the file in `dir`, with environment variables.
pub fn command(dir: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_event-store"));
    // Settings in the environment of the tests must not change the store.
    command
        .env_remove("BACKEND")
        .env_remove("DATABASE_URL")
        .current_dir(dir)
        .env("BIND_ADDR", "127.0.0.1:0")
        .env("RUST_LOG", "error")
        .envs(settings.iter().copied());
    command
}

pub fn socket_address(url: &str) -> SocketAddr {
    let (_, address) = url.split_once("://").unwrap();
    address.parse().unwrap()
}

/// Requests `path` over HTTP/1.1, and returns the complete response as text.
pub async fn get(url: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(socket_address(url)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).await.unwrap();
    response
}

/// Returns the request to append one event with `data` to `stream`.
pub fn append(stream: &str, expected: Option<Kind>, data: impl Into<Vec<u8>>) -> v1::AppendRequest {
    let event = v1::NewEvent {
        event_type: "hive.weighed".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        data: data.into().into(),
        ..v1::NewEvent::default()
    };
    let part = v1::ExpectedStream {
        stream: stream.to_owned(),
        expected: Some(v1::ExpectedVersion { kind: expected }),
    };
    v1::AppendRequest {
        streams: vec![part],
        events: vec![event],
        ..v1::AppendRequest::default()
    }
}

/// Any version of a stream.
pub fn any() -> Option<Kind> {
    Some(Kind::Any(v1::Unit {}))
}
