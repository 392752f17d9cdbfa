//! What a [`Dispatcher`] does with one piece of work: execute, respond, try again, give up.

use tracing::{Instrument as _, debug, debug_span, warn};
use uuid::Uuid;

use super::dispatcher::{Dispatcher, Fence, Left, change};
use super::failed_deliveries::FailedDelivery;
use crate::metrics::{WorkOutcome, deadline_passed, process_worked};
use factum_core::append::MAX_IDEMPOTENCY_KEY;
use factum_core::document::{DocumentChanges, InvalidDocumentChanges, Revision, encode_document};
use factum_core::timestamp::Timestamp;
use factum_engine::error::StoreError;
use factum_engine::process::instance::{Instance, Pending, Work};
use factum_engine::process::{Envelope, Outcome, Rejection, Route};

/// How an edit of an instance went.
enum Edited {
    /// It is kept.
    Kept,
    /// It was not needed any more.
    Needless,
    /// The process manager's own code failed.
    Fault(String),
}

impl Dispatcher {
    /// Executes the command, and keeps what became of it.
    pub async fn command(
        &self,
        (revision, instance): (Revision, &Instance),
        pending: Pending,
        fence: &Fence,
    ) -> Result<(), Left> {
        let (process, id) = (self.logic.name(), &*instance.id);
        let span = debug_span!("command", process, instance = id, command = pending.command);
        let delivered = self.deliver((revision, instance), pending, fence);
        delivered.instrument(span).await
    }

    async fn deliver(
        &self,
        (revision, instance): (Revision, &Instance),
        pending: Pending,
        fence: &Fence,
    ) -> Result<(), Left> {
        let (id, number) = (&*instance.id, pending.number);
        let (pending, outcome) = match self.today(id, &pending) {
            Ok((route, pending)) => {
                let run = self.execute((revision, instance), (route, &pending), fence);
                let outcome = run.await?;
                (pending, outcome)
            }
            Err(outcome) => (pending, outcome),
        };
        match outcome {
            Outcome::Done => self.settle(id, (pending, None), fence).await,
            Outcome::Rejected(error) => self.settle(id, (pending, Some(error)), fence).await,
            // Somebody was first, and whoever looks again sees what is left to do.
            Outcome::Overtaken if fence.is_made() => Err(Left::Lost),
            Outcome::Overtaken => {
                self.is_over(id);
                Err(Left::Busy)
            }
            // What is due behind it must not come before it.
            Outcome::Away(error) if self.logic.is_set_by_appends() => {
                Err(StoreError::Unavailable(error.into()).into())
            }
            Outcome::Away(error) => {
                warn!(instance = id, error, "the store is not there, trying again");
                self.pause(id, self.failed_before(id, number));
                Ok(())
            }
            Outcome::Failed(error) => {
                let work = Work::Command(pending);
                self.fail((id, fence), work, (error, false)).await
            }
            Outcome::Unreadable(error) => {
                let work = Work::Command(pending);
                self.fail((id, fence), work, (error, true)).await
            }
            Outcome::Newer(error) => {
                self.leave_to_newer((id, number), &error);
                Ok(())
            }
        }
    }

    /// Keeps that the command has happened, or was rejected with this error.
    async fn settle(
        &self,
        id: &str,
        (pending, rejected): (Pending, Option<String>),
        fence: &Fence,
    ) -> Result<(), Left> {
        let number = pending.number;
        let rejection = rejected.map(|error| {
            let (command, body) = (pending.command.clone(), pending.body.clone());
            Rejection::new(command, body, error, pending.cause.at)
        });
        let settled = self.edit((id, number), fence, |instance| {
            instance.settle(number);
            match &rejection {
                Some(rejection) => self.logic.rejected(instance, rejection, &pending.cause),
                None => Ok(()),
            }
        });
        match settled.await? {
            Edited::Fault(error) => {
                let work = Work::Command(pending);
                self.fail((id, fence), work, (error, false)).await
            }
            // The command of a deadline that a decision has set takes it along.
            Edited::Needless if !self.logic.is_set_by_appends() => Ok(()),
            Edited::Kept | Edited::Needless => {
                self.delivered((id, &pending), rejection);
                Ok(())
            }
        }
    }

    fn delivered(&self, (id, pending): (&str, &Pending), rejection: Option<Rejection>) {
        let outcome = match rejection {
            None => WorkOutcome::Done,
            Some(_) => WorkOutcome::Rejected,
        };
        process_worked(self.logic.name(), outcome);
        if self.logic.is_set_by_appends() {
            deadline_passed(self.logic.name(), pending.cause.at, self.clock.now());
        }
        self.is_over(id);
        let rejected = rejection.map(|it| it.error);
        debug!(
            instance = id,
            command = pending.command,
            ?rejected,
            "delivered"
        );
    }

    fn is_over(&self, id: &str) {
        self.works_again(id);
        self.signals.progress();
    }

    /// The command in today's form, and how it is executed; or why it is not.
    fn today(&self, id: &str, pending: &Pending) -> Result<(Route, Pending), Outcome> {
        let Some(route) = self.logic.route(id, &pending.command) else {
            return Err(match self.logic.is_set_by_appends() {
                true => Outcome::Overtaken,
                false => Outcome::Unreadable(format!("nothing sends {} any more", pending.command)),
            });
        };
        let today = Pending {
            body: route.bring_up(pending.version, &pending.body)?,
            version: route.version,
            ..pending.clone()
        };
        Ok((route, today))
    }

