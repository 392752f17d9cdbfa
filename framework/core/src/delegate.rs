//! [`delegate!`](crate::delegate!): a macro for stores that wrap another store.

/// Delegates a whole trait of a store to the wrapped store.
///
/// A store that wraps another store implements only the traits that it changes:
///
/// - `snapshots` delegates [`SnapshotStore`](crate::snapshot::SnapshotStore),
/// - `documents` delegates [`DocumentStore`](crate::document::DocumentStore).
///
/// ```ignore
/// struct Counted<S> { store: S, appends: AtomicU64 }
///
/// #[async_trait]
/// impl<S: Store> EventStore for Counted<S> { /* counts the appends and calls self.store */ }
///
/// factum_core::delegate!(snapshots, [S: Store] Counted<S>, |this| this.store);
/// factum_core::delegate!(documents, [S: Store] Counted<S>, |this| this.store);
/// ```
#[macro_export]
macro_rules! delegate {
    (snapshots, [$($generics:tt)*] $type:ty, |$this:ident| $store:expr) => {
        #[$crate::async_trait]
        impl<$($generics)*> $crate::snapshot::SnapshotStore for $type {
            async fn save_snapshot(&self, snapshot: $crate::snapshot::Snapshot) -> Result<(), $crate::error::StoreError> {
                let $this = self;
                $store.save_snapshot(snapshot).await
            }

            async fn load_snapshot(
                &self,
                stream: &$crate::stream_id::StreamId,
            ) -> Result<Option<$crate::snapshot::Snapshot>, $crate::error::StoreError> {
                let $this = self;
                $store.load_snapshot(stream).await
            }

            async fn clear_snapshots(&self) -> Result<(), $crate::error::StoreError> {
                let $this = self;
                $store.clear_snapshots().await
            }
        }
    };
    (documents, [$($generics:tt)*] $type:ty, |$this:ident| $store:expr) => {
        #[$crate::async_trait]
        impl<$($generics)*> $crate::document::DocumentStore for $type {
            async fn change_documents(
                &self,
                changes: $crate::document::DocumentChanges,
            ) -> Result<$crate::document::Revision, $crate::document::DocumentError> {
                let $this = self;
                $store.change_documents(changes).await
            }

            async fn find_documents(
                &self,
                keys: &[String],
            ) -> Result<Vec<$crate::document::Document>, $crate::error::StoreError> {
                let $this = self;
                $store.find_documents(keys).await
            }

            async fn scan_documents(
                &self,
                scan: $crate::document::Scan,
            ) -> Result<Vec<$crate::document::Document>, $crate::error::StoreError> {
                let $this = self;
                $store.scan_documents(scan).await
            }

            fn liveness_lock(&self) -> Option<$crate::Uuid> {
                let $this = self;
                $store.liveness_lock()
            }

            async fn released_liveness_locks(
                &self,
                ids: &[$crate::Uuid],
            ) -> Result<Vec<$crate::Uuid>, $crate::error::StoreError> {
                let $this = self;
                $store.released_liveness_locks(ids).await
            }
        }
    };
}
