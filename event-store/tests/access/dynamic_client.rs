//! [`call`]: calls any RPC of the descriptors with requests in JSON.

use std::marker::PhantomData;
use std::time::Duration;

use event_store::routes::DESCRIPTORS;
use futures_util::stream::iter;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

use crate::process::LIMIT;
use crate::server::Connection;

/// The time in which a call that waits for a second request shows whether it is refused.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns the RPCs of all descriptors by their paths.
pub fn methods() -> Vec<(String, MethodDescriptor)> {
    let mut methods = Vec::new();
    for descriptor in DESCRIPTORS {
        let pool = DescriptorPool::decode(*descriptor).unwrap();
        for service in pool.services() {
            let of_service = service.methods().map(|method| {
                let path = format!("/{}/{}", service.full_name(), method.name());
                (path, method)
            });
            methods.extend(of_service);
        }
    }
    methods.sort_by(|(one, _), (other, _)| one.cmp(other));
    methods.dedup_by(|(one, _), (other, _)| one == other);
    methods
}

/// Sends the requests, each as JSON, and returns the first answer as JSON text.
///
/// The stream of requests stays open, so that a call without end waits. If such a call is silent, the answer is empty.
pub async fn call(
    connection: Connection,
    method: &MethodDescriptor,
    requests: &[String],
) -> Result<String, Status> {
    let requests: Vec<_> = requests
        .iter()
        .map(|json| message(&method.input(), json))
        .collect();
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let mut client = Grpc::new(connection);
    client
        .ready()
        .await
        .map_err(|error| Status::unknown(error.to_string()))?;
    let codec = DynamicCodec(method.output());
    let path = path.parse().unwrap();
    let called = client.streaming(Request::new(iter(requests)), path, codec);
    let mut answers = timeout(LIMIT, called).await.unwrap()?.into_inner();
    match timeout(PATIENCE, answers.message()).await {
        Ok(Ok(Some(answer))) => Ok(serde_json::to_string(&answer).unwrap()),
        Ok(Ok(None)) | Err(_) => Ok(String::new()),
        Ok(Err(status)) => Err(status),
    }
}

fn message(descriptor: &MessageDescriptor, json: &str) -> DynamicMessage {
    let mut json = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(descriptor.clone(), &mut json)
        .unwrap_or_else(|error| panic!("{}: {error}", descriptor.full_name()))
}

/// Whether an answer, or the status in it, refuses the request.
pub fn code(answer: &Result<String, Status>) -> Code {
    match answer {
        Err(status) => status.code(),
        // A stream of appends answers each of them.
        Ok(json) => {
            let answer: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
            let failed = answer.get("failed").or_else(|| answer.get("error"));
            let code = failed.and_then(|status| status.get("code"));
            code.map_or(Code::Ok, |code| Code::from(code.as_i64().unwrap() as i32))
        }
    }
}

struct DynamicCodec(MessageDescriptor);

struct DynamicEncoder(PhantomData<()>);

struct DynamicDecoder(MessageDescriptor);

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> DynamicEncoder {
        DynamicEncoder(PhantomData)
    }

    fn decoder(&mut self) -> DynamicDecoder {
        DynamicDecoder(self.0.clone())
    }
}

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let decoded = DynamicMessage::decode(self.0.clone(), buffer);
        decoded
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
