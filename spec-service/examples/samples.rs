//! Takes every sample through its whole life, over both APIs of a service that is running:
//!
//! ```sh
//! cargo run -p spec-service &
//! cargo run -p spec-service --example samples
//! ```
//!
//! Other addresses than the defaults are its arguments: first REST, then gRPC.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

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
    let channel = channel.with_context(|| format!("no service answers at {grpc}"))?;
    let mut life = Life {
        rest,
        http: reqwest::Client::new(),
        grpc: SpecServiceClient::new(channel),
        run: uuid::Uuid::now_v7().simple().to_string(),
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
            .context("a name")?;
        let story = life.of(name, &std::fs::read_to_string(file)?).await;
        println!("{name:32} {}", story.with_context(|| name.to_owned())?);
    }
    println!(
        "{} samples, each created, published, revised, deprecated and deleted",
        files.len()
    );
    Ok(())
}

struct Life {
    rest: String,
    http: reqwest::Client,
    grpc: SpecServiceClient<Channel>,
    /// Makes the names of this run its own.
    run: String,
}

impl Life {
    /// One sample: created and revised over REST, published and deprecated over gRPC, deleted over REST.
    async fn of(&mut self, name: &str, content: &str) -> Result<String> {
        let name = format!("{name}.{}", self.run);
        let body = json!({ "name": name, "content": content });
        let created = self.send(Method::POST, "/v1/specs", Some(body)).await?;
        let id = created["id"].as_str().context("an id")?.to_owned();
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
            "the content was changed"
        );
        let revised = json!({ "content": format!("{content}# revised\n") });
        self.send(Method::PUT, &path, Some(revised)).await?;
        let request = DeprecateSpecRequest {
            id: id.clone(),
            reason: "the example is over".to_owned(),
            expected_revision: None,
        };
        self.grpc.deprecate_spec(request).await?;
        self.send(Method::DELETE, &path, None).await?;
        let gone = self.http.get(format!("{}{path}", self.rest)).send().await?;
        ensure!(
            gone.status() == StatusCode::GONE,
            "it is still there: {}",
            gone.status()
        );
        let history = self
            .grpc
            .get_spec_history(GetSpecHistoryRequest { id })
            .await?;
        let events = history.into_inner().events;
        let story: Vec<_> = events
            .iter()
            .map(|event| event.event_type.as_str())
            .collect();
        Ok(story.join(" "))
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
