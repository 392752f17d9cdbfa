//! The implementation of [`EventStore`].

use async_trait::async_trait;
use factum_core::append::{Append, AppendError, Appended, IdempotencyKey, InvalidAppend};
use factum_core::error::StoreError;
use factum_core::event_type_list::{EventTypeList, EventTypeSummary};
use factum_core::position::Position;
use factum_core::projection_scope::check_outside_projection;
use factum_core::read::{Page, Read};
use factum_core::store::EventStore;
use factum_core::stream_list::{StreamList, StreamSummary};
use factum_core::timestamp::Timestamp;
use factum_store_protocol::refusal::{RequestKind, append_error, store_error};
use factum_store_protocol::{append as messages, read, time, v1};
use tokio::sync::watch;

use crate::open::GrpcStore;
use crate::page;

impl GrpcStore {
    /// Converts the answer of an append, and notes the new head.
    fn appended(&self, message: v1::AppendResponse) -> Result<Appended, AppendError> {
        let appended = messages::appended(message);
        let appended = appended.map_err(|invalid| StoreError::Corrupt(invalid.to_string()))?;
        if appended.count > 0 {
            self.head.advance(appended.position);
        }
        Ok(appended)
    }
}

#[async_trait]
impl EventStore for GrpcStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        check_outside_projection()?;
        // The server checks the same rules, but this error has all facts.
        append.check()?;
        self.appended(self.appender.append(&append).await?)
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        read.check()?;
        page::read(self, &read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        key.check().map_err(InvalidAppend::from)?;
        let request = v1::FindAppendRequest {
            idempotency_key: Some(messages::key_message(key)),
        };
        let asked = Append::default().idempotency_key(key.clone());
        let answer = self.events.clone().find_append(request).await;
        let answer = answer.map_err(|status| match append_error(status, &asked) {
            // Nothing was changed, whatever happened to the answer.
            AppendError::Store(StoreError::Interrupted(outage)) => {
                StoreError::Unavailable(outage).into()
            }
            error => error,
        })?;
        let found = answer.into_inner().appended;
        found.map(|found| self.appended(found)).transpose()
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    async fn list_streams(&self, list: StreamList) -> Result<Vec<StreamSummary>, StoreError> {
        let answer = self
            .events
            .clone()
            .list_streams(read::list_message(&list))
            .await;
        let answer = answer.map_err(|status| store_error(status, RequestKind::Read))?;
        let streams = answer.into_inner().streams.into_iter().map(read::summary);
        let streams: Result<_, _> = streams.collect();
        streams.map_err(|invalid| StoreError::Corrupt(invalid.to_string()))
    }

    async fn list_event_types(
        &self,
        list: EventTypeList,
    ) -> Result<Vec<EventTypeSummary>, StoreError> {
        let request = read::event_types_message(&list);
        let answer = self.events.clone().list_event_types(request).await;
        let answer = answer.map_err(|status| store_error(status, RequestKind::Read))?;
        let types = answer.into_inner().event_types.into_iter();
        let types = types.map(|summary| EventTypeSummary {
            name: summary.event_type,
            position: Position::new(summary.position),
        });
        Ok(types.collect())
    }

    async fn import(
        &self,
        append: Append,
        recorded_at: Timestamp,
    ) -> Result<Appended, AppendError> {
        append.check()?;
        let request = v1::ImportRequest {
            append: Some(messages::to_message(&append)),
            recorded_at: Some(time::to_message(recorded_at)),
        };
        let answer = self.events.clone().import(request).await;
        let answer = answer.map_err(|status| append_error(status, &append))?;
        let appended = answer.into_inner().appended.unwrap_or_default();
        self.appended(appended)
    }
}
