//! [`Running`]: one projection at work: waiting for it, and giving it orders.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::control::{self, Control};
use super::waiting::Waiting;
use super::{ProjectionError, ProjectionStatus, Shared, WaitError};

/// One projection at work.
pub(super) struct Running {
    pub(super) shared: Arc<Shared>,
    pub(super) status: watch::Receiver<ProjectionStatus>,
    pub(super) end: mpsc::Sender<()>,
    pub(super) task: JoinHandle<()>,
}

impl Running {
    pub(super) async fn wait(
        &self,
        done: impl Fn(&ProjectionStatus) -> bool,
    ) -> Result<(), WaitError> {
        self.wait_unless(done, ProjectionStatus::is_stopped).await
    }

    pub(super) async fn wait_unless(
        &self,
        done: impl Fn(&ProjectionStatus) -> bool,
        given_up: impl Fn(&ProjectionStatus) -> bool,
    ) -> Result<(), WaitError> {
        let (status, done) = self.wait_or(done, given_up).await;
        match &status.held_back {
            _ if done => Ok(()),
            _ if status.is_stopped() => Err(WaitError::stopped(&status)),
            Some(why) => Err(WaitError::held_back(&status, why)),
            None => Err(WaitError::ended(&status)),
        }
    }

    /// Waits until it is done, or will not be; and whether it is.
    pub(super) async fn wait_or(
        &self,
        done: impl Fn(&ProjectionStatus) -> bool,
        given_up: impl Fn(&ProjectionStatus) -> bool,
    ) -> (ProjectionStatus, bool) {
        let mut status = self.status.clone();
        let waiting = Waiting::new(&self.shared);
        let over = |status: &ProjectionStatus| done(status) || given_up(status);
        let over = status.wait_for(over).await.map(|status| status.clone());
        drop(waiting);
        let status = over.unwrap_or_else(|_| self.status.borrow().clone());
        let done = done(&status);
        (status, done)
    }

    /// Changes what is wanted of the projection, for every instance.
    pub(super) async fn order(
        &self,
        mut order: impl FnMut(&mut Control),
    ) -> Result<(), ProjectionError> {
        let shared = &*self.shared;
        control::edit(&*shared.documents, shared.model.name(), |control| {
            order(control);
            Ok(true)
        })
        .await?;
        shared.poked.notify_one();
        Ok(())
    }

    /// The build that readers see, and the one that is to replace it.
    pub(super) async fn builds(&self) -> Result<Vec<u64>, ProjectionError> {
        let model = &*self.shared.model;
        let control = control::read(&*self.shared.documents, model.name()).await?;
        let control = control.control;
        let next = control.next(model.version()).map(|build| build.number);
        Ok(control.serving.into_iter().chain(next).collect())
    }
}
