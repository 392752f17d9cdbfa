//! [`Beginning`]: where what is new to a store begins is kept at its first start, so that no later one moves it.

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use super::dispatcher::change;
use crate::projections::lease::{Checkpoint, key};
use factum_core::document::{DocumentChanges, DocumentStore, Revision, encode_document};
use factum_core::position::Position;
use factum_engine::engine::{Engine, RetryPolicy};
use factum_engine::error::{StoreError, error_chain};

/// Keeps it in a task of its own, which ends with the value.
pub struct Beginning {
    kept: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Beginning {
    /// Of these models, each behind `head` if it is new.
    pub fn keep(
        models: Vec<String>,
        head: Position,
        (engine, retry): (Engine, RetryPolicy),
    ) -> Self {
        let (keeps, kept) = watch::channel(models.is_empty());
        let task = tokio::spawn(async move {
            for model in models {
                let mut failures = 0;
                while let Err(error) = begin(&**engine.store(), &model, head).await {
                    if matches!(error, StoreError::Closed) {
                        return;
                    }
                    failures += 1;
                    let error = error_chain(&error);
                    warn!(model, error, failures, "where it begins is not kept yet");
                    tokio::time::sleep(retry.pause(failures)).await;
                }
            }
            keeps.send_replace(true);
        });
        Self { kept, task }
    }

    pub async fn is_kept(&self) {
        let mut kept = self.kept.clone();
        // Gone without it only with the store or the runtime.
        let _ = kept.wait_for(|kept| *kept).await;
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What another start has kept stays.
async fn begin(
    documents: &dyn DocumentStore,
    model: &str,
    head: Position,
) -> Result<(), StoreError> {
    let checkpoint = Checkpoint {
        position: head,
        ..Checkpoint::default()
    };
    let key = key(model, 1, 0);
    let begins =
        DocumentChanges::new().put_if(key, Revision::ABSENT, encode_document(&checkpoint)?);
    change(documents, begins).await.map(drop)
}
