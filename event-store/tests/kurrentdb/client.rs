//! A client that sends and receives single messages.

use std::path::Path;

use factum_compatible_protocols::kurrentdb::client::streams::append_req::options::ExpectedStreamRevision;
use factum_compatible_protocols::kurrentdb::client::streams::append_req::{
    Content, Options, ProposedMessage,
};
use factum_compatible_protocols::kurrentdb::client::streams::read_req::options as read_options;
use factum_compatible_protocols::kurrentdb::client::streams::streams_client::StreamsClient;
use factum_compatible_protocols::kurrentdb::client::streams::{
    AppendReq, AppendResp, ReadReq, ReadResp, read_req, read_resp,
};
use factum_compatible_protocols::kurrentdb::client::{Empty, StreamIdentifier, Uuid, uuid};
use tokio_stream::iter;
use tonic::Status;
use tonic::transport::Channel;

use crate::server::Server;

/// The maximum size of a message, which some tests exceed.
const MAX_MESSAGE: usize = 200 << 20;

pub struct Connected {
    pub server: Server,
    pub channel: Channel,
    pub streams: StreamsClient<Channel>,
}

impl Connected {
    /// Starts on the file in `dir`.
    pub async fn start(dir: &Path) -> Self {
        let server = Server::start(dir);
        let channel = server.channel().await;
        let streams = StreamsClient::new(channel.clone()).max_encoding_message_size(MAX_MESSAGE);
        Self {
            server,
            streams,
            channel,
        }
    }

    pub async fn send(&mut self, messages: Vec<Content>) -> Result<AppendResp, Status> {
        let messages = messages.into_iter().map(|content| AppendReq {
            content: Some(content),
        });
        let appended = self
            .streams
            .append(iter(messages.collect::<Vec<_>>()))
            .await?;
        Ok(appended.into_inner())
    }

    /// Appends events with these ids, whatever the state of the stream.
    pub async fn append(&mut self, stream: &str, ids: &[u128]) {
        let mut messages = vec![options(stream, ExpectedStreamRevision::Any(Empty {}))];
        messages.extend(ids.iter().map(|id| event(*id)));
        self.send(messages).await.unwrap();
    }

    pub async fn read(
        &mut self,
        options: read_req::Options,
    ) -> Result<Vec<read_resp::Content>, Status> {
        let request = ReadReq {
            options: Some(options),
        };
        let mut messages = self.streams.read(request).await?.into_inner();
        let mut contents = Vec::new();
        while let Some(ReadResp { content }) = messages.message().await? {
            contents.push(content.unwrap());
        }
        Ok(contents)
    }
}

pub fn name(stream: &str) -> Option<StreamIdentifier> {
    Some(StreamIdentifier {
        stream_name: stream.as_bytes().to_vec().into(),
    })
}

pub fn id(id: u128) -> Option<Uuid> {
    let text = ::uuid::Uuid::from_u128(id).to_string();
    Some(Uuid {
        value: Some(uuid::Value::String(text)),
    })
}

pub fn options(stream: &str, expected: ExpectedStreamRevision) -> Content {
    Content::Options(Options {
        stream_identifier: name(stream),
        expected_stream_revision: Some(expected),
    })
}

pub fn event(number: u128) -> Content {
    let metadata = [("type", "weighed"), ("content-type", "application/json")];
    let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Content::ProposedMessage(ProposedMessage {
        id: id(number),
        metadata: metadata.into(),
        custom_metadata: b"raw".to_vec().into(),
        data: b"{}".to_vec().into(),
    })
}

/// Returns the options of a read of a stream, forward from its start.
pub fn of_stream(stream: &str) -> read_req::Options {
    read_req::Options {
        stream_option: Some(read_options::StreamOption::Stream(
            read_options::StreamOptions {
                stream_identifier: name(stream),
                revision_option: Some(read_options::stream_options::RevisionOption::Start(
                    Empty {},
                )),
            },
        )),
        count_option: Some(read_options::CountOption::Count(100)),
        filter_option: Some(read_options::FilterOption::NoFilter(Empty {})),
        ..read_req::Options::default()
    }
}

/// Returns the options of a read of the log, forward from its start.
pub fn of_all() -> read_req::Options {
    read_req::Options {
        stream_option: Some(read_options::StreamOption::All(read_options::AllOptions {
            all_option: Some(read_options::all_options::AllOption::Start(Empty {})),
        })),
        ..of_stream("")
    }
}

/// Returns the events among the messages of a read.
pub fn events(contents: &[read_resp::Content]) -> Vec<&read_resp::read_event::RecordedEvent> {
    let events = contents.iter().filter_map(|content| match content {
        read_resp::Content::Event(event) => event.event.as_ref(),
        _ => None,
    });
    events.collect()
}

/// Returns a trailer of a status.
pub fn trailer<'a>(status: &'a Status, name: &str) -> &'a str {
    let value = status.metadata().get(name);
    value
        .unwrap_or_else(|| panic!("{status:?}"))
        .to_str()
        .unwrap()
}
