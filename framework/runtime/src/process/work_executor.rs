//! [`WorkExecutor`]: sends one command or fires one deadline, and stores the result or the failure.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use factum_core::document::{
    DocumentChanges, DocumentError, DocumentStore, Revision, encode_document,
};
use factum_core::error::{StoreError, error_chain};
use factum_core::timestamp::Timestamp;
use factum_engine::clock::{Clock, SharedClock};
use factum_engine::engine::Engine;
use factum_engine::process::instance::{
    InstanceKeys, InstanceWork, PendingCommand, ProcessInstance, Timer,
};
use factum_engine::process::{CommandEnvelope, CommandOutcome, CommandRoute, Rejection};
use tracing::{Instrument as _, debug, debug_span, info, warn};

use super::backoff::Backoff;
use super::definition::ProcessDefinition;
use super::dispatch_error::DispatchError;
use super::documents::{Changed, find_instance, try_change};
use super::failed_delivery::FailedDelivery;
use super::fence::Fence;
use super::reaction_error::ReactionError;
use super::report::WorkReport;
use super::signals::Signals;
use crate::failure_log::FailureLog;
use crate::metrics::{WorkOutcome, record_deadline, record_process_work};

/// The number of commands of an instance that are executed before the instance is stored.
///
/// Of more than twice as many, half of the commands are executed, so that the stored bytes are linear in their number.
const MIN_COMMANDS: usize = 32;
/// The time after which an instance is stored although half of its commands are not executed yet.
const MAX_TIME: Duration = Duration::from_secs(1);

/// Executes the next commands of an instance, or handles one deadline.
pub struct WorkExecutor<'a> {
    /// The process manager.
    pub definition: &'a dyn ProcessDefinition,
    /// The keys of its documents.
    pub keys: &'a InstanceKeys,
    /// The engine that executes commands.
    pub engine: &'a Engine,
    /// The clock of deadlines.
    pub clock: &'a SharedClock,
    /// The tasks of the process manager.
    pub signals: &'a Signals,
    /// The instances that are not retried for a while.
    pub backoff: &'a Backoff,
    /// The metrics of failed work.
    pub report: &'a WorkReport,
    /// The failures of commands while the store is unavailable.
    pub failures: &'a FailureLog,
    /// The fencing token of the dispatcher.
    pub fence: &'a Fence,
}

/// A command that needs newer code.
pub struct NeedsNewerCode {
    /// The number of the work item.
    pub number: u64,
    /// The reason.
    pub error: String,
}

/// The result of an edit of an instance.
enum Edited {
    /// The instance was stored.
    Stored,
    /// The work item does not exist any more.
    Obsolete,
    /// The code of the process manager failed.
    Failed(String),
}

/// The result of a command that is not sent again.
enum Delivered {
    /// It was executed now. Without a fencing token, its append has removed the work.
    Now,
    /// It was executed before.
    Before,
    /// The domain rejected it, with this error.
    Rejected(String),
}

/// A failure of a work item.
struct WorkFailure {
    error: String,
    is_permanent: bool,
}

