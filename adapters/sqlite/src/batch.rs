//! [`Batch`]: appends that go out in one transaction, each judged on its own.

use std::collections::HashMap;

use factum::{
    Append, AppendError, Appended, Conflict, Position, StreamAppend, StreamId, Timestamp, Version,
    Violation,
};

use crate::connection::Connection;
use crate::error::Fault;
use crate::find::{self, Answer};
use crate::known::Stream;
use crate::new_rows::{MetadataText, NewRows, Place};
use crate::query;

/// What each append of a batch is told.
pub(crate) type Answers = Vec<Result<Appended, AppendError>>;

/// The store as it will be behind the appends that were taken so far, and the rows that make it so.
struct Batch<'a> {
    streams: HashMap<&'a StreamId, Stream>,
    answers: HashMap<String, Answer>,
    /// Positions of the batch begin behind it.
    committed: Position,
    head: Position,
    last_key: i64,
    recorded_at: Timestamp,
    taken: Vec<&'a StreamAppend>,
    rows: NewRows,
}

/// Stores those of `appends` whose expectations hold, in one transaction.
///
/// On an error nothing was stored, unless it was the commit that failed: then that is not known.
pub(crate) async fn store(
    connection: &mut Connection,
    appends: &[&Append],
) -> Result<Answers, Fault> {
    connection.begin().await?;
    let mut batch = Batch::open(connection, appends).await?;
    let mut answers = Vec::with_capacity(appends.len());
    for append in appends {
        answers.push(match batch.judge(connection, append).await? {
            Ok(()) => Ok(batch.take(append)?),
            Err(Refusal::Known(answer)) => answer,
            Err(Refusal::Violated(violations)) => Err(Conflict { violations }.into()),
        });
    }
    if batch.rows.is_empty() {
        connection.release().await?;
        return Ok(answers);
    }
    let Batch {
        streams,
        head,
        last_key,
        recorded_at,
        rows,
        ..
    } = batch;
    rows.insert(connection).await?;
    connection.commit().await?;
    let known = &mut connection.known;
    (known.head, known.last_key, known.recorded_at) = (head, last_key, recorded_at);
    for (id, stream) in streams {
        known.streams.insert(id.clone(), stream);
    }
    Ok(answers)
}

/// Why an append stores nothing.
enum Refusal {
    /// Its idempotency key was used.
    Known(Result<Appended, AppendError>),
    Violated(Vec<Violation>),
}

impl<'a> Batch<'a> {
    async fn open(connection: &mut Connection, appends: &[&'a Append]) -> Result<Self, Fault> {
        let mut ids: Vec<&StreamId> = appends
            .iter()
            .flat_map(|append| append.streams.iter().map(|part| &part.stream))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let stands = connection.learn(&ids).await?;
        let keys = appends.iter().filter_map(|append| append.key.as_ref());
        let keys: Vec<&str> = keys.map(|key| key.key.as_str()).collect();
        let answers = match keys.is_empty() {
            true => HashMap::new(),
            false => find::answers(&mut connection.sqlite, &keys).await?,
        };
        let known = &connection.known;
        Ok(Self {
            streams: ids.into_iter().zip(stands).collect(),
            answers,
            committed: known.head,
            head: known.head,
            last_key: known.last_key,
            recorded_at: known.recorded_at.max(Timestamp::now()),
            taken: Vec::new(),
            rows: NewRows::new(),
        })
    }

    async fn judge(
        &self,
        connection: &mut Connection,
        append: &Append,
    ) -> Result<Result<(), Refusal>, Fault> {
        if let Some(key) = &append.key
            && let Some(answer) = self.answers.get(&key.key)
        {
            return Ok(Err(Refusal::Known(answer.again(key))));
        }
        let mut violations = append.violations(|stream| {
            let stands = self.streams.get(stream);
            Version::new(stands.map_or(0, |stands| stands.version))
        });
        if let Some(condition) = &append.condition
            && let Some(found) = self.newest_match(connection, condition).await?
        {
            violations.push(Violation::Condition {
                condition: condition.clone(),
                found,
            });
        }
        Ok(match violations.is_empty() {
            true => Ok(()),
            false => Err(Refusal::Violated(violations)),
        })
    }

    /// The newest event behind `condition.after` that matches: in this batch, else in the file.
    async fn newest_match(
        &self,
        connection: &mut Connection,
        condition: &factum::Condition,
    ) -> Result<Option<Position>, Fault> {
        let events = self.taken.iter().rev().flat_map(|part| {
            let events = part.events.iter().rev();
            events.map(|event| (&part.stream, event))
        });
        let mut position = self.head;
        for (stream, event) in events {
            if position <= condition.after {
                return Ok(None);
            }
            if condition
                .query
                .matches_parts(stream, &event.name, &event.tags)
            {
                return Ok(Some(position));
            }
            position = Position::new(position.get() - 1);
        }
        if self.committed <= condition.after {
            return Ok(None);
        }
        query::newest_match(&mut connection.sqlite, condition).await
    }

    /// Makes the rows of an append that was judged to hold.
    fn take(&mut self, append: &'a Append) -> Result<Appended, Fault> {
        let before = self.head;
        let mut versions = Vec::with_capacity(append.streams.len());
        let mut metadata = MetadataText::default();
        for part in append.streams.iter().filter(|part| !part.events.is_empty()) {
            let stream = self.streams.get_mut(&part.stream);
            let stream = stream.ok_or_else(|| Fault::corrupt("a stream that was not looked up"))?;
            let key = match stream.key {
                Some(key) => key,
                None => {
                    self.last_key += 1;
                    self.rows.add_stream(self.last_key, &part.stream)?;
                    self.last_key
                }
            };
            stream.key = Some(key);
            for event in &part.events {
                self.head = self.head.plus(1);
                stream.version += 1;
                let place = Place {
                    position: self.head.get() as i64,
                    stream: key,
                    version: stream.version as i64,
                    recorded_at: self.recorded_at.as_micros(),
                };
                self.rows.add_event(event, &place, &mut metadata)?;
            }
            versions.push((part.stream.clone(), Version::new(stream.version)));
            self.taken.push(part);
        }
        let appended = Appended {
            position: self.head,
            count: self.head.get() - before.get(),
            versions,
            recorded_at: self.recorded_at,
            repeated: false,
        };
        if let Some(key) = &append.key {
            let answer = Answer {
                fingerprint: key.fingerprint,
                appended: appended.clone(),
            };
            self.rows.add_key(&key.key, &answer)?;
            self.answers.insert(key.key.clone(), answer);
        }
        Ok(appended)
    }
}
