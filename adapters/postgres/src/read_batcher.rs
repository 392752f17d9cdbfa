//! [`ReadBatcher`]: concurrent reads of single streams, answered by one statement.
//!
//! Running a statement costs the server and the driver more than finding a few events. A read that arrives while the
//! maximum number of statements is running waits, and joins the next one. That statement starts after the read arrived,
//! so its result is as recent as the result of a separate statement.
//!
//! One of the waiting callers runs the statement for all. If its future is dropped, the others try again.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use factum_core::read::{Direction, Page, Read, Scope};
use factum_core::stream_id::StreamId;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use tokio::sync::oneshot;

use crate::error::BackendError;
use crate::event_row::PACK_EVENTS;
use crate::read::{PackedPage, SIZE, SMALL_EVENT_BYTES};
use crate::read_pool::ReadPool;
use crate::record::PageStreams;

/// The maximum number of statements that run at the same time.
const MAX_STATEMENTS: usize = 2;
/// The maximum number of reads in one statement.
const MAX_READS: usize = 64;
/// The maximum number of events for each read.
///
/// A caller that needs more reads them in a separate statement.
const MAX_EVENTS: usize = 100;

static STATEMENT: LazyLock<Arc<str>> = LazyLock::new(|| {
    let mut sql = include_str!("sql/read_streams.sql").to_owned();
    for (name, value) in [
        ("{packed}", PACK_EVENTS.to_owned()),
        ("{size}", SIZE.to_owned()),
        ("{small}", SMALL_EVENT_BYTES.to_string()),
        ("{limit}", (MAX_EVENTS + 1).to_string()),
    ] {
        sql = sql.replace(name, &value);
    }
    sql.into()
});

#[derive(Default)]
pub struct ReadBatcher(Mutex<State>);

#[derive(Default)]
struct State {
    running: usize,
    waiting: Vec<StreamRead>,
}

struct StreamRead {
    stream: StreamId,
    after: i64,
    reply: oneshot::Sender<Reply>,
}

enum Reply {
    Page(Result<PackedPage, BackendError>),
    /// The receiver must run the statement, for itself and for the reads that wait.
    Run(StatementPermit),
}

/// The permit to run a statement; dropping it passes it to a waiting read.
struct StatementPermit(Arc<ReadBatcher>);

/// Returns the stream of `read` if it can be batched: one stream, forward, with a large limit.
pub fn stream_to_batch(read: &Read) -> Option<&StreamId> {
    match &read.scope {
        Scope::Stream(stream)
            if read.direction == Direction::Forward && read.limit > MAX_EVENTS =>
        {
            Some(stream)
        }
        _ => None,
    }
}

impl ReadBatcher {
    /// Returns the page of `read`, whose scope is `stream`.
    ///
    /// Returns `None` if there are more events, or larger ones, than a batch may hold.
    pub async fn page(
        self: &Arc<Self>,
        pool: &ReadPool,
        read: &Read,
        stream: &StreamId,
    ) -> Result<Option<Page>, BackendError> {
        let after = i64::try_from(read.cursor).unwrap_or(i64::MAX);
        let page = self.packed_page(pool, stream, after).await?;
        let rows = page.rows()?;
        if rows.len() > MAX_EVENTS || rows.iter().any(|row| !row.fits) {
            return Ok(None);
        }
        page.decode(&rows, read, &PageStreams::One(stream))
            .map(Some)
    }

    async fn packed_page(
        self: &Arc<Self>,
        pool: &ReadPool,
        stream: &StreamId,
        after: i64,
    ) -> Result<PackedPage, BackendError> {
        loop {
            let permit = match self.acquire_or_wait(stream, after) {
                Ok(permit) => permit,
                Err(reply) => match reply.await {
                    Ok(Reply::Page(page)) => return page,
                    Ok(Reply::Run(permit)) => permit,
                    // The future that ran the statement was dropped.
                    Err(_) => continue,
                },
            };
            let mut reads = self.next_batch();
            let (sender, mut reply) = oneshot::channel();
            reads.push(StreamRead {
                stream: stream.clone(),
                after,
                reply: sender,
            });
            run(pool, reads).await;
            drop(permit);
            if let Ok(Reply::Page(page)) = reply.try_recv() {
                return page;
            }
        }
    }

    /// Returns a permit, or queues the read and returns the receiver of its reply.
    fn acquire_or_wait(
        self: &Arc<Self>,
        stream: &StreamId,
        after: i64,
    ) -> Result<StatementPermit, oneshot::Receiver<Reply>> {
        let mut state = self.state();
        if state.running < MAX_STATEMENTS {
            state.running += 1;
            return Ok(StatementPermit(self.clone()));
        }
        let (sender, reply) = oneshot::channel();
        state.waiting.push(StreamRead {
            stream: stream.clone(),
            after,
            reply: sender,
        });
        Err(reply)
    }

    /// Removes the oldest waiting reads, and leaves room for the read of the caller.
    fn next_batch(&self) -> Vec<StreamRead> {
        let mut state = self.state();
        let count = state.waiting.len().min(MAX_READS - 1);
        state.waiting.drain(..count).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StatementPermit {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.state();
            state.waiting.retain(|read| !read.reply.is_closed());
            if state.waiting.is_empty() {
                state.running -= 1;
                return;
            }
            state.waiting.remove(0)
        };
        // If the receiver is dropped at this moment, its reply is dropped too and passes the permit on.
        let _ = next.reply.send(Reply::Run(Self(self.0.clone())));
    }
}

/// Answers `reads` with one statement.
async fn run(pool: &ReadPool, reads: Vec<StreamRead>) {
    let mut pages = match fetch(pool, &reads).await {
        Ok(pages) => pages.into_iter(),
        Err(error) => {
            for read in reads {
                let _ = read.reply.send(Reply::Page(Err(error.clone())));
            }
            return;
        }
    };
    for read in reads {
        let page = pages
            .next()
            .unwrap_or_else(|| Err(BackendError::corrupt("no result for a read of a batch")));
        // The future that waits for the page may be dropped.
        let _ = read.reply.send(Reply::Page(page));
    }
}

async fn fetch(
    pool: &ReadPool,
    reads: &[StreamRead],
) -> Result<Vec<Result<PackedPage, BackendError>>, BackendError> {
    let mut reader = pool.acquire().await?;
    let mut pages = execute(&mut reader.connection, reads).await;
    if reader.reconnect_if_stale(&pages).await? {
        pages = execute(&mut reader.connection, reads).await;
    }
    reader.release(&pages);
    pages
}

async fn execute(
    connection: &mut PgConnection,
    reads: &[StreamRead],
) -> Result<Vec<Result<PackedPage, BackendError>>, BackendError> {
    let ids: Vec<&str> = reads.iter().map(|read| read.stream.as_str()).collect();
    let after: Vec<i64> = reads.iter().map(|read| read.after).collect();
    let rows = sqlx::query(AssertSqlSafe(STATEMENT.clone()))
        .bind(ids)
        .bind(after)
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().map(PackedPage::from_row).collect())
}
