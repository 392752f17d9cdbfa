//! The server as a child process, on ports chosen by the system.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde_json::Value;
use spec_service::grpc::generated::spec_service_client::SpecServiceClient;
use tonic::transport::Channel;

pub struct Server {
    child: Child,
    pub rest: String,
    pub grpc: String,
    pub client: reqwest::Client,
}

impl Server {
    /// Starts on a new database, which is deleted with the directory.
    pub fn fresh() -> (tempfile::TempDir, Self) {
        let dir = tempfile::tempdir().expect("the directory is created");
        let server = Self::start(dir.path());
        (dir, server)
    }

    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    /// Starts on the database in `dir`, and waits until it prints its addresses.
    pub fn start_with(dir: &Path, settings: &[(&str, &str)]) -> Self {
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
            .expect("the server process starts");
        let mut lines =
            BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
        let mut address = |api: &str| {
            let line = lines
                .next()
                .expect("the server prints its address")
                .expect("the output is UTF-8");
            let address = line.strip_prefix(&format!("{api} API on "));
            address
                .unwrap_or_else(|| panic!("expected the address of the {api} API: {line}"))
                .to_owned()
        };
        Self {
            rest: address("REST"),
            grpc: address("gRPC"),
            client: reqwest::Client::new(),
            child,
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.rest))
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path)
            .send()
            .await
            .expect("the server responds")
    }

    /// Returns the body of a response, which must have status 200.
    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.expect("the body is JSON")
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path)
            .json(body)
            .send()
            .await
            .expect("the server responds")
    }

    /// Creates a specification and returns its id.
    pub async fn create(&self, name: &str, content: &str) -> String {
        let body = serde_json::json!({ "name": name, "content": content });
        let response = self.post("/v1/specs", &body).await;
        assert_eq!(response.status(), StatusCode::CREATED, "{name}");
        let created: Value = response.json().await.expect("the body is JSON");
        created["id"]
            .as_str()
            .expect("the response has an id")
            .to_owned()
    }

    /// Returns the address of the REST API.
    pub fn rest_address(&self) -> SocketAddr {
        socket_address(&self.rest)
    }

    /// Returns the address of the gRPC API.
    pub fn grpc_address(&self) -> SocketAddr {
        socket_address(&self.grpc)
    }

    pub async fn grpc(&self) -> SpecServiceClient<Channel> {
        SpecServiceClient::new(self.channel().await)
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(self.grpc.clone()).expect("the address is valid");
        endpoint.connect().await.expect("the client connects")
    }

    /// Sends `SIGKILL`.
    pub fn kill(&self) {
        self.signal("-KILL");
    }

    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([signal, &id])
            .status()
            .expect("`kill` can be executed");
        assert!(sent.success());
    }

    /// Waits until the server ends. The runtime is not blocked.
    pub async fn wait(mut self) -> ExitStatus {
        let ended = tokio::task::spawn_blocking(move || self.child.wait());
        ended
            .await
            .expect("the waiting thread ends without panic")
            .expect("the exit status is available")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket_address(url: &str) -> SocketAddr {
    let address = url.strip_prefix("http://").expect("the URL has the scheme");
    address
        .parse()
        .expect("the URL has an IP address and a port")
}

/// Checks the format of a problem response and returns its body.
pub async fn problem(response: Response, status: StatusCode) -> Value {
    assert_eq!(response.status(), status);
    let content_type = response.headers()[header::CONTENT_TYPE]
        .to_str()
        .expect("the content type is ASCII");
    assert_eq!(content_type, "application/problem+json");
    let problem: Value = response.json().await.expect("the problem is JSON");
    assert_eq!(problem["status"], status.as_u16());
    let code = problem["code"].as_str().expect("the problem has a code");
    assert_eq!(problem["type"], format!("urn:spec-service:problem:{code}"));
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    problem
}
