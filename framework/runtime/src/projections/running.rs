//! [`Running`]: one projection at work: waiting for it, and giving it orders.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::control::{self, Control};
use super::parked::NotParked;
use super::waiting::Waiting;
use super::{ProjectionError, ProjectionStatus, Shared, WaitError};
use factum_core::document::{DocumentChanges, DocumentError};
use factum_core::position::Position;

/// One projection at work.
pub struct Running {
    pub shared: Arc<Shared>,
    pub status: watch::Receiver<ProjectionStatus>,
    pub end: mpsc::Sender<()>,
    pub task: JoinHandle<()>,
}

impl Running {
    pub async fn wait(&self, done: impl Fn(&ProjectionStatus) -> bool) -> Result<(), WaitError> {
        self.wait_unless(done, ProjectionStatus::is_stopped).await
    }

    pub async fn wait_unless(
        &self,
        done: impl Fn(&ProjectionStatus) -> bool,
        given_up: impl Fn(&ProjectionStatus) -> bool,
    ) -> Result<(), WaitError> {
        let (status, done) = self.wait_or(done, given_up).await;
        match &status.promotion_blocked {
            _ if done => Ok(()),
            _ if status.is_stopped() => Err(WaitError::stopped(&status)),
            Some(why) => Err(WaitError::promotion_blocked(&status, why)),
            None => Err(WaitError::ended(&status)),
        }
    }

    /// Waits until it is done, or will not be; and whether it is.
    pub async fn wait_or(
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
    pub async fn order(&self, mut order: impl FnMut(&mut Control)) -> Result<(), ProjectionError> {
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
    pub async fn builds(&self) -> Result<Vec<u64>, ProjectionError> {
        let model = &*self.shared.model;
        let control = control::read(&*self.shared.documents, model.name()).await?;
        Ok(self.seen(&control.control))
    }

    fn seen(&self, control: &Control) -> Vec<u64> {
        let next = control.next(self.shared.model.version());
        let next = next.map(|build| build.number);
        control.serving.into_iter().chain(next).collect()
    }

    /// Settles what is parked at `position`, in each of the [builds](Self::builds), and lets what waits behind it go on: both
    /// or neither, so that nobody is left to wait behind what is settled.
    pub async fn discard(&self, position: Position, reason: &str) -> Result<(), ProjectionError> {
        let shared = &*self.shared;
        let (name, documents) = (shared.model.name(), &*shared.documents);
        loop {
            let read = control::read(documents, name).await?;
            let mut settled = DocumentChanges::new();
            for build in self.seen(&read.control) {
                let letters = shared.letters(build);
                let changes = letters.discarding(position, reason).await?;
                settled = settled.with(changes.unwrap_or_default());
            }
            if settled.is_empty() {
                let name = name.to_owned();
                return Err(ProjectionError::Handler(
                    NotParked { name, position }.into(),
                ));
            }
            let mut control = read.control.clone();
            control.discards += 1;
            let changes = settled.with(control::change(name, &read, &control)?);
            match documents.change_documents(changes).await {
                Ok(_) => break,
                // It has been tried meanwhile, and if that worked, it is gone; or another order was given.
                Err(DocumentError::RevisionConflict { .. }) => {}
                Err(DocumentError::Store(error)) => return Err(error.into()),
                Err(error) => return Err(ProjectionError::Handler(error.into())),
            }
        }
        shared.poked.notify_one();
        Ok(())
    }
}
