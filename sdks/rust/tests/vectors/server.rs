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
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::StreamingService;
use tonic::{Code, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

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

/// A call whose answers are sent.
struct Playing {
    script: Arc<Script>,
    method: MethodDescriptor,
    index: usize,
    messages: Streaming<Bytes>,
    frames: std::vec::IntoIter<Value>,
    _ended: Ended,
}

impl Playing {
    /// Returns the next answer, after the requests that the script expects before it.
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        loop {
            let frame = self.frames.next()?;
            if frame["hold"] == true {
                std::future::pending::<()>().await;
            } else if let Some(status) = frame.get("status") {
                return Some(Err(self.script.status(status)));
            } else if let Some(message) = frame.get("message") {
                let message = self.script.message(self.method.output(), message);
                return Some(Ok(Bytes::from(message.encode_to_vec())));
            } else if let Err(status) = self.receive(&frame["receive"]).await {
                return Some(Err(status));
            }
        }
    }

    /// Receives the expected request, or the end of the requests if it is null.
    async fn receive(&mut self, expected: &Value) -> Result<(), Status> {
        let expected = match expected {
            Value::Null => Value::Null,
            expected => json!(self.script.message(self.method.input(), expected)),
        };
        loop {
            let received = match self.messages.message().await? {
                Some(message) => {
                    json!(DynamicMessage::decode(self.method.input(), message).unwrap())
                }
                None => Value::Null,
            };
            if self.script.matches(&expected, &received) {
                return Ok(());
            }
            if received.get("heartbeat").is_none() {
                let index = self.index;
                let problem = format!("call {index} has {received}; expected {expected}");
                return Err(self.script.problem(problem));
            }
        }
    }
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
        let service = rpc.trim_start_matches('/').split('/').next();
        let service = self.pool.get_service_by_name(service.unwrap()).unwrap();
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
        let frames = call["frames"].as_array().unwrap().clone();
        if let Some(status) = frames.first().and_then(|frame| frame.get("status")) {
            return Err(self.status(status));
        }
        let playing = Playing {
            script: self,
            method,
            index,
            messages,
            frames: frames.into_iter(),
            _ended: ended,
        };
        let answers = stream::unfold(playing, |mut playing| async move {
            let answer = playing.next().await?;
            Some((answer, playing))
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
            let facts = value["facts"].as_object().into_iter().flatten();
            let facts = facts.map(|(name, fact)| (name, fact.as_str().unwrap()));
            let facts = facts.map(|(name, fact)| (name.clone(), fact.to_owned()));
            details.set_error_info(reason, domain, facts.collect::<HashMap<_, _>>());
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