impl WorkExecutor<'_> {
    fn documents(&self) -> &dyn DocumentStore {
        &**self.engine.store()
    }

    /// Executes a command of an instance that was read at `revision`, and stores the result.
    pub async fn command(
        &self,
        revision: Revision,
        instance: &ProcessInstance,
        pending: PendingCommand,
    ) -> Result<Option<NeedsNewerCode>, DispatchError> {
        let (process, id) = (self.definition.name(), &*instance.id);
        let span = debug_span!(
            "command",
            process,
            instance = id,
            command = pending.command,
            trace_parent = pending.cause.trace_parent(),
        );
        let delivered = self.deliver(revision, instance, pending);
        delivered.instrument(span).await
    }

    async fn deliver(
        &self,
        revision: Revision,
        instance: &ProcessInstance,
        mut pending: PendingCommand,
    ) -> Result<Option<NeedsNewerCode>, DispatchError> {
        let id = &*instance.id;
        let (mut rest, mut executed) = (Cow::Borrowed(instance), Vec::new());
        let (started, half) = (Instant::now(), instance.outbox.len() / 2);
        let outcome = loop {
            let outcome = match self.current_form(id, &pending) {
                Ok((route, current)) => {
                    pending = current;
                    self.execute(revision, &rest, route, &pending).await?
                }
                Err(outcome) => outcome,
            };
            let is_executed = matches!(outcome, CommandOutcome::Done | CommandOutcome::Repeated);
            if !is_executed || !self.fence.has_token() {
                break outcome;
            }
            rest.to_mut().remove_work(pending.number);
            executed.push(pending);
            match rest.next_work() {
                Some((at, InstanceWork::Command(next)))
                    if at <= self.clock.now()
                        && (executed.len() < MIN_COMMANDS
                            || (executed.len() < half && started.elapsed() < MAX_TIME)) =>
                {
                    pending = next;
                }
                _ => {
                    self.store_executed(id, executed).await?;
                    return Ok(None);
                }
            }
        };
        self.store_executed(id, executed).await?;
        let number = pending.number;
        let failure = match outcome {
            CommandOutcome::Done => return self.resolve(id, pending, Delivered::Now).await,
            CommandOutcome::Repeated => {
                return self.resolve(id, pending, Delivered::Before).await;
            }
            CommandOutcome::Rejected(error) => {
                return self.resolve(id, pending, Delivered::Rejected(error)).await;
            }
            // Another dispatcher was faster.
            CommandOutcome::Superseded if self.fence.has_token() => {
                return Err(DispatchError::Fenced);
            }
            CommandOutcome::Superseded => {
                self.finished(id);
                return Err(DispatchError::Conflict);
            }
            // Later work must not be done first.
            CommandOutcome::Unavailable(error) if self.definition.are_decision_deadlines() => {
                return Err(StoreError::Unavailable(error.into()).into());
            }
            CommandOutcome::Unavailable(error) => {
                if self.failures.failed() {
                    warn!(instance = id, error, "store unavailable, retrying");
                }
                self.backoff.pause(id, number);
                return Ok(None);
            }
            CommandOutcome::NewerSchema(error) => {
                return Ok(Some(NeedsNewerCode { number, error }));
            }
            CommandOutcome::Failed(error) => WorkFailure {
                error,
                is_permanent: false,
            },
            CommandOutcome::Unreadable(error) => WorkFailure {
                error,
                is_permanent: true,
            },
        };
        self.fail(id, InstanceWork::Command(pending), failure)
            .await?;
        Ok(None)
    }

    /// Stores that these commands of an instance were executed.
    ///
    /// An instance with many commands is a large document, so it is not stored for each of them. A node that fails
    /// before executes them again, which has no effect because of their idempotency keys.
    async fn store_executed(
        &self,
        id: &str,
        executed: Vec<PendingCommand>,
    ) -> Result<(), DispatchError> {
        let Some(first) = executed.first() else {
            return Ok(());
        };
        let edited = self.edit(id, first.number, |instance| {
            for command in &executed {
                instance.remove_work(command.number);
            }
            Ok(())
        });
        match edited.await? {
            Edited::Stored => {
                for command in &executed {
                    self.record_delivery(id, command, None);
                }
                Ok(())
            }
            Edited::Obsolete => Ok(()),
            Edited::Failed(error) => {
                let failure = WorkFailure {
                    error,
                    is_permanent: false,
                };
                let work = InstanceWork::Command(first.clone());
                self.fail(id, work, failure).await
            }
        }
    }

    /// Stores that the command was executed or rejected.
    async fn resolve(
        &self,
        id: &str,
        pending: PendingCommand,
        delivered: Delivered,
    ) -> Result<Option<NeedsNewerCode>, DispatchError> {
        let number = pending.number;
        let has_removed_work = matches!(delivered, Delivered::Now) && !self.fence.has_token();
        let rejection = match delivered {
            Delivered::Now | Delivered::Before => None,
            Delivered::Rejected(error) => {
                let (command, body) = (pending.command.clone(), pending.body.clone());
                Some(Rejection::new(command, body, error, pending.cause.at))
            }
        };
        let edited = self.edit(id, number, |instance| {
            instance.remove_work(number);
            match &rejection {
                Some(rejection) => self
                    .definition
                    .rejected(instance, rejection, &pending.cause),
                None => Ok(()),
            }
        });
        match edited.await? {
            Edited::Failed(error) => {
                let failure = WorkFailure {
                    error,
                    is_permanent: false,
                };
                self.fail(id, InstanceWork::Command(pending), failure)
                    .await?;
            }
            // Another node has executed or rejected the command.
            Edited::Obsolete if !has_removed_work => {}
            Edited::Stored | Edited::Obsolete => self.record_delivery(id, &pending, rejection),
        }
        Ok(None)
    }

    fn record_delivery(&self, id: &str, pending: &PendingCommand, rejection: Option<Rejection>) {
        let outcome = match rejection {
            None => WorkOutcome::Done,
            Some(_) => WorkOutcome::Rejected,
        };
        record_process_work(self.definition.name(), outcome);
        if self.definition.are_decision_deadlines() {
            record_deadline(self.definition.name(), pending.cause.at, self.clock.now());
        }
        self.finished(id);
        let (process, command) = (self.definition.name(), &pending.command);
        match rejection.map(|it| it.error) {
            // No process manager reacts to it.
            Some(error) if !self.fence.has_token() => {
                warn!(process, instance = id, command, error, "command rejected");
            }
            rejected => debug!(instance = id, command, ?rejected, "command delivered"),
        }
    }

    /// Records that work of the instance is finished.
    fn finished(&self, id: &str) {
        if let Some(outage) = self.failures.recovered() {
            info!(?outage, "store available, commands are executed again");
        }
        self.backoff.remove(id);
        self.signals.record_progress();
    }

    /// Returns the command in its current schema version, and the route that executes it.
    ///
    /// Returns the outcome if the command cannot be executed.
    fn current_form(
        &self,
        id: &str,
        pending: &PendingCommand,
    ) -> Result<(CommandRoute, PendingCommand), CommandOutcome> {
        let Some(route) = self.definition.route(id, &pending.command) else {
            return Err(match self.definition.are_decision_deadlines() {
                true => CommandOutcome::Superseded,
                false => CommandOutcome::Unreadable(format!(
                    "this code has no command {:?}",
                    pending.command
                )),
            });
        };
        let current = PendingCommand {
            body: route.upcast_body(pending.version, &pending.body)?,
            version: route.version,
            ..pending.clone()
        };
        Ok((route, current))
    }

    async fn execute(
        &self,
        revision: Revision,
        instance: &ProcessInstance,
        route: CommandRoute,
        pending: &PendingCommand,
    ) -> Result<CommandOutcome, StoreError> {
        let id = &*instance.id;
        // A command that another dispatcher has found rejected must not be executed here.
        let changes = if self.fence.has_token() {
            self.fence.require(DocumentChanges::new())
        } else {
            let mut done = instance.clone();
            done.remove_work(pending.number);
            done.store(self.keys, revision)?
        };
        let envelope = CommandEnvelope {
            metadata: pending.cause.metadata(&self.definition.actor(id)),
            key: self.definition.idempotency_key(id, pending),
            changes,
        };
        Ok((route.run)(self.engine.clone(), pending.body.clone(), envelope).await)
    }

    /// Handles a deadline of an instance.
    pub async fn deadline(
        &self,
        id: &str,
        name: &str,
        timer: &Timer,
        now: Timestamp,
    ) -> Result<(), DispatchError> {
        let process = self.definition.name();
        let span = debug_span!(
            "deadline",
            process,
            instance = id,
            deadline = name,
            trace_parent = timer.cause.trace_parent(),
        );
        let handled = async {
            let edited = self.edit(id, timer.number, |instance| {
                self.definition.deadline(instance, name, timer, now)
            });
            match edited.await? {
                Edited::Stored => {
                    record_deadline(process, timer.due, now);
                    debug!(instance = id, deadline = name, "deadline handled");
                    Ok(())
                }
                Edited::Obsolete => Ok(()),
                Edited::Failed(error) => {
                    let work = InstanceWork::Deadline(name.to_owned(), timer.clone());
                    let failure = WorkFailure {
                        error,
                        is_permanent: false,
                    };
                    self.fail(id, work, failure).await
                }
            }
        };
        handled.instrument(span).await
    }

    /// Edits an instance, if it still has the work item `number`.
    ///
    /// The edit is repeated if an event has changed the instance meanwhile.
    async fn edit(
        &self,
        id: &str,
        number: u64,
        edit: impl Fn(&mut ProcessInstance) -> Result<(), ReactionError>,
    ) -> Result<Edited, DispatchError> {
        loop {
            let found = find_instance(self.documents(), self.keys, id).await?;
            let Some((revision, mut instance)) = found.filter(|(_, it)| it.has_work(number)) else {
                return Ok(Edited::Obsolete);
            };
            if let Err(error) = edit(&mut instance) {
                return Ok(Edited::Failed(error_chain(&error)));
            }
            let changes = self.fence.require(instance.store(self.keys, revision)?);
            match self.documents().change_documents(changes).await {
                Ok(_) => {
                    self.finished(id);
                    return Ok(Edited::Stored);
                }
                Err(DocumentError::RevisionConflict { key, .. }) if self.fence.is_token(&key) => {
                    return Err(DispatchError::Fenced);
                }
                Err(DocumentError::RevisionConflict { .. }) => {}
                Err(DocumentError::Invalid(invalid)) => {
                    return Ok(Edited::Failed(invalid.to_string()));
                }
                Err(error) => return Err(error.into_store_error().into()),
            }
        }
    }

    /// Retries the work later, or stores it as a failed delivery after the last attempt.
    async fn fail(
        &self,
        id: &str,
        work: InstanceWork,
        failure: WorkFailure,
    ) -> Result<(), DispatchError> {
        let WorkFailure {
            error,
            is_permanent,
        } = failure;
        let attempts = self.backoff.record_attempt(id, work.number());
        if !is_permanent && attempts < self.backoff.max_attempts() {
            warn!(instance = id, error, attempts, "work failed, retrying");
            self.backoff.pause(id, work.number());
            return Ok(());
        }
        warn!(
            instance = id,
            error, attempts, "work failed permanently; retry or discard it"
        );
        let is_command = matches!(work, InstanceWork::Command(_));
        let failed = FailedDelivery::new(id, work, error, attempts);
        if self.store_failed(&failed).await? {
            if is_command {
                record_process_work(self.definition.name(), WorkOutcome::Failed);
            }
            self.report.report_one_more_failed().await;
        }
        self.finished(id);
        Ok(())
    }

    /// Stores a failed delivery; returns `false` if the work item does not exist any more.
    async fn store_failed(&self, failed: &FailedDelivery) -> Result<bool, DispatchError> {
        let (id, number) = (&*failed.instance, failed.number);
        let key = self.keys.failed_delivery(id, number);
        loop {
            let found = find_instance(self.documents(), self.keys, id).await?;
            let Some((revision, mut instance)) = found.filter(|(_, it)| it.has_work(number)) else {
                return Ok(false);
            };
            instance.failed.insert(number);
            let changes = instance.store(self.keys, revision)?;
            let changes = self
                .fence
                .require(changes.put(&key, encode_document(failed)?));
            match try_change(self.documents(), changes).await? {
                Changed::Yes(_) => return Ok(true),
                Changed::Conflict(key) if self.fence.is_token(&key) => {
                    return Err(DispatchError::Fenced);
                }
                Changed::Conflict(_) => {}
            }
        }
    }
}
