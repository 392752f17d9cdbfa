//! The implementation of [`EventStore`].

use async_trait::async_trait;
use factum_core::append::{Append, AppendError, Appended, IdempotencyKey, InvalidAppend};
use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::projection_scope::check_outside_projection;
use factum_core::read::{Page, Read};
use factum_core::store::EventStore;
use tokio::sync::watch;

use crate::open::CompatibleStore;
use crate::{append, read};

#[async_trait]
impl EventStore for CompatibleStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        check_outside_projection()?;
        append.check()?;
        let appended = append::append(&self.client, &self.locks, append).await?;
        self.head.advance(appended.position);
        Ok(appended)
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        read.check()?;
        read::read(&self.client, &read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        key.check().map_err(InvalidAppend::from)?;
        let operation = "a search for an idempotency key";
        Err(StoreError::Unsupported { operation }.into())
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}
