//! [`GroupAdmin`]: the management of consumer groups.

use std::time::Duration;

use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::record::RecordedEvent;
use factum_core::timestamp::Timestamp;
use factum_store_protocol::invalid::InvalidMessage;
use factum_store_protocol::v1::group_settings::Start;
use factum_store_protocol::v1::{Group, GroupSettings, PartitionKey};
use factum_store_protocol::{event, query, time, v1};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tonic::{Response, Status};

use crate::attempts::Tries;
use crate::duration::duration;
use crate::error::ClientError;
use crate::session::ClientSession;

/// The settings of a consumer group. The server has a default for each missing setting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupOptions(GroupSettings);

impl GroupOptions {
    /// Creates the default settings: all events from the beginning of the log, with 16 partitions by stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Delivers only the events that match a query.
    #[must_use]
    pub fn query(mut self, query: &Query) -> Self {
        self.0.query = Some(query::to_message(query));
        self
    }

    /// Starts a new group after this position.
    #[must_use]
    pub fn after(mut self, position: Position) -> Self {
        self.0.start = Some(Start::After(position.get()));
        self
    }

    /// Starts a new group after the head at the time of its creation.
    #[must_use]
    pub fn live_only(mut self) -> Self {
        self.0.start = Some(Start::LiveOnly(v1::Unit {}));
        self
    }

    /// Sets the number of partitions, 1 to 256; the default is 16. It cannot change.
    #[must_use]
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.0.partitions = partitions;
        self
    }

    /// Sets the key whose events keep their order; the default is the stream. It cannot change.
    #[must_use]
    pub fn partition_key(mut self, key: PartitionKey) -> Self {
        self.0.partition_key = key.into();
        self
    }

    /// Keeps the order of the events with the same tag `key:…`. It cannot change.
    #[must_use]
    pub fn partition_by_tag(mut self, key: impl Into<String>) -> Self {
        self.0.partition_tag = key.into();
        self.partition_key(PartitionKey::Tag)
    }

    /// Sets the time in which a consumer must answer a delivery, 100 ms to 1 h; the default is 30 s.
    #[must_use]
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.0.ack_timeout = Some(duration(timeout));
        self
    }

    /// Sets the number of failed attempts after which an event becomes a dead letter, 1 to 1,000; the default is 5.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.0.max_attempts = attempts;
        self
    }

    /// Sets the pause before the second attempt, 1 ms to 1 h; the default is 1 s. Each further pause is twice as long.
    #[must_use]
    pub fn min_backoff(mut self, pause: Duration) -> Self {
        self.0.min_backoff = Some(duration(pause));
        self
    }

    /// Sets the longest pause, at most 24 h; the default is 1 min.
    #[must_use]
    pub fn max_backoff(mut self, pause: Duration) -> Self {
        self.0.max_backoff = Some(duration(pause));
        self
    }

    /// Sets the maximum number of unanswered deliveries of one consumer, 1 to 1,000; the default is 100.
    #[must_use]
    pub fn max_in_flight(mut self, deliveries: u32) -> Self {
        self.0.max_in_flight = deliveries;
        self
    }

    /// Sets the maximum number of consumers on one server, 1 to 1,000; the default is 1,000.
    #[must_use]
    pub fn max_consumers(mut self, consumers: u32) -> Self {
        self.0.max_consumers = consumers;
        self
    }
}

/// Creates, describes and changes consumer groups.
///
/// A change is not repeated if its outcome is unknown.
#[derive(Debug, Clone)]
pub struct GroupAdmin(ClientSession);

impl GroupAdmin {
    pub(crate) fn new(session: ClientSession) -> Self {
        Self(session)
    }

