//! The client of a test, and events.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kurrentdb::{
    AppendToStreamOptions, Client, EventData, ReadStream, Result, StreamState, WriteResult,
};
use serde_json::json;
use uuid::Uuid;

/// The time limit of everything that must happen.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Returns a client of the server that `event-store/clients/run` has started.
pub fn client() -> Client {
    let address =
        env::var("EVENT_STORE_ADDRESS").expect("event-store/clients/run sets the address");
    connect(&format!("kurrentdb://{address}?tls=false"))
}

pub fn connect(connection: &str) -> Client {
    Client::new(connection.parse().unwrap()).unwrap()
}

pub fn new_name(category: &str) -> String {
    format!("{category}-{}", Uuid::new_v4())
}

/// Returns events with the numbers from `first`.
pub fn numbered(name: &str, numbers: std::ops::Range<u64>) -> Vec<EventData> {
    let event = |number| EventData::json(name, &json!({ "number": number })).unwrap();
    numbers.map(event).collect()
}

pub fn events(numbers: std::ops::Range<u64>) -> Vec<EventData> {
    numbered("weighed", numbers)
}

pub fn number(event: &kurrentdb::ResolvedEvent) -> u64 {
    let data: serde_json::Value = event.get_original_event().as_json().unwrap();
    data["number"].as_u64().unwrap()
}

/// Returns the numbers of all events of a read.
pub async fn numbers(events: Result<ReadStream>) -> Vec<u64> {
    let mut events = events.unwrap();
    let mut numbers = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        numbers.push(number(&event));
    }
    numbers
}

/// Appends with an expected state.
pub async fn append(
    client: &Client,
    stream: &str,
    state: StreamState,
    events: Vec<EventData>,
) -> Result<WriteResult> {
    let options = AppendToStreamOptions::default().stream_state(state);
    client.append_to_stream(stream, &options, events).await
}

/// Waits for `future` until the time limit.
pub async fn within<F: Future>(future: F) -> F::Output {
    let result = tokio::time::timeout(LIMIT, future).await;
    result.expect("it should happen within the time limit")
}

/// A server that a test starts, which ends when it is dropped.
pub struct Server {
    /// The host and port.
    pub address: String,
    process: Child,
}

impl Server {
    /// Starts a server in `folder` with these options.
    pub fn start(folder: &Path, options: &[&str]) -> Self {
        let binary = env::var_os("EVENT_STORE_BINARY");
        let mut process = Command::new(binary.expect("event-store/clients/run sets the program"))
            .args(options)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = lines.map(|line| line.unwrap());
        let address =
            lines.find_map(|line| Some(line.split_once("gRPC API on http://")?.1.to_owned()));
        let address = address.expect("the server should print its address");
        Self {
            address: address.split_whitespace().next().unwrap().to_owned(),
            process,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
