//! A server process with a file of users, and its clients.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use factum_store_protocol::v1::state_service_client::StateServiceClient;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::process::{LIMIT, any, command};

pub type Connection = InterceptedService<Channel, Authorization>;
pub type Events = EventStoreServiceClient<Connection>;
pub type State = StateServiceClient<Connection>;

/// Adds the header `authorization` to each request.
#[derive(Clone)]
pub struct Authorization(Option<AsciiMetadataValue>);

impl Authorization {
    pub fn none() -> Self {
        Self(None)
    }

    pub fn header(text: &str) -> Self {
        Self(Some(text.parse().unwrap()))
    }

    pub fn basic(user: &str, password: &str) -> Self {
        Self::header(&format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{password}"))
        ))
    }

    /// The token of [`user`].
    pub fn token_of(user: &str) -> Self {
        Self::header(&format!("Bearer {}", token_of(user)))
    }
}

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

fn token_of(user: &str) -> String {
    format!("token-of-{user}")
}

/// Returns an entry of `tokens` for the file of users.
pub fn token_entry(user: &str, more: &str) -> String {
    let hash = Sha256::digest(token_of(user));
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{ name = \"test\", sha256 = \"{hash}\"{more} }}")
}

/// Returns the table of a user with a token.
pub fn user(name: &str, roles: &str) -> String {
    let token = token_entry(name, "");
    format!("[users.{name}]\nroles = [{roles}]\ntokens = [{token}]\n")
}

/// The role of an administrator, and its user.
pub static ADMIN: LazyLock<String> =
    LazyLock::new(|| format!("[roles.admin]\nadmin = true\n{}", user("root", "\"admin\"")));

/// The hash of the password `correct horse`.
pub static PASSWORD: LazyLock<String> = LazyLock::new(|| {
    let output = run(&["hash-password"], "correct horse\n");
    output.unwrap().trim().to_owned()
});

/// Runs a command of the program; the error is its standard error.
pub fn run(arguments: &[&str], input: &str) -> Result<String, String> {
    use std::io::Write as _;
    let mut child = Command::new(env!("CARGO_BIN_EXE_event-store"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that fails at its start does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

pub struct Server {
    child: Child,
    pub url: String,
    dir: TempDir,
    log: mpsc::Receiver<String>,
}

impl Server {
    /// Starts on memory with this file of users.
    pub fn start(users: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), users, &[])
    }

    /// Starts on memory with this file of users and with environment variables.
    pub fn start_in(dir: TempDir, users: &str, settings: &[(&str, &str)]) -> Self {
        std::fs::write(dir.path().join("users.toml"), users).unwrap();
        let settings = [&[("RUST_LOG", "warn")], settings].concat();
        let mut child = command(dir.path(), &settings)
            .args(["--store", "memory", "--users", "users.toml"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let (lines, log) = mpsc::channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            // The test may have ended.
            errors
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| lines.send(line))
        });
        let url = line.trim().strip_prefix("gRPC API on ").unwrap().to_owned();
        Self {
            child,
            url,
            dir,
            log,
        }
    }

    /// Replaces the file of users, and asks the server to reload it.
    pub fn reload(&self, users: &str) {
        std::fs::write(self.users_file(), users).unwrap();
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for a line of the log that contains `text`.
    pub fn wait_for_log(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(LIMIT).unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Returns the next line of the log, if there is one.
    pub fn logged(&self) -> Option<String> {
        self.log.try_recv().ok()
    }

    fn users_file(&self) -> PathBuf {
        self.dir.path().join("users.toml")
    }

    pub fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(self.url.clone());
        endpoint.unwrap().connect_lazy()
    }

    pub fn events(&self, authorization: Authorization) -> Events {
        EventStoreServiceClient::with_interceptor(self.channel(), authorization)
    }

    /// Returns a client with the token of a user.
    pub fn events_of(&self, user: &str) -> Events {
        self.events(Authorization::token_of(user))
    }

    pub fn state_of(&self, user: &str) -> State {
        let authorization = Authorization::token_of(user);
        StateServiceClient::with_interceptor(self.channel(), authorization)
    }

    /// Returns the head, as the administrator.
    pub async fn head(&self) -> u64 {
        let head = self.events_of("root").get_head(v1::GetHeadRequest {}).await;
        head.unwrap().into_inner().position
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the request to append one event to each of the streams.
pub fn append(streams: &[&str]) -> v1::AppendRequest {
    let expected = streams.iter().map(|stream| v1::ExpectedStream {
        stream: (*stream).to_owned(),
        expected: Some(v1::ExpectedVersion { kind: any() }),
    });
    let events = (0..streams.len()).map(|stream| v1::NewEvent {
        stream: stream as u32,
        event_type: "hive.weighed".to_owned(),
        data: "{}".into(),
        tags: vec!["apiary:1".to_owned()],
        ..v1::NewEvent::default()
    });
    v1::AppendRequest {
        streams: expected.collect(),
        events: events.collect(),
        ..v1::AppendRequest::default()
    }
}
