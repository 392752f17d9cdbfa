//! [`Schedule`]: a command again and again, at the times of a cron expression.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::SCHEDULES;
use super::dispatcher::{change, find};
use super::logic::Logic;
use factum_core::document::{DocumentStore, Revision};
use factum_core::timestamp::Timestamp;
use factum_engine::command::Decide;
use factum_engine::error::{StoreError, error_chain, panic_message};
use factum_engine::process::instance::{Cause, Due, Instance, Keys, Pending, Timer};
use factum_engine::process::{Order, Rejection, Route};

/// The deadline that stands for the next occurrence.
const NEXT: &str = "next";

/// A command again and again, at the times of a cron expression: minute, hour, day of the month, month, day of the week.
///
/// Each occurrence executes its command exactly once in effect, over restarts and over all instances of a program. A
/// new schedule begins when it is first started, and one whose expression has changed begins anew. A rejection ends the
/// occurrence, and is logged.
///
/// Times are in UTC, unless the expression ends with the name of another time zone: `"0 6 * * * Europe/Berlin"`. Where
/// clocks are set forward there, a time that is skipped does not occur on that day; where they are set back, one that
/// comes twice occurs twice. In UTC neither happens.
///
/// ```
/// # use factum::prelude::*;
/// use factum::process_managers::{MissedRuns, Schedule};
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum ReportEvent { Made }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "report", id = String, event = ReportEvent)]
/// # struct Report;
/// # impl Apply<ReportEvent> for Report { fn apply(&mut self, _: &ReportEvent) {} }
/// # #[derive(Command, Serialize, Deserialize)]
/// # #[command(on = Report)]
/// # struct MakeReport { #[id] day: String }
/// # impl Decide for MakeReport {
/// #     type Error = std::convert::Infallible;
/// #     fn decide(&self, _: &Report) -> Result<Events<ReportEvent>, Self::Error> { Ok(Events::none()) }
/// # }
///
/// let schedule = Schedule::cron("daily report", "0 6 * * *", |due| MakeReport { day: due.to_string() })?
///     .missed_runs(MissedRuns::All);
/// # Ok::<(), factum::process_managers::InvalidSchedule>(())
/// ```
#[derive(Clone)]
pub struct Schedule {
    name: String,
    cron: String,
    crontab: Crontab,
    missed: MissedRuns,
    command: Arc<dyn Fn(Timestamp) -> Result<Value, String> + Send + Sync>,
    route: Route,
}

/// What becomes of occurrences that nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MissedRuns {
    /// Of those missed the latest, and no other.
    #[default]
    Latest,
    /// Each of them, in order.
    All,
}