    /// Creates a group.
    ///
    /// # Errors
    /// Returns a [`ClientError`]; its kind is `GroupExists` if there is a group of this name.
    pub async fn create(
        &self,
        name: impl Into<String>,
        options: GroupOptions,
    ) -> Result<Group, ClientError> {
        let request = v1::CreateGroupRequest {
            name: name.into(),
            settings: Some(options.0),
        };
        let answer = self.change(request, |session, request| async move {
            session.groups().create_group(request).await
        });
        group(answer.await?.group)
    }

    /// Replaces the settings of a group. If `generation` is set, the group must have it.
    ///
    /// # Errors
    /// Returns a [`ClientError`]; its kind is `GroupChanged` if the group has another generation.
    pub async fn update(
        &self,
        name: impl Into<String>,
        options: GroupOptions,
        generation: Option<u64>,
    ) -> Result<Group, ClientError> {
        let request = v1::UpdateGroupRequest {
            name: name.into(),
            settings: Some(options.0),
            if_generation: generation,
        };
        let answer = self.change(request, |session, request| async move {
            session.groups().update_group(request).await
        });
        group(answer.await?.group)
    }

    /// Deletes a group with its positions and dead letters. Its consumers are stopped.
    ///
    /// # Errors
    /// Returns a [`ClientError`]; its kind is `NotFound` if the group does not exist.
    pub async fn delete(&self, name: impl Into<String>) -> Result<(), ClientError> {
        let request = v1::DeleteGroupRequest { name: name.into() };
        let answer = self.change(request, |session, request| async move {
            session.groups().delete_group(request).await
        });
        answer.await.map(|_| ())
    }

    /// Returns a group with its progress and its consumers.
    ///
    /// # Errors
    /// Returns a [`ClientError`]; its kind is `NotFound` if the group does not exist.
    pub async fn describe(&self, name: impl Into<String>) -> Result<Group, ClientError> {
        let request = v1::DescribeGroupRequest { name: name.into() };
        let answer = self.0.ask(request, |session, request| async move {
            session.groups().describe_group(request).await
        });
        group(answer.await?.group)
    }

    /// Moves a group to a position, and lets it run if it was stopped. All later events are delivered again.
    ///
    /// # Errors
    /// Returns a [`ClientError`]; its kind is `NotFound` if the group does not exist.
    pub async fn reset(
        &self,
        name: impl Into<String>,
        after: Position,
    ) -> Result<Group, ClientError> {
        let request = v1::ResetGroupRequest {
            name: name.into(),
            after: after.get(),
        };
        let answer = self.change(request, |session, request| async move {
            session.groups().reset_group(request).await
        });
        group(answer.await?.group)
    }

    /// Lets a stopped group run again, at the position where it stopped.
    ///
    /// # Errors
    /// Returns a [`ClientError`]; its kind is `NotFound` if the group does not exist.
    pub async fn resume(&self, name: impl Into<String>) -> Result<Group, ClientError> {
        let request = v1::ResumeGroupRequest { name: name.into() };
        let answer = self.change(request, |session, request| async move {
            session.groups().resume_group(request).await
        });
        group(answer.await?.group)
    }

