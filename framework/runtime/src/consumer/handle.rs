//! [`ConsumerHandle`]: observes and controls one consumer.

use std::sync::Arc;

use factum_core::document::{DocumentChanges, DocumentError};
use factum_core::position::Position;
use factum_engine::engine::WaitForPosition;
use factum_engine::error::StoreError;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::context::ConsumerContext;
use super::control::{self, Control};
use super::control_error::{ControlError, WaitError};
use super::dead_letter::DeadLetter;
use super::lease;
use super::observer::ConsumerObserver;
use super::status::ConsumerStatus;
use super::supervisor::Supervisor;
use crate::log_head::read_head;

/// The task of a consumer. If it is dropped, the consumer ends in the background.
pub struct ConsumerTask {
    handle: ConsumerHandle,
    /// Its end requests the end of the task.
    shutdown: watch::Sender<bool>,
    task: AbortHandle,
}

impl ConsumerTask {
    /// Starts the task.
    pub fn start(context: ConsumerContext) -> Self {
        let context = Arc::new(context);
        let observer = context.observer();
        if let Some(model) = context.read_model() {
            model.started(observer.clone());
        }
        let shutdown = watch::Sender::new(false);
        let handle = ConsumerHandle {
            status: context.status.watch(),
            context: context.clone(),
            observer,
        };
        let task = tokio::spawn(Supervisor::new(context).run(shutdown.subscribe()));
        Self {
            handle,
            shutdown,
            task: task.abort_handle(),
        }
    }

    /// Returns the handle of the consumer.
    pub fn handle(&self) -> &ConsumerHandle {
        &self.handle
    }

    /// Requests the end of the task, after the current batch.
    pub fn shut_down(&self) {
        self.shutdown.send_replace(true);
    }

    /// Waits until the task has ended.
    pub async fn ended(&self) {
        self.handle.observer.ended().await;
    }

    /// Ends the task within its current batch. User code that never yields continues to run.
    pub fn abort(&self) {
        self.handle.context.aborted.send_replace(true);
        self.task.abort();
    }
}

impl Drop for ConsumerTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Observes and controls one consumer: a projection, a process manager or an event handler.
///
/// It is cheap to clone. Requests apply to every node that runs the consumer; those of a read model in
/// memory apply to this node.
#[derive(Clone)]
pub struct ConsumerHandle {
    context: Arc<ConsumerContext>,
    status: watch::Receiver<ConsumerStatus>,
    observer: ConsumerObserver,
}

impl ConsumerHandle {
    /// Returns the name of the consumer.
    #[must_use]
    pub fn name(&self) -> &str {
        self.context.name()
    }

    /// Returns the current status.
    #[must_use]
    pub fn status(&self) -> ConsumerStatus {
        self.status.borrow().clone()
    }

