//! [`PatientStore`]: a store whose calls wait until the server answers again.

use std::sync::Arc;
use std::time::Duration;

use factum::Position;
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Query, Read, StoreError,
    async_trait,
};
use factum_grpc::GrpcStore;
use tokio::sync::watch;

use crate::server::LIMIT;

/// The pause before a read is repeated.
const PAUSE: Duration = Duration::from_millis(10);

/// A store that repeats reads until they succeed, and returns from a failed append when the server answers again.
///
/// An append is never repeated: the history must contain its outcome.
pub struct PatientStore {
    pub store: GrpcStore,
    /// The number of appends that were acknowledged.
    pub acknowledged: Arc<watch::Sender<u64>>,
}

/// Returns whether the server could not be reached, or the connection was lost.
fn is_outage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unavailable(_) | StoreError::Interrupted(_)
    )
}

#[async_trait]
impl EventStore for PatientStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let result = self.store.append(append).await;
        match &result {
            Ok(_) => self.acknowledged.send_modify(|count| *count += 1),
            Err(AppendError::Conflict(_) | AppendError::KeyReused { .. }) => {}
            Err(AppendError::Store(error)) if is_outage(error) => {
                let read = Read::all(Query::all()).limit(1);
                self.read(read).await?;
            }
            Err(error) => panic!("unexpected error of an append: {error:?}"),
        }
        result
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        let repeated = async {
            loop {
                match self.store.read(read.clone()).await {
                    Err(error) if is_outage(&error) => tokio::time::sleep(PAUSE).await,
                    result => return result,
                }
            }
        };
        let read = tokio::time::timeout(LIMIT, repeated).await;
        read.expect("the server answers again")
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}