/// No schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schedule {name:?} ({cron}): {reason}")]
pub struct InvalidSchedule {
    /// Its name.
    pub name: String,
    /// The expression.
    pub cron: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Schedule {
    /// Executes, whenever `cron` says, what `command` makes of the time that is due. The name stands for the schedule
    /// over restarts: 1 to 128 bytes without control characters.
    ///
    /// # Errors
    /// [`InvalidSchedule`] if the name or the expression cannot be used.
    pub fn cron<C: Decide + DeserializeOwned>(
        name: impl Into<String>,
        cron: impl Into<String>,
        command: impl Fn(Timestamp) -> C + Send + Sync + 'static,
    ) -> Result<Self, InvalidSchedule> {
        let (name, cron) = (name.into(), cron.into());
        let invalid = |reason: String| InvalidSchedule {
            name: name.clone(),
            cron: cron.clone(),
            reason,
        };
        if name.is_empty() || name.len() > 128 || name.contains(char::is_control) {
            let rule = "a name has 1 to 128 bytes without control characters";
            return Err(invalid(rule.to_owned()));
        }
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let crontab = cronexpr::parse_crontab_with(&cron, options);
        let crontab = crontab.map_err(|error| invalid(error.to_string()))?;
        let encode = move |due| {
            let encoded = || serde_json::to_value(command(due));
            let encoded = catch_unwind(AssertUnwindSafe(encoded));
            let encoded = encoded.map_err(|panic| panic_message(&*panic))?;
            encoded.map_err(|error| format!("{}: {error}", C::NAME))
        };
        Ok(Self {
            crontab,
            missed: MissedRuns::default(),
            command: Arc::new(encode),
            route: Route::of::<C>(),
            name,
            cron,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What becomes of occurrences that nobody was there for. Default: the latest of them.
    #[must_use]
    pub fn missed_runs(mut self, missed: MissedRuns) -> Self {
        self.missed = missed;
        self
    }

    /// The first occurrence behind `time`; `None`: there is none any more.
    #[must_use]
    pub fn next(&self, time: Timestamp) -> Option<Timestamp> {
        let time = MakeTimestamp::from_microsecond(time.as_micros()).ok()?;
        let next = self.crontab.find_next(time).ok()?;
        Some(Timestamp::from_micros(next.timestamp().as_microsecond()))
    }

    /// The last occurrence up to `now`, where `due` is one.
    fn latest(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        let mut latest = due;
        // Looks back further and further, so that it takes few steps however long nobody was there.
        let mut back = Duration::from_secs(3_600);
        while back < now.since(due) {
            let from = Timestamp::from_micros(now.as_micros() - back.as_micros() as i64);
            if let Some(found) = self.next(from).filter(|found| *found <= now) {
                latest = found;
                break;
            }
            back *= 4;
        }
        while let Some(next) = self.next(latest).filter(|next| *next <= now) {
            latest = next;
        }
        latest
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("name", &self.name)
            .field("cron", &self.cron)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

/// All schedules, as one process manager that takes no events: each is an instance with one deadline.
pub struct Schedules {
    schedules: BTreeMap<String, Schedule>,
}

/// Under which keys schedules lie: process managers have none of that name.
pub fn keys() -> Keys {
    Keys::new("/schedules")
}

impl Schedules {
    pub fn new(schedules: Vec<Schedule>) -> Self {
        let schedules = schedules
            .into_iter()
            .map(|schedule| (schedule.name.clone(), schedule));
        Self {
            schedules: schedules.collect(),
        }
    }
}

/// Sets the first deadline of `schedule`, if it is new or has changed.
async fn begin(
    documents: &dyn DocumentStore,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<(), StoreError> {
    let keys = keys();
    let state = json!({ "cron": schedule.cron });
    loop {
        let found = find(documents, &keys, &schedule.name).await?;
        let (revision, mut instance) =
            found.unwrap_or_else(|| (Revision::ABSENT, Instance::new(&schedule.name)));
        if instance.state() == Some(&state) {
            return Ok(());
        }
        instance.live(state.clone());
        instance.deadlines.clear();
        instance.follow(schedule.set(now), &Cause::none(now));
        let changes = instance.keep(&keys, revision)?;
        if change(documents, changes).await?.is_ok() {
            return Ok(());
        }
    }
}

impl Schedule {
    /// Sets the deadline of the next occurrence.
    fn set(&self, behind: Timestamp) -> Vec<Order> {
        let next = self.next(behind).map(|due| Order::Deadline {
            name: NEXT.to_owned(),
            due,
        });
        next.into_iter().collect()
    }
}

impl Logic for Schedules {
    fn name(&self) -> &'static str {
        SCHEDULES
    }

    fn actor<'a>(&'a self, instance: &'a str) -> Cow<'a, str> {
        instance.into()
    }

    fn knows(&self, due: &Due) -> bool {
        self.schedules.contains_key(&due.id)
    }

    fn key(&self, instance: &str, pending: &Pending) -> String {
        format!("schedule/{instance}/{}", pending.cause.at)
    }

    fn begin<'a>(
        &'a self,
        documents: &'a dyn DocumentStore,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            for schedule in self.schedules.values() {
                match begin(documents, schedule, now).await {
                    Err(error @ (StoreError::Failed(_) | StoreError::Corrupt(_))) => {
                        let (schedule, error) = (&schedule.name, error_chain(&error));
                        tracing::warn!(schedule, error, "the schedule does not begin");
                    }
                    begun => begun?,
                }
            }
            Ok(())
        })
    }

    /// `None`, too, for what the schedule sent when it had a command of another type.
    fn route(&self, instance: &str, name: &str) -> Option<Route> {
        let route = self.schedules.get(instance).map(|schedule| schedule.route);
        route.filter(|route| route.name == name)
    }

    fn deadline(
        &self,
        instance: &mut Instance,
        (_, timer): (&str, &Timer),
        now: Timestamp,
    ) -> Result<(), String> {
        let schedule = self.schedules.get(&instance.id);
        let schedule = schedule.ok_or_else(|| "there is no such schedule".to_owned())?;
        let due = match schedule.missed {
            MissedRuns::Latest => schedule.latest(timer.due, now),
            MissedRuns::All => timer.due,
        };
        let body = (schedule.command)(due)?;
        let mut orders = schedule.set(due);
        orders.push(Order::Send {
            command: schedule.route.name,
            version: schedule.route.version,
            body,
        });
        instance.settle(timer.number);
        instance.follow(orders, &Cause::none(due));
        Ok(())
    }

    fn rejected(&self, _: &mut Instance, rejection: &Rejection, _: &Cause) -> Result<(), String> {
        tracing::warn!(
            command = rejection.command,
            error = rejection.error,
            "a scheduled command was rejected"
        );
        Ok(())
    }
}
