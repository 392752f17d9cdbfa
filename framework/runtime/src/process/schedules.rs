//! [`Schedules`]: all schedules, as one process manager without events. Each schedule is an instance with one deadline.

use std::borrow::Cow;
use std::collections::BTreeMap;

use factum_core::document::{DocumentStore, Revision};
use factum_core::error::StoreError;
use factum_core::timestamp::Timestamp;
use factum_engine::error::error_chain;
use factum_engine::process::instance::{
    Cause, DueEntry, InstanceKeys, PendingCommand, ProcessInstance, Timer,
};
use factum_engine::process::{CommandRoute, ProcessAction, Rejection};
use futures_util::future::BoxFuture;
use serde_json::json;

use super::definition::ProcessDefinition;
use super::documents::{find_instance, try_change};
use super::reaction_error::ReactionError;
use super::schedule::Schedule;

/// The name of all schedules together, in metrics.
pub const SCHEDULES: &str = "schedules";

/// The name of the deadline of the next run.
const NEXT_RUN: &str = "next";

/// All schedules of a runtime.
pub struct Schedules(BTreeMap<String, Schedule>);

impl Schedules {
    /// Creates the process manager of these schedules.
    pub fn new(schedules: Vec<Schedule>) -> Self {
        let schedules = schedules.into_iter();
        Self(schedules.map(|it| (it.name().to_owned(), it)).collect())
    }

    /// Returns the keys of the documents. No process manager has such a name.
    pub fn keys() -> InstanceKeys {
        InstanceKeys::new("/schedules")
    }
}

/// Sets the first deadline of a schedule that is new or has changed.
async fn initialize(
    documents: &dyn DocumentStore,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<(), StoreError> {
    let keys = Schedules::keys();
    let state = json!({ "cron": schedule.expression() });
    loop {
        let found = find_instance(documents, &keys, schedule.name()).await?;
        let (revision, mut instance) =
            found.unwrap_or_else(|| (Revision::ABSENT, ProcessInstance::new(schedule.name())));
        if instance.state() == Some(&state) {
            return Ok(());
        }
        instance.set_state(state.clone());
        instance.deadlines.clear();
        instance.add_actions(next_run(schedule, now), &Cause::none(now));
        let changes = instance.store(&keys, revision)?;
        if try_change(documents, changes).await?.is_yes() {
            return Ok(());
        }
    }
}

/// Returns the action that sets the deadline of the next run.
fn next_run(schedule: &Schedule, after: Timestamp) -> Vec<ProcessAction> {
    let next = schedule.next(after).map(|due| ProcessAction::SetDeadline {
        name: NEXT_RUN.to_owned(),
        due,
    });
    next.into_iter().collect()
}

impl ProcessDefinition for Schedules {
    fn name(&self) -> &'static str {
        SCHEDULES
    }

    fn actor<'a>(&'a self, instance: &'a str) -> Cow<'a, str> {
        instance.into()
    }

    fn can_execute(&self, entry: &DueEntry) -> bool {
        self.0.contains_key(&entry.id)
    }

    fn idempotency_key(&self, instance: &str, pending: &PendingCommand) -> String {
        format!("schedule/{instance}/{}", pending.cause.at)
    }

    fn initialize<'a>(
        &'a self,
        documents: &'a dyn DocumentStore,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            for schedule in self.0.values() {
                match initialize(documents, schedule, now).await {
                    Err(
                        error @ (StoreError::Failed(_)
                        | StoreError::Corrupt(_)
                        | StoreError::Denied(_)),
                    ) => {
                        let (schedule, error) = (schedule.name(), error_chain(&error));
                        tracing::warn!(schedule, error, "cannot start a schedule");
                    }
                    initialized => initialized?,
                }
            }
            Ok(())
        })
    }

    /// Returns `None`, too, for a command that the schedule sent when it had another command type.
    fn route(&self, instance: &str, name: &str) -> Option<CommandRoute> {
        let route = self.0.get(instance).map(Schedule::route);
        route.filter(|route| route.name == name)
    }

    fn deadline(
        &self,
        instance: &mut ProcessInstance,
        _: &str,
        timer: &Timer,
        now: Timestamp,
    ) -> Result<(), ReactionError> {
        let schedule = self.0.get(&instance.id);
        let schedule =
            schedule.ok_or_else(|| ReactionError::UnknownSchedule(instance.id.clone()))?;
        let due = schedule.run_at(timer.due, now);
        let body = schedule.command(due)?;
        let route = schedule.route();
        let mut actions = next_run(schedule, due);
        actions.push(ProcessAction::Send {
            command: route.name,
            version: route.version,
            body,
        });
        instance.remove_work(timer.number);
        instance.add_actions(actions, &Cause::none(due));
        Ok(())
    }

    fn rejected(
        &self,
        _: &mut ProcessInstance,
        _: &Rejection,
        _: &Cause,
    ) -> Result<(), ReactionError> {
        Ok(())
    }
}