    /// Returns a receiver of the status, now and after each change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ConsumerStatus> {
        self.status.clone()
    }

    /// Waits until the consumer has processed the events that are stored now, on this node or another.
    ///
    /// # Errors
    /// Returns [`ControlError::Wait`] if the consumer has stopped, and [`ControlError::Store`] if the store fails.
    pub async fn wait_until_caught_up(&self) -> Result<(), ControlError> {
        let head = read_head(&*self.context.store).await?;
        Ok(self.wait_for(head).await?)
    }

    /// Waits until the consumer has processed every event up to `position`, on this node or another.
    ///
    /// To read your own write, wait for the position of its receipt, or call
    /// [`and_wait`](factum_engine::engine::Execute::and_wait). With position 0, the call waits until there is a read
    /// model.
    ///
    /// # Errors
    /// Returns [`WaitError`] if the consumer has stopped, or if the log does not have the position.
    pub async fn wait_for(&self, position: Position) -> Result<(), WaitError> {
        self.observer.check_position(position).await?;
        let reached = |status: &ConsumerStatus| status.readable && status.position >= position;
        self.wait_until(reached, ConsumerStatus::is_stopped).await
    }

    /// Waits until `done` returns `true` for the status.
    ///
    /// Returns an error as soon as `failed` returns `true`.
    pub async fn wait_until(
        &self,
        done: impl Fn(&ConsumerStatus) -> bool,
        failed: impl Fn(&ConsumerStatus) -> bool,
    ) -> Result<(), WaitError> {
        let mut status = self.status.clone();
        let waiter = self.context.waiters.add();
        let is_over = |status: &ConsumerStatus| done(status) || failed(status);
        let mut ended = self.context.ended.subscribe();
        tokio::select! {
            biased;
            _ = status.wait_for(is_over) => {}
            // The context keeps the sender.
            _ = ended.wait_for(|ended| *ended) => {}
        }
        drop(waiter);
        let status = self.status.borrow().clone();
        match done(&status) {
            true => Ok(()),
            false => Err(status.wait_error()),
        }
    }

    /// Pauses the consumer on every node until [`resume`](Self::resume).
    ///
    /// When the call returns, no event is being processed.
    ///
    /// # Errors
    /// Returns [`WaitError::ShutDown`] if the runtime was stopped, or [`ControlError::Store`] if the store fails.
    pub async fn pause(&self) -> Result<(), ControlError> {
        let mut builds = Vec::new();
        self.request(|control| {
            control.paused = true;
            builds.clone_from(&control.builds);
        })
        .await?;
        // Other nodes would read the request only at their next poll.
        let context = &*self.context;
        Ok(lease::interrupt(&*context.documents, context.name(), &builds).await?)
    }

    /// Resumes the paused or stopped consumer at its checkpoint.
    ///
    /// # Errors
    /// Returns [`WaitError::ShutDown`] if the runtime was stopped, or [`ControlError::Store`] if the store fails.
    pub async fn resume(&self) -> Result<(), ControlError> {
        let mut request = 0;
        self.request(|control| {
            control.paused = false;
            control.resumed += 1;
            request = control.resumed;
        })
        .await?;
        self.context.record_resume(request);
        self.context.status.clear_failures();
        Ok(())
    }

    /// Returns the events that the consumer could not process, including skipped and discarded events.
    ///
    /// The dead letters of the active build are first, followed by those of the build that will replace it. Each list
    /// is ordered by position.
    ///
    /// # Errors
    /// Returns [`ControlError::Store`] if the store fails.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, ControlError> {
        let read = control::read(&*self.context.documents, self.name()).await?;
        let mut letters = Vec::new();
        for build in self.current_builds(&read.control) {
            letters.extend(self.context.dead_letters(build).list().await?);
        }
        Ok(letters)
    }

    /// Requests a retry of all dead letters, each stream in order.
    ///
    /// The node that processes the partition retries them.
    ///
    /// The call returns before the retry. [`dead_letters`](Self::dead_letters) shows the result. An event that succeeds is no longer a dead letter. A stream continues when it has no more dead letters.
    ///
    /// # Errors
    /// Returns [`ControlError::Store`] if the store fails.
    pub async fn retry_all(&self) -> Result<(), ControlError> {
        self.request(|control| control.retries += 1).await
    }

    /// Requests a retry of the dead letter at `position`.
    ///
    /// All other dead letters of its stream are retried with it, in order.
    ///
    /// The call returns before the retry. [`dead_letters`](Self::dead_letters) shows the result.
    ///
    /// # Errors
    /// Returns [`ControlError::NotDeadLettered`], or [`ControlError::Store`] if the store fails.
    pub async fn retry(&self, position: Position) -> Result<(), ControlError> {
        self.change_dead_letter(position, None).await
    }

    /// Discards the dead letter at `position` for this reason.
    ///
    /// The event has no effect. The later dead letters of its stream are retried.
    ///
    /// # Errors
    /// Returns [`ControlError::NotDeadLettered`], or [`ControlError::Store`] if the store fails.
    pub async fn discard(
        &self,
        position: Position,
        reason: impl Into<String>,
    ) -> Result<(), ControlError> {
        let reason = reason.into();
        self.change_dead_letter(position, Some(&reason)).await
    }

    /// Checks that the consumer runs on this node, so that a request is carried out.
    fn check_running(&self) -> Result<(), WaitError> {
        match self.observer.has_ended() {
            true => Err(self.observer.error()),
            false => Ok(()),
        }
    }

    /// Discards or retries a dead letter in each build.
    ///
    /// The dead letters and the control document change together, so that no blocked event is overlooked.
    async fn change_dead_letter(
        &self,
        position: Position,
        discard: Option<&str>,
    ) -> Result<(), ControlError> {
        self.check_running()?;
        let context = &*self.context;
        let (name, documents) = (context.name(), &*context.documents);
        loop {
            let read = control::read(documents, name).await?;
            let mut changes = DocumentChanges::new();
            for build in self.current_builds(&read.control) {
                let letters = context.dead_letters(build);
                let changed = match discard {
                    Some(reason) => letters.discard(position, reason).await?,
                    None => letters.request_retry(position).await?,
                };
                changes = changes.with(changed.unwrap_or_default());
            }
            if changes.is_empty() {
                let name = name.to_owned();
                return Err(ControlError::NotDeadLettered { name, position });
            }
            let mut control = read.control.clone();
            control.dead_letter_changes += 1;
            let changes = changes.with(control::change(name, &read, &control)?);
            match documents.change_documents(changes).await {
                Ok(_) => break,
                // The dead letter was retried meanwhile, or another request was made: read the documents again.
                Err(DocumentError::RevisionConflict { .. }) => {}
                Err(error) => return Err(error.into_store_error().into()),
            }
        }
        context.control_changed.notify_one();
        Ok(())
    }

    /// Changes the control document.
    #[doc(hidden)]
    pub async fn request(&self, mut request: impl FnMut(&mut Control)) -> Result<(), ControlError> {
        self.check_running()?;
        let context = &*self.context;
        let edited = control::edit(&*context.documents, context.name(), |control| {
            request(control);
            Ok::<_, StoreError>(true)
        });
        edited.await?;
        context.control_changed.notify_one();
        Ok(())
    }

    /// Returns the numbers of the active build and of its replacement.
    fn current_builds(&self, control: &Control) -> Vec<u64> {
        let replacement = control.replacement(self.context.version());
        let replacement = replacement.map(|build| build.number);
        control.active.into_iter().chain(replacement).collect()
    }

    /// Returns the context of the consumer.
    #[doc(hidden)]
    pub fn context(&self) -> &Arc<ConsumerContext> {
        &self.context
    }
}

impl WaitForPosition for ConsumerHandle {
    type Error = WaitError;

    async fn wait_for(&self, position: Position) -> Result<(), WaitError> {
        Self::wait_for(self, position).await
    }
}

impl std::fmt::Debug for ConsumerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ConsumerHandle")
            .field(&self.status())
            .finish()
    }
}
