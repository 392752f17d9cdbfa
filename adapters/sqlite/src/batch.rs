//! [`Batch`]: appends that go out in one transaction, each judged on its own.

use std::collections::HashMap;

use factum::{
    Append, AppendError, Appended, Conflict, Position, StreamAppend, StreamId, Timestamp, Version,
    Violation,
};

use crate::connection::Connection;
use crate::error::Fault;
use crate::find::{self, Answer};
use crate::known::{Behind, Known, Stream};
use crate::new_rows::{MetadataText, NewRows, Place};
use crate::query;
use crate::rows::MOST;

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
    if is_plain(&connection.known, appends)
        && let Some(answers) = store_at_once(connection, appends).await?
    {
        return Ok(answers);
    }
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
    let (rows, behind) = batch.done();
    rows.insert(connection).await?;
    connection.commit().await?;
    connection.known.take(behind);
    Ok(answers)
}

/// Whether the appends need nothing but events, of streams that are known.
fn is_plain(known: &Known, appends: &[&Append]) -> bool {
    let events: usize = appends.iter().map(|append| append.count()).sum();
    let plain = |append: &&Append| {
        let mut streams = append.streams.iter();
        append.key.is_none()
            && append.condition.is_none()
            && streams.all(|part| {
                let known = known.streams.peek(&part.stream);
                known.is_some_and(|stream| stream.key.is_some() || part.events.is_empty())
                    && part.events.iter().all(|event| event.tags.is_empty())
            })
    };
    known.data_version.is_some() && (1..=MOST).contains(&events) && appends.iter().all(plain)
}

/// The same by one call of the driver, on what is known. `None`: nothing was stored, since somebody else has written,
/// whose events stand where these were to stand; or since every append is refused, which only a look at the file
/// can justify.
async fn store_at_once(
    connection: &mut Connection,
    appends: &[&Append],
) -> Result<Option<Answers>, Fault> {
    let mut batch = Batch::on(&mut connection.known, appends);
    let mut answers = Vec::with_capacity(appends.len());
    for append in appends {
        let violations = batch.violations(append);
        answers.push(match violations.is_empty() {
            true => Ok(batch.take(append)?),
            false => Err(Conflict { violations }.into()),
        });
    }
    if batch.rows.is_empty() {
        return Ok(None);
    }
    let (rows, behind) = batch.done();
    match connection.insert_at_once(rows).await {
        Ok(()) => {
            connection.known.take(behind);
            Ok(Some(answers))
        }
        Err(fault) if fault.is_of_the_content() => {
            connection.end_after_failure().await;
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// The streams that the appends name, each once.
fn streams<'a>(appends: &[&'a Append]) -> Vec<&'a StreamId> {
    let mut ids: Vec<&StreamId> = appends
        .iter()
        .flat_map(|append| append.streams.iter().map(|part| &part.stream))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Why an append stores nothing.
enum Refusal {
    /// Its idempotency key was used.
    Known(Result<Appended, AppendError>),
    Violated(Vec<Violation>),
}

impl<'a> Batch<'a> {
    async fn open(connection: &mut Connection, appends: &[&'a Append]) -> Result<Self, Fault> {
        let ids = streams(appends);
        let stands = connection.learn(&ids).await?;
        let keys = appends.iter().filter_map(|append| append.key.as_ref());
        let keys: Vec<&str> = keys.map(|key| key.key.as_str()).collect();
        let answers = match keys.is_empty() {
            true => HashMap::new(),
            false => find::answers(&mut connection.sqlite, &keys).await?,
        };
        Ok(Self::new(
            &connection.known,
            ids.into_iter().zip(stands).collect(),
            answers,
        ))
    }

    /// On streams that are known.
    fn on(known: &mut Known, appends: &[&'a Append]) -> Self {
        let ids = streams(appends).into_iter();
        let stands = ids.filter_map(|id| Some((id, *known.streams.get(id)?)));
        Self::new(known, stands.collect(), HashMap::new())
    }

    fn new(
        known: &Known,
        streams: HashMap<&'a StreamId, Stream>,
        answers: HashMap<String, Answer>,
    ) -> Self {
        Self {
            streams,
            answers,
            committed: known.head,
            head: known.head,
            last_key: known.last_key,
            recorded_at: known.recorded_at.max(Timestamp::now()),
            taken: Vec::new(),
            rows: NewRows::new(),
        }
    }

    /// The rows, and what is known once they are stored.
    fn done(self) -> (NewRows, Behind) {
        let streams = self.streams.into_iter();
        let behind = Behind {
            head: self.head,
            last_key: self.last_key,
            recorded_at: self.recorded_at,
            streams: streams.map(|(id, stream)| (id.clone(), stream)).collect(),
        };
        (self.rows, behind)
    }

    fn violations(&self, append: &Append) -> Vec<Violation> {
        append.violations(|stream| {
            let stands = self.streams.get(stream);
            Version::new(stands.map_or(0, |stands| stands.version))
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
        let mut violations = self.violations(append);
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
