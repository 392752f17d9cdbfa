//! [`Gathering`]: what several callers ask of streams at the same time is one statement.
//!
//! To run a statement takes the server and the driver longer than to find a few events. Who asks while others are
//! being answered waits, and is answered with the next; then the statement begins behind every question in it, so that
//! each answer is as fresh as one's own would be. One of those who ask runs the statement, and whoever it answers is
//! spared it; if that one goes away, the others ask again.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use factum::{Direction, Page, Read, Scope, StreamId};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use tokio::sync::oneshot;

use crate::error::Fault;
use crate::packed::PACKED;
use crate::read::{self, Found, SMALL};
use crate::readers::Readers;
use crate::recorded::Streams;

/// Statements that run at the same time.
const MOST_TURNS: usize = 2;
/// Questions in one statement.
const MOST_QUESTIONS: usize = 64;
/// Events for each question; what is more, the caller reads on its own.
const MOST_EVENTS: usize = 100;

static STATEMENT: LazyLock<Arc<str>> = LazyLock::new(|| {
    let mut sql = include_str!("sql/gather.sql").to_owned();
    for (name, value) in [
        ("{packed}", PACKED.to_owned()),
        ("{small}", SMALL.to_string()),
        ("{limit}", (MOST_EVENTS + 1).to_string()),
    ] {
        sql = sql.replace(name, &value);
    }
    sql.into()
});

#[derive(Default)]
pub(crate) struct Gathering(Mutex<State>);

#[derive(Default)]
struct State {
    turns: usize,
    waiting: Vec<Question>,
}

struct Question {
    stream: StreamId,
    after: i64,
    answer: oneshot::Sender<Told>,
}

/// What who waits is told.
enum Told {
    Found(Result<Found, Fault>),
    /// To run the statement, for itself and for those that wait.
    Turn(Turn),
}

/// The right to run a statement. Dropped, it goes to one who waits.
struct Turn(Arc<Gathering>);

/// Whether `read` is one that is gathered: of one stream, forward, and not for few events.
pub(crate) fn stream_of(read: &Read) -> Option<&StreamId> {
    match &read.scope {
        Scope::Stream(stream)
            if read.direction == Direction::Forward && read.limit > MOST_EVENTS =>
        {
            Some(stream)
        }
        _ => None,
    }
}

impl Gathering {
    /// The first events behind the cursor of `read`, which is one of `stream`. `None`: there are more than are
    /// gathered, or larger ones.
    pub(crate) async fn page(
        self: &Arc<Self>,
        readers: &Readers,
        (read, stream): (&Read, &StreamId),
    ) -> Result<Option<Page>, Fault> {
        let found = self.found(readers, (read, stream)).await?;
        let rows = read::rows_of(&found)?;
        if rows.len() > MOST_EVENTS || rows.iter().any(|row| !row.fits) {
            return Ok(None);
        }
        read::page_of(&found, &rows, (read, &Streams::One(stream))).map(Some)
    }

    async fn found(
        self: &Arc<Self>,
        readers: &Readers,
        (read, stream): (&Read, &StreamId),
    ) -> Result<Found, Fault> {
        let after = i64::try_from(read.cursor).unwrap_or(i64::MAX);
        loop {
            let turn = match self.begin(stream, after) {
                Ok(turn) => turn,
                Err(answered) => match answered.await {
                    Ok(Told::Found(found)) => return found,
                    Ok(Told::Turn(turn)) => turn,
                    // Who ran the statement went away.
                    Err(_) => continue,
                },
            };
            let mut questions = self.taken();
            let (answer, mut answered) = oneshot::channel();
            questions.push(Question {
                stream: stream.clone(),
                after,
                answer,
            });
            run(readers, questions).await;
            drop(turn);
            if let Ok(Told::Found(found)) = answered.try_recv() {
                return found;
            }
        }
    }

    /// A turn, or the place in the queue.
    fn begin(
        self: &Arc<Self>,
        stream: &StreamId,
        after: i64,
    ) -> Result<Turn, oneshot::Receiver<Told>> {
        let mut state = self.state();
        if state.turns < MOST_TURNS {
            state.turns += 1;
            return Ok(Turn(self.clone()));
        }
        let (answer, answered) = oneshot::channel();
        state.waiting.push(Question {
            stream: stream.clone(),
            after,
            answer,
        });
        Err(answered)
    }

    fn taken(&self) -> Vec<Question> {
        let mut state = self.state();
        let most = state.waiting.len().min(MOST_QUESTIONS - 1);
        state.waiting.drain(..most).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.state();
            state
                .waiting
                .retain(|question| !question.answer.is_closed());
            if state.waiting.is_empty() {
                state.turns -= 1;
                return;
            }
            state.waiting.remove(0)
        };
        // Who goes away at this moment drops the turn again.
        let _ = next.answer.send(Told::Turn(Self(self.0.clone())));
    }
}

/// Answers `questions`, in one statement.
async fn run(readers: &Readers, questions: Vec<Question>) {
    let mut found = match asked(readers, &questions).await {
        Ok(found) => found.into_iter(),
        Err(fault) => {
            for question in questions {
                let _ = question.answer.send(Told::Found(Err(fault.clone())));
            }
            return;
        }
    };
    for question in questions {
        let found = found
            .next()
            .unwrap_or_else(|| Err(Fault::corrupt("a question without an answer")));
        // Whoever does not wait any more is told nothing.
        let _ = question.answer.send(Told::Found(found));
    }
}

async fn asked(
    readers: &Readers,
    questions: &[Question],
) -> Result<Vec<Result<Found, Fault>>, Fault> {
    let mut reader = readers.take().await?;
    let mut found = ask(&mut reader.connection, questions).await;
    if reader.renew(&found).await? {
        found = ask(&mut reader.connection, questions).await;
    }
    reader.leave(&found);
    found
}

async fn ask(
    connection: &mut PgConnection,
    questions: &[Question],
) -> Result<Vec<Result<Found, Fault>>, Fault> {
    let ids: Vec<&str> = questions
        .iter()
        .map(|question| question.stream.as_str())
        .collect();
    let after: Vec<i64> = questions.iter().map(|question| question.after).collect();
    let rows = sqlx::query(AssertSqlSafe(STATEMENT.clone()))
        .bind(ids)
        .bind(after)
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().map(read::found).collect())
}
