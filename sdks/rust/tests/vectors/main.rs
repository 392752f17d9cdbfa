//! The test vectors that all SDKs share. `sdks/README.md` describes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod call;
mod outcome;
mod server;

use std::time::Duration;

use factum_store_client::ClientOptions;
use serde_json::Value;
use server::ScriptedServer;
use tokio::time::timeout;

/// The longest time of one vector.
const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn client_follows_the_vectors() {
    let text = include_str!("../../../vectors.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() > 80, "only {} vectors", vectors.len());
    let mut failed = Vec::new();
    for vector in vectors {
        let problems = match timeout(LIMIT, run(vector)).await {
            Ok(problems) => problems,
            Err(_) => vec![format!("not ended after {LIMIT:?}")],
        };
        let name = &vector["name"];
        failed.extend(problems.iter().map(|problem| format!("{name}: {problem}")));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test]
async fn credentials_need_encryption() {
    let text = include_str!("../../../vectors.json");
    let file: Value = serde_json::from_str(text).unwrap();
    for case in file["credentials"].as_array().unwrap() {
        let address = case["address"].as_str().unwrap();
        let opened = ClientOptions::new(address).token("secret").open();
        let error = opened.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), case["error"].as_str(), "{address}");
        let opened = ClientOptions::new(address).basic("ann", "secret").open();
        assert_eq!(opened.is_err(), error.is_some(), "{address}");
        ClientOptions::new(address).open().unwrap();
    }
}

/// Runs one vector, and returns its differences.
async fn run(vector: &Value) -> Vec<String> {
    let server = ScriptedServer::start(vector["server"].as_array().unwrap()).await;
    let outcome = call::run(vector, &server).await;
    let mut problems = server.finish().await;
    let expected = vector["expect"].as_object().unwrap();
    for name in ["error", "cancelled"] {
        if outcome.get(name).is_some() != expected.contains_key(name) {
            problems.push(format!("the outcome is {outcome}"));
        }
    }
    for (name, expected) in expected {
        let found = outcome.get(name).unwrap_or(&Value::Null);
        problems.extend(outcome::difference(name, expected, found));
    }
    problems
}
