//! [`Inlines`]: the projections that have their effect in the transaction that appends.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use factum::document::{ChangeError, Changes, Document, Revision};
use factum::projections::inline::{self, Current, Inline, InlineTransaction, Standing};
use factum::{
    AppendError, EventsOf, Page, Position, Projection, Read, RecordedEvent, StepError, StoreError,
};
use tokio::runtime::Handle;

use crate::error::BackendError;
use crate::pair::Pair;
use crate::tables::{self, Tables};
use crate::write_connection::WriteConnection;
use crate::write_request::WriteRequest;
use crate::{SqliteProjectSet, document, read, read_model};

/// A projection, whatever its events are.
#[async_trait]
pub(crate) trait Inlined: fmt::Debug + Send + Sync {
    fn inline(&self) -> Inline;

    async fn prepare(&self, pair: &mut Pair, build: u64) -> Result<(), StepError>;

    async fn project(
        &self,
        tables: &mut Tables<'_>,
        events: &[RecordedEvent],
    ) -> Result<(), StepError>;
}

pub(crate) struct OfProjection<P>(pub(crate) P);

impl<P: Projection> fmt::Debug for OfProjection<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(P::NAME)
    }
}

#[async_trait]
impl<P: SqliteProjectSet<EventsOf<P>>> Inlined for OfProjection<P> {
    fn inline(&self) -> Inline {
        Inline::of::<P>()
    }

    async fn prepare(&self, pair: &mut Pair, build: u64) -> Result<(), StepError> {
        read_model::make_ready(&self.0, pair, build).await
    }

    async fn project(
        &self,
        tables: &mut Tables<'_>,
        events: &[RecordedEvent],
    ) -> Result<(), StepError> {
        for record in events {
            self.0.take(record, tables).await?;
        }
        Ok(())
    }
}

/// The inline projections of one store.
pub(crate) struct Inlines {
    models: Vec<Model>,
    /// Where their code runs, whatever thread calls.
    runtime: Handle,
}

pub(crate) struct Model {
    inline: Inline,
    inlined: Arc<dyn Inlined>,
}

/// The inline projections that have taken every event.
pub(crate) type Standings<'i> = Vec<(&'i Model, Current)>;

impl Inlines {
    /// Within a runtime.
    pub(crate) fn new(inlined: &[Arc<dyn Inlined>]) -> Result<Self, StoreError> {
        let models = inlined.iter().map(|inlined| Model {
            inline: inlined.inline(),
            inlined: inlined.clone(),
        });
        let models = inline::in_order(models.collect(), |model: &Model| &model.inline)?;
        let runtime = Handle::current();
        Ok(Self { models, runtime })
    }

    /// Takes what is stored, page by page, each in a transaction of its own.
    pub(crate) async fn build(&self, writing: &mut WriteConnection) -> Result<(), StoreError> {
        for model in &self.models {
            while model.build(writing).await? {}
        }
        Ok(())
    }

    /// Takes what others have stored, ahead of appends behind `head`. Blocks.
    pub(crate) fn catch_up(
        &self,
        pair: &mut Pair,
        head: Position,
    ) -> Result<Standings<'_>, BackendError> {
        let mut standings = Vec::new();
        for model in &self.models {
            let caught_up = async {
                let inside = &mut Inside { pair, model };
                model.inline.catch_up(inside, head).await
            };
            let standing = self.runtime.block_on(caught_up).map_err(rejected)?;
            if let Standing::Current(current) = standing {
                standings.push((model, current));
            }
        }
        Ok(standings)
    }

    /// Takes what `jobs` have appended behind `standings`. Blocks.
    pub(crate) fn take(
        &self,
        pair: &mut Pair,
        standings: Standings<'_>,
        jobs: &[WriteRequest],
    ) -> Result<(), BackendError> {
        let stored = jobs.iter().filter_map(WriteRequest::stored);
        let events = inline::recorded(stored).map_err(rejected)?;
        for (model, current) in standings {
            let taken = async {
                let inside = &mut Inside { pair, model };
                model.inline.take(inside, current, &events).await
            };
            self.runtime.block_on(taken).map_err(rejected)?;
        }
        Ok(())
    }
}

fn rejected(error: impl Into<AppendError>) -> BackendError {
    BackendError::Rejected(Arc::new(error.into()))
}

impl Model {
    /// `true`: there is more.
    async fn build(&self, writing: &mut WriteConnection) -> Result<bool, StoreError> {
        let built = self.try_build(writing).await;
        if built.is_err() {
            writing.roll_back().await;
        }
        self.inline.builds_on(built)
    }

    async fn try_build(&self, writing: &mut WriteConnection) -> Result<Standing, StepError> {
        let pair = writing.begin_async().await?;
        let head = read::head(pair.rusqlite().await?)?;
        let inside = &mut Inside { pair, model: self };
        let standing = self.inline.build(inside, head).await?;
        pair.commit().await?;
        Ok(standing)
    }
}

/// A transaction that appends, as one inline projection sees it.
struct Inside<'t> {
    pair: &'t mut Pair,
    model: &'t Model,
}

#[async_trait]
impl InlineTransaction for Inside<'_> {
    async fn find(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        let keys = keys.iter().map(String::as_str);
        Ok(document::find(self.pair.rusqlite().await?, keys)?)
    }

    async fn change(&mut self, changes: &Changes) -> Result<Revision, ChangeError> {
        document::change(self.pair.rusqlite().await?, changes)?
    }

    async fn read(&mut self, read: &Read) -> Result<Page, StoreError> {
        Ok(read::page(self.pair.rusqlite().await?, read)?)
    }

    async fn prepare(&mut self, build: u64) -> Result<(), StepError> {
        self.model.inlined.prepare(self.pair, build).await
    }

    async fn project(&mut self, build: u64, events: &[RecordedEvent]) -> Result<(), StepError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut tables = Tables::new(self.pair.lend()?, build);
        self.model.inlined.project(&mut tables, events).await
    }

    async fn show(&mut self, build: u64) -> Result<(), StepError> {
        let db = self.pair.rusqlite().await?;
        tables::show(db, self.model.inline.name(), build)
    }

    async fn begin_part(&mut self) -> Result<(), StoreError> {
        self.execute("savepoint part").await
    }

    async fn end_part(&mut self, kept: bool) -> Result<(), StoreError> {
        if !kept {
            self.execute("rollback to part").await?;
        }
        self.execute("release part").await
    }
}

impl Inside<'_> {
    async fn execute(&mut self, sql: &str) -> Result<(), StoreError> {
        let db = self.pair.rusqlite().await?;
        let done = db.execute_batch(sql).map_err(BackendError::from);
        Ok(done?)
    }
}
