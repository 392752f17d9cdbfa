//! [`Gate`]: a store whose appends wait until the test completes them.

#![allow(dead_code, reason = "not every test uses everything")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use factum::Position;
use factum::store::async_trait;
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Read, StoreError,
};
use factum_memory::MemoryStore;
use tokio::sync::{Notify, oneshot, watch};

type Waiting = (Append, oneshot::Sender<Result<Appended, AppendError>>);

/// A store whose appends wait, in order, until the test completes them.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    pub(crate) store: MemoryStore,
    waiting: Arc<Mutex<VecDeque<Waiting>>>,
    arrived: Arc<Notify>,
}

impl Gate {
    /// Waits until `count` appends are waiting at the same time.
    pub(crate) async fn wait_for_appends(&self, count: usize) {
        loop {
            let arrived = self.arrived.notified();
            if self.waiting.lock().unwrap().len() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Stores the next `count` appends and sends their responses.
    pub(crate) async fn complete(&self, count: usize) {
        for _ in 0..count {
            self.wait_for_appends(1).await;
            let (append, response) = self.waiting.lock().unwrap().pop_front().unwrap();
            let _ = response.send(self.store.append(append).await);
        }
    }

    /// Stores two appends in order, but responds to the second one first.
    ///
    /// `between` runs before the response to the first one.
    pub(crate) async fn complete_in_reverse(&self, between: impl AsyncFnOnce()) {
        self.wait_for_appends(2).await;
        let (one, two) = {
            let mut waiting = self.waiting.lock().unwrap();
            (waiting.pop_front().unwrap(), waiting.pop_front().unwrap())
        };
        let first = self.store.append(one.0).await;
        two.1.send(self.store.append(two.0).await).unwrap();
        between().await;
        one.1.send(first).unwrap();
    }

    /// Drops the next append, and sends no response.
    pub(crate) fn drop_next(&self) {
        drop(self.waiting.lock().unwrap().pop_front());
    }

    /// Fails the next append without storing it. The engine may retry the command.
    pub(crate) async fn fail(&self) {
        self.fail_with(StoreError::Unavailable("the store is down".into()))
            .await;
    }

    /// Fails the next append with `error`, without storing it.
    pub(crate) async fn fail_with(&self, error: StoreError) {
        self.wait_for_appends(1).await;
        let (_, response) = self.waiting.lock().unwrap().pop_front().unwrap();
        response.send(Err(error.into())).unwrap();
    }
}

#[async_trait]
impl EventStore for Gate {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (response, responded) = oneshot::channel();
        self.waiting.lock().unwrap().push_back((append, response));
        self.arrived.notify_waiters();
        responded.await.map_err(|_| StoreError::Closed)?
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::store::delegate!(snapshots, [] Gate, |this| this.store);
factum::store::delegate!(documents, [] Gate, |this| this.store);