    async fn execute(
        &self,
        (revision, instance): (Revision, &Instance),
        (route, pending): (Route, &Pending),
        fence: &Fence,
    ) -> Result<Outcome, StoreError> {
        let id = &*instance.id;
        // What another dispatcher has found rejected must not happen here.
        let mut consumes = fence.require(DocumentChanges::new());
        if self.logic.is_set_by_appends() {
            let mut done = instance.clone();
            done.settle(pending.number);
            consumes = done.keep(&self.keys, revision)?;
        }
        let envelope = Envelope {
            metadata: pending.cause.metadata(&self.logic.actor(id)),
            key: short(self.logic.key(id, pending)),
            consumes,
        };
        Ok((route.run)(self.engine.clone(), pending.body.clone(), envelope).await)
    }

    /// Lets a deadline pass.
    pub async fn deadline(
        &self,
        id: &str,
        work: Work,
        (fence, now): (&Fence, Timestamp),
    ) -> Result<(), Left> {
        let Work::Deadline(deadline, _) = &work else {
            return Ok(());
        };
        let process = self.logic.name();
        let span = debug_span!("deadline", process, instance = id, deadline);
        let passed = self.pass(id, work, (fence, now));
        passed.instrument(span).await
    }

    async fn pass(
        &self,
        id: &str,
        work: Work,
        (fence, now): (&Fence, Timestamp),
    ) -> Result<(), Left> {
        let Work::Deadline(name, timer) = &work else {
            return Ok(());
        };
        let passed = self.edit((id, timer.number), fence, |instance| {
            self.logic.deadline(instance, (name, timer), now)
        });
        match passed.await? {
            Edited::Kept => {
                deadline_passed(self.logic.name(), timer.due, now);
                debug!(instance = id, deadline = name, "passed");
                Ok(())
            }
            Edited::Needless => Ok(()),
            Edited::Fault(error) => self.fail((id, fence), work, (error, false)).await,
        }
    }

    /// Edits an instance as long as it has the work `number`, again whenever its events were faster.
    async fn edit(
        &self,
        (id, number): (&str, u64),
        fence: &Fence,
        edit: impl Fn(&mut Instance) -> Result<(), String>,
    ) -> Result<Edited, Left> {
        loop {
            let Some((revision, mut instance)) = self.find(id).await? else {
                return Ok(Edited::Needless);
            };
            if !instance.has(number) {
                return Ok(Edited::Needless);
            }
            if let Err(fault) = edit(&mut instance) {
                return Ok(Edited::Fault(fault));
            }
            let changes = fence.require(instance.keep(&self.keys, revision)?);
            let changed = match change(self.documents(), changes).await {
                Err(StoreError::Failed(invalid)) if invalid.is::<InvalidDocumentChanges>() => {
                    return Ok(Edited::Fault(invalid.to_string()));
                }
                changed => changed?,
            };
            match changed {
                Ok(_) => {
                    self.is_over(id);
                    return Ok(Edited::Kept);
                }
                Err(key) if fence.is(&key) => return Err(Left::Lost),
                Err(_) => {}
            }
        }
    }

    /// Something failed: later again, or, after the attempts of the policy, when somebody says so.
    async fn fail(
        &self,
        (id, fence): (&str, &Fence),
        work: Work,
        (error, hopeless): (String, bool),
    ) -> Result<(), Left> {
        let mut failing = self.failed_before(id, work.number());
        failing.attempts += 1;
        let attempts = failing.attempts;
        if !hopeless && attempts < self.retry.attempts {
            warn!(instance = id, error, attempts, "trying again");
            self.pause(id, failing);
            return Ok(());
        }
        warn!(
            instance = id,
            error, attempts, "given up, until somebody says otherwise"
        );
        let is_command = matches!(work, Work::Command(_));
        let letter = FailedDelivery::new(id, work, (error, attempts));
        if self.give_up(&letter, fence).await? {
            if is_command {
                process_worked(self.logic.name(), WorkOutcome::Failed);
            }
            self.tell_parked_more().await;
        }
        self.is_over(id);
        Ok(())
    }

    /// `false`: it was not wanted any more.
    async fn give_up(&self, letter: &FailedDelivery, fence: &Fence) -> Result<bool, Left> {
        let key = self.keys.dead(&letter.instance, letter.number);
        loop {
            let found = self.find(&letter.instance).await?;
            let Some((revision, mut instance)) = found.filter(|(_, it)| it.has(letter.number))
            else {
                return Ok(false);
            };
            instance.dead.insert(letter.number);
            let changes: DocumentChanges = instance
                .keep(&self.keys, revision)?
                .put(&key, encode_document(letter)?);
            match change(self.documents(), fence.require(changes)).await? {
                Ok(_) => return Ok(true),
                Err(key) if fence.is(&key) => return Err(Left::Lost),
                Err(_) => {}
            }
        }
    }
}

/// The key, or what stands for it where it is too long.
fn short(key: String) -> String {
    if key.len() <= MAX_IDEMPOTENCY_KEY {
        return key;
    }
    let namespace = Uuid::from_u128(0x6d0e_4f6c_5f0e_4b0e_9d0a_2c5a_8f1c_7e31);
    Uuid::new_v5(&namespace, key.as_bytes()).to_string()
}
