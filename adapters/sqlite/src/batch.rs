//! [`store`]: appends that go out in one transaction, each judged on its own.

use factum::{
    Append, AppendError, Appended, Condition, Conflict, Position, Timestamp, Version, Violation,
};

use crate::error::Fault;
use crate::find::{self, Answer};
use crate::insert::{Inserts, Place};
use crate::known::Stream;
use crate::query;
use crate::writing::{Transaction, Writing};

/// What each append of a batch is told.
pub(crate) type Answers = Vec<Result<Appended, AppendError>>;

/// Stores those of `appends` whose expectations hold, in one transaction.
///
/// Also gives back the head behind them. On an error nothing was stored, unless it was the commit that failed: then
/// that is not known.
pub(crate) fn store(
    writing: &mut Writing,
    appends: &[&Append],
) -> Result<(Answers, Position), Fault> {
    let mut batch = Batch::open(writing.begin()?)?;
    let mut answers = Vec::with_capacity(appends.len());
    for append in appends {
        answers.push(batch.answer(append)?);
    }
    let Batch {
        transaction, wrote, ..
    } = batch;
    let head = transaction.known.end.head;
    match wrote {
        true => transaction.commit()?,
        false => transaction.release()?,
    }
    Ok((answers, head))
}

/// The store as it is behind the appends that were taken so far.
struct Batch<'w> {
    transaction: Transaction<'w>,
    inserts: Inserts<'w>,
    recorded_at: Timestamp,
    wrote: bool,
}

impl<'w> Batch<'w> {
    fn open(transaction: Transaction<'w>) -> Result<Self, Fault> {
        Ok(Self {
            inserts: Inserts::new(transaction.connection)?,
            recorded_at: transaction.known.end.recorded_at.max(Timestamp::now()),
            transaction,
            wrote: false,
        })
    }

    fn answer(&mut self, append: &Append) -> Result<Result<Appended, AppendError>, Fault> {
        if let Some(key) = &append.key
            && let Some(answer) = find::answer(self.transaction.connection, &key.key)?
        {
            return Ok(answer.again(key));
        }
        let stands = append.streams.iter();
        let stands = stands.map(|part| self.transaction.stream(&part.stream));
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
        match violations.is_empty() {
            true => self.take(append, stands).map(Ok),
            false => Ok(Err(Conflict { violations }.into())),
        }
    }

    /// The newest event behind `condition.after` that matches, also of this batch.
    fn newest_match(&self, condition: &Condition) -> Result<Option<Position>, Fault> {
        if self.transaction.known.end.head <= condition.after {
            return Ok(None);
        }
        query::newest_match(self.transaction.connection, condition)
    }

    /// Makes the rows of an append that was judged to hold.
    fn take(&mut self, append: &Append, stands: Vec<Stream>) -> Result<Appended, Fault> {
        let known = &mut *self.transaction.known;
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
            self.wrote = true;
        }
        if let Some(key) = &append.key {
            let answer = Answer {
                fingerprint: key.fingerprint,
                appended: appended.clone(),
            };
            self.inserts.key(&key.key, &answer)?;
            self.wrote = true;
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
