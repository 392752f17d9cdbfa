//! Reads, and lists of streams.

use factum_core::event_type_list::EventTypeList;
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::read::{Direction, Read, Scope};
use factum_core::stream_list::{StreamList, StreamSummary};

use crate::event::stream;
use crate::invalid::InvalidMessage;
use crate::v1::read_all_request::Scope as AllScope;
use crate::{query, v1};

/// A request to read one page, as the message of its procedure.
#[derive(Debug, Clone)]
pub enum ReadRequest {
    /// A read of one stream.
    Stream(v1::ReadStreamRequest),
    /// A read of the log, or of several streams.
    All(v1::ReadAllRequest),
}

/// Converts a read into a message.
#[must_use]
pub fn to_message(read: &Read) -> ReadRequest {
    let direction = match read.direction {
        Direction::Forward => v1::Direction::Forward,
        Direction::Backward => v1::Direction::Backward,
    };
    let scope = match &read.scope {
        Scope::Stream(stream) => {
            return ReadRequest::Stream(v1::ReadStreamRequest {
                stream: stream.to_string(),
                direction: direction.into(),
                cursor: Some(read.cursor),
                limit: read.limit as u64,
                must_exist: false,
            });
        }
        Scope::Streams(streams) => AllScope::Streams(v1::StreamNames {
            names: streams.iter().map(ToString::to_string).collect(),
        }),
        Scope::All(query) => AllScope::Query(query::to_message(query)),
    };
    ReadRequest::All(v1::ReadAllRequest {
        scope: Some(scope),
        direction: direction.into(),
        cursor: Some(read.cursor),
        limit: read.limit as u64,
    })
}

/// Converts a message into a read of one stream.
///
/// # Errors
/// Returns [`InvalidMessage`] with the path of the first field that is not valid.
pub fn of_stream(message: v1::ReadStreamRequest) -> Result<Read, InvalidMessage> {
    let read = Read::stream(stream("stream", message.stream)?);
    directed(read, message.direction, message.cursor)
}

/// Converts a message into a read of the log, or of several streams.
///
/// # Errors
/// Returns [`InvalidMessage`] with the path of the first field that is not valid.
pub fn of_all(message: v1::ReadAllRequest) -> Result<Read, InvalidMessage> {
    let read = match message.scope {
        None => Read::all(Query::all()),
        Some(AllScope::Query(query)) => Read::all(filter(Some(query))?),
        Some(AllScope::Streams(streams)) => {
            let names = streams.names.into_iter().enumerate();
            let streams =
                names.map(|(index, text)| stream(&format!("streams.names[{index}]"), text));
            Read::streams(streams.collect::<Result<Vec<_>, _>>()?)
        }
    };
    directed(read, message.direction, message.cursor)
}

fn directed(read: Read, direction: i32, cursor: Option<u64>) -> Result<Read, InvalidMessage> {
    match v1::Direction::try_from(direction) {
        Ok(v1::Direction::Unspecified | v1::Direction::Forward) => {
            Ok(read.after(cursor.unwrap_or(0)))
        }
        Ok(v1::Direction::Backward) => Ok(match cursor {
            Some(cursor) => read.before(cursor),
            None => read.backward(),
        }),
        Err(_) => {
            let rule = format!("unknown value {direction}");
            Err(InvalidMessage::new("direction", rule))
        }
    }
}

/// Converts the filter of a subscription or a read into a query.
///
/// # Errors
/// Returns [`InvalidMessage`] with the path of the first field that is not valid.
pub fn filter(message: Option<v1::Query>) -> Result<Query, InvalidMessage> {
    query::from_message(message).map_err(|error| error.within("query"))
}

/// Converts a list request into a message.
#[must_use]
pub fn list_message(list: &StreamList) -> v1::ListStreamsRequest {
    v1::ListStreamsRequest {
        category: list.category.clone(),
        page_size: list.limit as u32,
        page_token: list
            .after
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

/// Converts a message into a list request.
///
/// # Errors
/// Returns [`InvalidMessage`] if the page token is not valid.
pub fn list(message: v1::ListStreamsRequest) -> Result<StreamList, InvalidMessage> {
    let mut list = StreamList::all();
    list.category = message.category;
    if message.page_size > 0 {
        list = list.limit(message.page_size as usize);
    }
    if !message.page_token.is_empty() {
        list = list.after(stream("page_token", message.page_token)?);
    }
    Ok(list)
}

/// Converts a request for a page of event types into a message.
#[must_use]
pub fn event_types_message(list: &EventTypeList) -> v1::ListEventTypesRequest {
    v1::ListEventTypesRequest {
        page_size: list.limit as u32,
        page_token: list.after.clone().unwrap_or_default(),
    }
}

/// Converts a message into a request for a page of event types.
#[must_use]
pub fn event_types(message: v1::ListEventTypesRequest) -> EventTypeList {
    let mut list = EventTypeList::all();
    if message.page_size > 0 {
        list = list.limit(message.page_size as usize);
    }
    if !message.page_token.is_empty() {
        list = list.after(message.page_token);
    }
    list
}

/// Converts a stream of a list into a message.
#[must_use]
pub fn summary_message(summary: &StreamSummary) -> v1::StreamSummary {
    v1::StreamSummary {
        stream: summary.stream.to_string(),
        version: summary.version.get(),
        position: summary.position.get(),
    }
}

/// Converts a message into a stream of a list.
///
/// # Errors
/// Returns [`InvalidMessage`] if the name of the stream is not valid.
pub fn summary(message: v1::StreamSummary) -> Result<StreamSummary, InvalidMessage> {
    Ok(StreamSummary {
        stream: stream("streams.stream", message.stream)?,
        version: Version::new(message.version),
        position: Position::new(message.position),
    })
}
