//! The real server, as a process of its own, on ports that the system chooses.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde_json::Value;
use spec_service::grpc::generated::spec_service_client::SpecServiceClient;
use tonic::transport::Channel;

pub(crate) struct Server {
    child: Child,
    pub(crate) rest: String,
    pub(crate) grpc: String,
    pub(crate) client: reqwest::Client,
}

impl Server {
    /// On a database of its own, which goes with the directory.
    pub(crate) fn fresh() -> (tempfile::TempDir, Self) {
        let dir = tempfile::tempdir().expect("a directory");
        let server = Self::start(dir.path());
        (dir, server)
    }

    pub(crate) fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    /// Starts on the database in `dir`, and waits until it tells where it listens.
    pub(crate) fn start_with(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_spec-service"))
            .current_dir(dir)
            .envs([
                ("DATABASE_URL", "sqlite:specs.db"),
                ("REST_ADDR", "127.0.0.1:0"),
                ("GRPC_ADDR", "127.0.0.1:0"),
                ("RUST_LOG", "warn"),
            ])
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut address = |api: &str| {
            let line = lines.next().expect("a line").expect("text");
            let address = line.strip_prefix(&format!("{api} API on "));
            address
                .unwrap_or_else(|| panic!("not the address of {api}: {line}"))
                .to_owned()
        };
        Self {
            rest: address("REST"),
            grpc: address("gRPC"),
            client: reqwest::Client::new(),
            child,
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.rest))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path)
            .send()
            .await
            .expect("an answer")
    }

    /// The body of an answer that must be good.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.expect("JSON")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path)
            .json(body)
            .send()
            .await
            .expect("an answer")
    }

    /// Creates a specification, and gives back its id.
    pub(crate) async fn create(&self, name: &str, content: &str) -> String {
        let body = serde_json::json!({ "name": name, "content": content });
        let response = self.post("/v1/specs", &body).await;
        assert_eq!(response.status(), StatusCode::CREATED, "{name}");
        let created: Value = response.json().await.expect("JSON");
        created["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn grpc(&self) -> SpecServiceClient<Channel> {
        SpecServiceClient::new(self.channel().await)
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(self.grpc.clone()).expect("an address");
        endpoint.connect().await.expect("a connection")
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) {
        self.signal("-KILL");
    }

    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([signal, &id])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    /// Waits until it ends by itself; connections of this process are served meanwhile.
    pub(crate) async fn wait(mut self) -> ExitStatus {
        let ended = tokio::task::spawn_blocking(move || self.child.wait());
        ended.await.expect("a thread").expect("the server ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of an error, with what every problem has checked.
pub(crate) async fn problem(response: Response, status: StatusCode) -> Value {
    assert_eq!(response.status(), status);
    let content_type = response.headers()[header::CONTENT_TYPE]
        .to_str()
        .expect("a problem");
    assert_eq!(content_type, "application/problem+json");
    let problem: Value = response.json().await.expect("a problem");
    assert_eq!(problem["status"], status.as_u16());
    let code = problem["code"].as_str().expect("a problem");
    assert_eq!(problem["type"], format!("urn:spec-service:problem:{code}"));
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    problem
}
