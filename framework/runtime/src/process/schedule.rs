//! [`Schedule`]: a command that is executed at the times of a cron expression.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use factum_core::timestamp::Timestamp;
use factum_engine::codec;
use factum_engine::command::Decide;
use factum_engine::error::panic_message;
use factum_engine::process::{CommandRoute, EncodeCommandError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::reaction_error::ReactionError;

/// The number of fields of a cron expression, without the time zone.
const CRON_FIELDS: usize = 5;

/// The names of days in a cron expression.
const DAYS: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

/// The beginning of the year 2000, in microseconds since 1970.
///
/// Every date that ever occurs does so in the four years after it.
const LEAP_YEAR: i64 = 946_684_800_000_000;

/// A command that is executed at the times of a cron expression.
///
/// The fields of the expression are minute, hour, day of month, month and day of week, without seconds.
///
/// Each run executes its command exactly once in effect, over restarts and over all nodes. A new schedule starts when
/// the program first runs it; a schedule whose expression has changed starts again. A rejection ends the run and is
/// logged.
///
/// Times are in UTC, unless the expression ends with the name of a time zone: `"0 6 * * * Europe/Berlin"`. If clocks in
/// that time zone are set forward, a skipped time has no run on that day. If they are set back, a repeated time has two
/// runs.
///
/// ```
/// # use factum::prelude::*;
/// use factum::runtime::{MissedRuns, Schedule};
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
/// # Ok::<(), factum::runtime::InvalidSchedule>(())
/// ```
#[derive(Clone)]
pub struct Schedule {
    name: String,
    cron: String,
    crontab: Crontab,
    missed_runs: MissedRuns,
    command: Arc<dyn Fn(Timestamp) -> Result<Value, ReactionError> + Send + Sync>,
    route: CommandRoute,
}

/// The policy for runs that were due while no node was running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MissedRuns {
    /// The latest of them is executed.
    #[default]
    Latest,
    /// Each of them is executed, in order.
    All,
}

/// A schedule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid schedule {name:?} ({cron}): {reason}")]
pub struct InvalidSchedule {
    /// The name of the schedule.
    pub name: String,
    /// The cron expression.
    pub cron: String,
    /// The reason.
    pub reason: String,
}

impl Schedule {
    /// Creates a schedule that executes a command, which `command` returns for each due time.
    ///
    /// The name identifies the schedule over restarts: 1 to 128 bytes without control characters.
    ///
    /// # Errors
    /// Returns [`InvalidSchedule`] if the name or the expression is not valid, or if its date never occurs.
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
            let rule = "a name must have 1 to 128 bytes without control characters";
            return Err(invalid(rule.to_owned()));
        }
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let crontab = cronexpr::parse_crontab_with(&cron, options);
        let crontab = crontab.map_err(|error| invalid(explain(&cron, &error.to_string())))?;
        if next_run(&crontab, Timestamp::from_micros(LEAP_YEAR)).is_none() {
            let reason = "this date never occurs; correct the day of month or the month";
            return Err(invalid(reason.to_owned()));
        }
        let encode = move |due| {
            let encoded = || codec::stored_value(&command(due));
            let encoded = catch_unwind(AssertUnwindSafe(encoded));
            let encoded =
                encoded.map_err(|panic| ReactionError::Panicked(panic_message(&*panic)))?;
            Ok(encoded.map_err(|source| EncodeCommandError::new(C::NAME, source))?)
        };
        Ok(Self {
            crontab,
            missed_runs: MissedRuns::default(),
            command: Arc::new(encode),
            route: CommandRoute::of::<C>(),
            name,
            cron,
        })
    }

    /// Sets the policy for runs that were due while no node was running.
    ///
    /// By default, the latest of them is executed.
    #[must_use]
    pub fn missed_runs(mut self, missed_runs: MissedRuns) -> Self {
        self.missed_runs = missed_runs;
        self
    }

    /// Returns the first run after `time`; `None` if there is none.
    #[must_use]
    pub fn next(&self, time: Timestamp) -> Option<Timestamp> {
        next_run(&self.crontab, time)
    }

    /// Returns the run to execute at the time `now`; `due` is the first run that was not executed.
    pub(crate) fn run_at(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        match self.missed_runs {
            MissedRuns::Latest => self.latest(due, now),
            MissedRuns::All => due,
        }
    }

    /// Returns the last run up to `now`, if `due` is a run.
    fn latest(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        let mut latest = due;
        // Looks back in growing steps, so that few steps are needed after any downtime.
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

    /// Returns the name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the cron expression.
    pub(crate) fn expression(&self) -> &str {
        &self.cron
    }

    /// Returns how the command is executed.
    pub(crate) fn route(&self) -> CommandRoute {
        self.route
    }

    /// Returns the command of a run, as JSON.
    pub(crate) fn command(&self, due: Timestamp) -> Result<Value, ReactionError> {
        (self.command)(due)
    }
}

/// Returns the first time of `crontab` after `time`; `None` if there is none within four years.
fn next_run(crontab: &Crontab, time: Timestamp) -> Option<Timestamp> {
    let time = MakeTimestamp::from_microsecond(time.as_micros()).ok()?;
    let next = crontab.find_next(time).ok()?;
    Some(Timestamp::from_micros(next.timestamp().as_microsecond()))
}

/// Returns the reason why `cron` is not valid; `error` is that of the parser.
fn explain(cron: &str, error: &str) -> String {
    let fields = cron.split_whitespace().count();
    // The parser reads the sixth field as a time zone, and its error does not say so.
    match (CRON_FIELDS..=CRON_FIELDS + 1).contains(&fields) && !has_seconds(cron) {
        true => error.to_owned(),
        false => format!(
            "it has {fields} fields; expected minute, hour, day of month, month, day of week, and optionally a time \
             zone: seconds are not supported"
        ),
    }
}

/// Returns whether the sixth field is not the name of a time zone.
///
/// The first field was then probably meant as seconds.
fn has_seconds(cron: &str) -> bool {
    let sixth = cron.split_whitespace().nth(CRON_FIELDS);
    sixth.is_some_and(|sixth| {
        let is_day = DAYS.contains(
            &sixth
                .get(..3)
                .unwrap_or_default()
                .to_ascii_uppercase()
                .as_str(),
        );
        is_day && !sixth.contains('/')
            || !sixth.starts_with(|first: char| first.is_ascii_alphabetic())
    })
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("name", &self.name)
            .field("cron", &self.cron)
            .field("missed_runs", &self.missed_runs)
            .finish_non_exhaustive()
    }
}
