//! A server that plays the script of a vector.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Buf as _, BufMut as _, Bytes};
use factum_store_protocol::{DESCRIPTOR, ERROR_DOMAIN};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::StreamingService;
use tonic::{Code, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

const SERVICE: &str = "factum.store.v1.EventStoreService";

/// A server in this process, which stops when it is dropped.
pub struct ScriptedServer {
    address: SocketAddr,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

struct Script {
    pool: DescriptorPool,
    calls: Vec<Value>,
    progress: watch::Sender<Progress>,
    texts: Mutex<HashMap<String, String>>,
}

#[derive(Default, Clone)]
struct Progress {
    received: usize,
    ended: usize,
    last_end: Option<Instant>,
    problems: Vec<String>,
}

impl ScriptedServer {
    pub async fn start(calls: &[Value]) -> Self {
        let script = Arc::new(Script {
            pool: DescriptorPool::decode(DESCRIPTOR).unwrap(),
            calls: calls.to_vec(),
            progress: watch::Sender::default(),
            texts: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            script,
            task,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server has received this number of calls.
    pub async fn wait_for_calls(&self, calls: usize) {
        let mut progress = self.script.progress.subscribe();
        progress
            .wait_for(|progress| progress.received >= calls)
            .await
            .unwrap();
    }

    /// Waits for the end of all calls, and returns the differences from the script.
    pub async fn finish(&self) -> Vec<String> {
        let mut progress = self.script.progress.subscribe();
        let all_ended = progress.wait_for(|progress| progress.ended == progress.received);
        let all_ended = tokio::time::timeout(Duration::from_secs(3), all_ended).await;
        let is_cancelled = all_ended.is_ok();
        let progress = self.script.progress.borrow().clone();
        let mut problems = progress.problems;
        if !is_cancelled {
            problems.push("the client did not cancel a call".to_owned());
        }
        if progress.received < self.script.calls.len() {
            problems.push(format!(
                "the server received only {} calls",
                progress.received
            ));
        }
        problems
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response {
    let rpc = request.uri().path().to_owned();
    let player = Player { script, rpc };
    let response = tonic::server::Grpc::new(RawCodec)
        .streaming(player, request)
        .await;
    response.map(Body::new)
}

/// Answers one call.
struct Player {
    script: Arc<Script>,
    rpc: String,
}

/// Notes the end of a call when its answer is dropped.
struct Ended(Arc<Script>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.progress.send_modify(|progress| {
            progress.ended += 1;
            progress.last_end = Some(Instant::now());
        });
    }
}

type Answer = tonic::Response<BoxStream<'static, Result<Bytes, Status>>>;

impl StreamingService<Bytes> for Player {
    type Response = Bytes;
    type ResponseStream = BoxStream<'static, Result<Bytes, Status>>;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let (script, rpc) = (Arc::clone(&self.script), self.rpc.clone());
        Box::pin(async move { script.play(&rpc, request).await })
    }
}

impl Script {
    async fn play(
        self: Arc<Self>,
        rpc: &str,
        request: tonic::Request<Streaming<Bytes>>,
    ) -> Result<Answer, Status> {
        let mut index = 0;
        let mut last_end = None;
        self.progress.send_modify(|progress| {
            index = progress.received;
            progress.received += 1;
            last_end = progress.last_end;
        });
        let ended = Ended(Arc::clone(&self));
        let (metadata, _, mut messages) = request.into_parts();
        let message = messages.message().await?.unwrap_or_default();
        let name = rpc.rsplit('/').next().unwrap_or_default();
        let Some(call) = self.calls.get(index).filter(|call| call["rpc"] == name) else {
            return Err(self.problem(format!("unexpected call {index} of {rpc}")));
        };
        let service = self.pool.get_service_by_name(SERVICE).unwrap();
        let method = service
            .methods()
            .find(|method| method.name() == name)
            .unwrap();
        let received = DynamicMessage::decode(method.input(), message).unwrap();
        let expected = self.message(method.input(), &call["request"]);
        let (received, expected) = (json!(received), json!(expected));
        if !self.matches(&expected, &received) {
            let problem = format!("call {index} is {received}; expected {expected}");
            return Err(self.problem(problem));
        }
        for (key, value) in call["metadata"].as_object().into_iter().flatten() {
            let found = metadata.get(key).and_then(|value| value.to_str().ok());
            if found != value.as_str() {
                return Err(self.problem(format!("{key} is {found:?}; expected {value}")));
            }
        }
        let since = last_end.map_or(Duration::MAX, |end| end.elapsed());
        if since < Duration::from_millis(call["not_before_ms"].as_u64().unwrap_or_default()) {
            return Err(self.problem(format!("call {index} arrived after {since:?}")));
        }
        let mut frames = Vec::new();
        let mut is_held = false;
        for frame in call["frames"].as_array().unwrap() {
            is_held = frame["hold"] == true;
            if let Some(status) = frame.get("status") {
                frames.push(Err(self.status(status)));
            } else if !is_held {
                let message = self.message(method.output(), &frame["message"]);
                frames.push(Ok(Bytes::from(message.encode_to_vec())));
            }
        }
        if let Some(Err(status)) = frames.first() {
            return Err(status.clone());
        }
        let frames = stream::iter(frames);
        let answers = match is_held {
            true => frames.chain(stream::pending()).boxed(),
            false => frames.boxed(),
        };
        let answers = answers.map(move |answer| {
            let _ = &ended;
            answer
        });
        Ok(tonic::Response::new(answers.boxed()))
    }

    fn problem(&self, problem: String) -> Status {
        let status = Status::internal(&*problem);
        self.progress
            .send_modify(|progress| progress.problems.push(problem));
        status
    }

    fn message(&self, descriptor: MessageDescriptor, value: &Value) -> DynamicMessage {
        DynamicMessage::deserialize(descriptor, value.clone()).unwrap()
    }

    /// Compares JSON; `$text:NAME` matches the same text everywhere.
    fn matches(&self, expected: &Value, received: &Value) -> bool {
        match (expected, received) {
            (Value::String(expected), Value::String(received)) => {
                let Some(name) = expected.strip_prefix("$text:") else {
                    return expected == received;
                };
                let mut texts = self.texts.lock().unwrap();
                let known = texts.entry(name.to_owned()).or_insert(received.clone());
                !received.is_empty() && known == received
            }
            (Value::Array(expected), Value::Array(received)) => {
                let mut pairs = expected.iter().zip(received);
                expected.len() == received.len() && pairs.all(|(e, r)| self.matches(e, r))
            }
            (Value::Object(expected), Value::Object(received)) => {
                let is_equal = |(key, expected)| {
                    received
                        .get(key)
                        .is_some_and(|found| self.matches(expected, found))
                };
                expected.len() == received.len() && expected.iter().all(is_equal)
            }
            _ => expected == received,
        }
    }

    fn status(&self, value: &Value) -> Status {
        let code = code(value["code"].as_str().unwrap());
        let message = value["message"].as_str().unwrap();
        if value.as_object().unwrap().len() == 2 {
            return Status::new(code, message);
        }
        let mut details = ErrorDetails::new();
        if let Some(reason) = value["reason"].as_str() {
            let domain = value["domain"].as_str().unwrap_or(ERROR_DOMAIN);
            details.set_error_info(reason, domain, HashMap::new());
        }
        for field in value["fields"].as_array().into_iter().flatten() {
            let (path, rule) = (
                field["field"].as_str().unwrap(),
                field["rule"].as_str().unwrap(),
            );
            details.add_bad_request_violation(path, rule);
        }
        if let Some(delay) = value["retry_after_ms"].as_u64() {
            details.set_retry_info(Some(Duration::from_millis(delay)));
        }
        let standard = Status::with_error_details(code, message, details);
        let Some(refusal) = value.get("refusal") else {
            return standard;
        };
        let descriptor = self.pool.get_message_by_name("factum.store.v1.Refusal");
        let mut rpc = tonic_types::Status::decode(standard.details()).unwrap();
        rpc.details.push(prost_types::Any {
            type_url: "type.googleapis.com/factum.store.v1.Refusal".to_owned(),
            value: self.message(descriptor.unwrap(), refusal).encode_to_vec(),
        });
        Status::with_details(code, message, rpc.encode_to_vec().into())
    }
}

fn code(name: &str) -> Code {
    let known = (0..=16).map(Code::from).find(|code| {
        let text: String = format!("{code:?}").to_uppercase();
        text == name.replace('_', "")
    });
    known.unwrap_or_else(|| panic!("unknown code {name}"))
}

/// Passes the bytes of messages through.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
