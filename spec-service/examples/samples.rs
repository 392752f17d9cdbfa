//! Runs every sample through its lifecycle, over both APIs of a running service:
//!
//! ```sh
//! cargo run -p spec-service &
//! cargo run -p spec-service --example samples
//! ```
//!
//! Arguments: the address of the REST API and the address of the gRPC API, if they are not the defaults.

#![expect(clippy::print_stdout, reason = "the example prints its results")]

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use spec_service::grpc::generated::spec_service_client::SpecServiceClient;
use spec_service::grpc::generated::{
    DeprecateSpecRequest, GetSpecHistoryRequest, PublishSpecRequest,
};
use tonic::transport::Channel;

#[tokio::main]
async fn main() -> Result<()> {
    let mut addresses = std::env::args().skip(1);
    let rest = addresses
        .next()
        .unwrap_or_else(|| "http://127.0.0.1:3000".to_owned());
    let grpc = addresses
        .next()
        .unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());
    let channel = Channel::from_shared(grpc.clone())?.connect().await;
    let channel = channel.with_context(|| format!("cannot connect to the gRPC API at {grpc}"))?;
    let mut runner = SampleRunner {
        rest,
        http: reqwest::Client::new(),
        grpc: SpecServiceClient::new(channel),
        suffix: uuid::Uuid::now_v7().simple().to_string(),
    };
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut files: Vec<_> = std::fs::read_dir(samples)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    for file in &files {
        let name = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .context("the file name is not UTF-8")?;
        let events = runner.run(name, &std::fs::read_to_string(file)?).await;
        println!("{name:32} {}", events.with_context(|| name.to_owned())?);
    }
    println!(
        "{} samples created, published, updated, deprecated and deleted",
        files.len()
    );
    Ok(())
}

struct SampleRunner {
    rest: String,
    http: reqwest::Client,
    grpc: SpecServiceClient<Channel>,
    /// The suffix that makes the names of this run unique.
    suffix: String,
}

impl SampleRunner {
    /// Runs one sample and returns its event types.
    ///
    /// The sample is created, updated and deleted over REST, and published and deprecated over gRPC.
    async fn run(&mut self, name: &str, content: &str) -> Result<String> {
        let name = format!("{name}.{}", self.suffix);
        let body = json!({ "name": name, "content": content });
        let created = self.send(Method::POST, "/v1/specs", Some(body)).await?;
        let id = created["id"]
            .as_str()
            .context("the response has no id")?
            .to_owned();
        let path = format!("/v1/specs/{id}");
        let request = PublishSpecRequest {
            id: id.clone(),
            ..PublishSpecRequest::default()
        };
        self.grpc.publish_spec(request).await?;
        let served = self.http.get(format!("{}{path}", self.rest));
        let served = served
            .header(header::ACCEPT, "application/yaml")
            .send()
            .await?;
        ensure!(
            served.bytes().await? == content.as_bytes(),
            "the service returned another content"
        );
        let updated = json!({ "content": format!("{content}# revised\n") });
        self.send(Method::PUT, &path, Some(updated)).await?;
        let request = DeprecateSpecRequest {
            id: id.clone(),
            reason: "the example is complete".to_owned(),
            expected_revision: None,
        };
        self.grpc.deprecate_spec(request).await?;
        self.send(Method::DELETE, &path, None).await?;
        let deleted = self.http.get(format!("{}{path}", self.rest)).send().await?;
        ensure!(
            deleted.status() == StatusCode::GONE,
            "expected 410 after the deletion, got {}",
            deleted.status()
        );
        let history = self
            .grpc
            .get_spec_history(GetSpecHistoryRequest {
                id,
                ..GetSpecHistoryRequest::default()
            })
            .await?;
        let events = history.into_inner().events;
        let types: Vec<_> = events
            .iter()
            .map(|event| event.event_type.as_str())
            .collect();
        Ok(types.join(" "))
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.rest));
        let request = request.header("x-actor", "samples");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{status}: {text}");
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}
