//! [`store`]: what goes out in one transaction, each part judged on its own.

use factum::{
    Append, AppendCondition, AppendError, Appended, Conflict, Position, Timestamp, Version,
    Violation,
};
use rusqlite::Connection;

use crate::document::change;
use crate::error::Fault;
use crate::find::{self, Answer};
use crate::inline::Inlines;
use crate::insert::{Inserts, Place};
use crate::job::Job;
use crate::known::{Known, Stream};
use crate::pair::wait;
use crate::query;
use crate::writing::{Transaction, Writing};

/// Does `jobs` in one transaction: of the appends, those whose expectations hold. Keeps the answers in them, and gives back
/// the head.
///
/// On an error nothing was stored, unless it was the commit that failed: then that is not known.
pub(crate) fn store(
    writing: &mut Writing,
    inlines: &Inlines,
    jobs: &mut [Job],
) -> Result<Position, Fault> {
    let mut transaction = writing.begin()?;
    // Ahead of the appends, whose inline projections find their documents as they left them.
    for job in &mut *jobs {
        if let Job::Change(changes, waiting) = job {
            waiting.answer = Some(change(transaction.connection()?, changes)?);
        }
    }
    let before = transaction.known.end.head;
    let standing = match jobs.iter().any(|job| matches!(job, Job::Append(..))) {
        true => inlines.catch_up(transaction.pair, before)?,
        false => Vec::new(),
    };
    append_all(&mut transaction, jobs)?;
    let head = transaction.known.end.head;
    if head > before && !standing.is_empty() {
        inlines.take(transaction.pair, standing, jobs)?;
    }
    transaction.end()?;
    Ok(head)
}

fn append_all(transaction: &mut Transaction<'_>, jobs: &mut [Job]) -> Result<(), Fault> {
    let mut batch = Batch::open(transaction)?;
    for job in jobs {
        if let Job::Append(append, waiting) = job {
            waiting.answer = Some(batch.answer(append)?);
        }
    }
    Ok(())
}

/// The store as it is behind the appends that were taken so far.
struct Batch<'t> {
    connection: &'t Connection,
    known: &'t mut Known,
    inserts: Inserts<'t>,
    recorded_at: Timestamp,
}

impl<'t> Batch<'t> {
    fn open(transaction: &'t mut Transaction<'_>) -> Result<Self, Fault> {
        let connection = wait(transaction.pair.rusqlite())?;
        let known = &mut *transaction.known;
        Ok(Self {
            inserts: Inserts::new(connection)?,
            recorded_at: known.end.recorded_at.max(Timestamp::now()),
            connection,
            known,
        })
    }

    fn answer(&mut self, append: &Append) -> Result<Result<Appended, AppendError>, Fault> {
        if let Some(key) = &append.key
            && let Some(answer) = find::answer(self.connection, &key.key)?
        {
            return Ok(answer.again(key));
        }
        let stands = append.streams.iter();
        let stands = stands.map(|part| self.known.stream(self.connection, &part.stream));
        let stands: Vec<Stream> = stands.collect::<Result<_, _>>()?;
        let mut violations = violations(append, &stands);
        if let Some(condition) = &append.condition
            && let Some(found) = self.newest_match(condition)?
        {
            violations.push(Violation::Condition {
                condition: condition.clone(),
                found,
            });
        }
        if !violations.is_empty() {
            return Ok(Err(Conflict { violations }.into()));
        }
        if !append.changes.is_empty()
            && let Err(rejected) = change(self.connection, &append.changes)?
        {
            return Ok(Err(rejected.into()));
        }
        self.take(append, stands).map(Ok)
    }

    /// The newest event behind `condition.after` that matches, also of this batch.
    fn newest_match(&self, condition: &AppendCondition) -> Result<Option<Position>, Fault> {
        if self.known.end.head <= condition.after {
            return Ok(None);
        }
        query::newest_match(self.connection, condition)
    }

    /// Makes the rows of an append that was judged to hold.
    fn take(&mut self, append: &Append, stands: Vec<Stream>) -> Result<Appended, Fault> {
        let known = &mut *self.known;
        let before = known.end.head;
        let mut versions = Vec::with_capacity(append.streams.len());
        self.inserts.begin();
        for (part, stands) in append.streams.iter().zip(stands) {
            if part.events.is_empty() {
                continue;
            }
            let key = match stands.key {
                Some(key) => key,
                None => {
                    known.end.last_key += 1;
                    self.inserts.stream(known.end.last_key, &part.stream)?;
                    known.end.last_key
                }
            };
            let mut version = stands.version;
            for event in &part.events {
                known.end.head = known.end.head.plus(1);
                version += 1;
                let place = Place {
                    position: known.end.head.get() as i64,
                    stream: key,
                    version: i64::try_from(version).map_err(Fault::corrupt)?,
                    recorded_at: self.recorded_at.as_micros(),
                };
                self.inserts.event(event, &place)?;
            }
            let key = Some(key);
            known
                .streams
                .insert(part.stream.clone(), Stream { key, version });
            versions.push((part.stream.clone(), Version::new(version)));
        }
        let appended = Appended {
            position: known.end.head,
            count: known.end.head.get() - before.get(),
            versions,
            recorded_at: self.recorded_at,
            repeated: false,
        };
        if appended.count > 0 {
            known.end.recorded_at = self.recorded_at;
        }
        if let Some(key) = &append.key {
            let answer = Answer {
                fingerprint: key.fingerprint,
                appended: appended.clone(),
            };
            self.inserts.key(&key.key, &answer)?;
        }
        Ok(appended)
    }
}

fn violations(append: &Append, stands: &[Stream]) -> Vec<Violation> {
    append.violations(|stream| {
        let mut parts = append.streams.iter().zip(stands);
        let stands = parts.find(|(part, _)| part.stream == *stream);
        Version::new(stands.map_or(0, |(_, stands)| stands.version))
    })
}