    /// Lists the groups in the byte order of their names; `page_size` is that of one call, at most 100, and 0 means 100.
    #[must_use]
    pub fn list(&self, page_size: u32) -> BoxStream<'static, Result<Group, ClientError>> {
        let request = v1::ListGroupsRequest {
            page_size,
            ..v1::ListGroupsRequest::default()
        };
        let first = Some((self.0.clone(), request));
        let pages = stream::try_unfold(first, |next| async move {
            let Some((session, mut request)) = next else {
                return Ok(None);
            };
            let page = session.ask(request.clone(), |session, request| async move {
                session.groups().list_groups(request).await
            });
            let page = page.await?;
            request.page_token = page.next_page_token;
            let next = (!request.page_token.is_empty()).then_some((session, request));
            let groups = stream::iter(page.groups.into_iter().map(Ok));
            Ok::<_, ClientError>(Some((groups, next)))
        });
        pages.try_flatten().boxed()
    }

    /// Lists the dead letters of a group in the order of their positions; `page_size` is that of one call, at most 100.
    #[must_use]
    pub fn dead_letters(
        &self,
        group: impl Into<String>,
        page_size: u32,
    ) -> BoxStream<'static, Result<FailedEvent, ClientError>> {
        let request = v1::ListDeadLettersRequest {
            group: group.into(),
            page_size,
            page_token: String::new(),
        };
        let first = Some((self.0.clone(), request));
        let pages = stream::try_unfold(first, |next| async move {
            let Some((session, mut request)) = next else {
                return Ok(None);
            };
            let page = session.ask(request.clone(), |session, request| async move {
                session.groups().list_dead_letters(request).await
            });
            let page = page.await?;
            request.page_token = page.next_page_token;
            let next = (!request.page_token.is_empty()).then_some((session, request));
            let letters = stream::iter(page.dead_letters.into_iter().map(failed_event));
            Ok::<_, ClientError>(Some((letters, next)))
        });
        pages.try_flatten().boxed()
    }

    /// Removes dead letters, and delivers their events again. Returns their number.
    ///
    /// Without positions, all dead letters are meant, at most 1,000 in one call.
    ///
    /// # Errors
    /// Returns a [`ClientError`]; its kind is `NotFound` if the group does not exist.
    pub async fn retry_dead_letters(
        &self,
        group: impl Into<String>,
        positions: impl IntoIterator<Item = Position>,
    ) -> Result<u64, ClientError> {
        let request = v1::RetryDeadLettersRequest {
            group: group.into(),
            positions: positions.into_iter().map(Position::get).collect(),
        };
        let answer = self.change(request, |session, request| async move {
            session.groups().retry_dead_letters(request).await
        });
        Ok(answer.await?.retried)
    }

    /// Removes dead letters permanently. Returns their number.
    ///
    /// Without positions, all dead letters are meant, at most 1,000 in one call.
    ///
    /// # Errors
    /// Returns a [`ClientError`]; its kind is `NotFound` if the group does not exist.
    pub async fn discard_dead_letters(
        &self,
        group: impl Into<String>,
        positions: impl IntoIterator<Item = Position>,
    ) -> Result<u64, ClientError> {
        let request = v1::DiscardDeadLettersRequest {
            group: group.into(),
            positions: positions.into_iter().map(Position::get).collect(),
        };
        let answer = self.change(request, |session, request| async move {
            session.groups().discard_dead_letters(request).await
        });
        Ok(answer.await?.discarded)
    }

    /// Makes a call that changes a group. Like an append without a key, it is not repeated if its outcome is unknown.
    async fn change<Q, A, F>(
        &self,
        request: Q,
        call: impl Fn(ClientSession, Q) -> F,
    ) -> Result<A, ClientError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let options = self.0.options();
        let tries = Tries::write(&options.attempts, options.timeout, false);
        self.0.call(tries, request, call).await
    }
}

/// A dead letter: an event that failed permanently.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FailedEvent {
    /// The event; `None` if the log does not have it any more.
    pub event: Option<RecordedEvent>,
    /// The position of the event.
    pub position: Position,
    /// The partition of the group.
    pub partition: u32,
    /// The number of failed attempts.
    pub attempts: u32,
    /// The reason, in the words of the consumer.
    pub reason: String,
    /// The time of the last failure.
    pub failed_at: Timestamp,
}

fn failed_event(message: v1::GroupDeadLetter) -> Result<FailedEvent, ClientError> {
    Ok(FailedEvent {
        event: message.event.map(event::from_message).transpose()?,
        position: Position::new(message.position),
        partition: message.partition,
        attempts: message.attempts,
        reason: message.reason,
        failed_at: time::from_message("failed_at", message.failed_at.as_ref())?,
    })
}

fn group(group: Option<Group>) -> Result<Group, ClientError> {
    group.ok_or_else(|| InvalidMessage::missing("group").into())
}
