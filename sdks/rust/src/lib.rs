#![doc = include_str!("../README.md")]

mod append;
mod attempts;
mod client;
mod consume;
mod duration;
mod error;
mod groups;
mod list;
mod options;
mod read;
mod session;
mod subscribe;

pub use append::{AppendCall, EventData};
pub use attempts::CallAttempts;
pub use client::{Client, ServerDescription, StreamDescription};
pub use consume::{ConsumeCall, GroupConsumer, GroupDelivery, NackAction};
pub use error::{ClientError, ErrorKind, FieldViolation, UnmetExpectation};
pub use factum_core::append::{Appended, ExpectedVersion};
pub use factum_core::metadata::Metadata;
pub use factum_core::position::{Position, Version};
pub use factum_core::query::{Query, QueryItem};
pub use factum_core::record::{ContentType, RecordedEvent};
pub use factum_core::stream_id::StreamId;
pub use factum_core::stream_list::StreamSummary;
pub use factum_core::tag::Tag;
pub use factum_core::timestamp::Timestamp;
pub use factum_store_protocol::v1::{
    Consumer, Group, GroupPartition, PartitionKey, StopReason, Stopped,
};
pub use groups::{FailedEvent, GroupAdmin, GroupOptions};
pub use list::{ListStreamsCall, StreamSummaries};
pub use options::{ClientOptions, Connection, Credentials, InvalidOptions, ServerTls};
pub use read::{EventStream, ReadAllCall, ReadStreamCall};
pub use subscribe::{LogSubscription, SubscribeCall, SubscriptionMessage};
