//! The application functions on the store in memory, with the list in memory, too.

use std::collections::BTreeMap;

use async_trait::async_trait;
use factum::document::Revision;
use factum::prelude::*;
use factum::{Position, Query, ReadModel, RetryPolicy, Step, StepError, StoreError};
use factum_memory::MemoryStore;
use spec_service::app::{
    AppError, Context, Cursor, ListPage, ListQuery, NewSpec, NewVersion, SpecList, SpecSummary,
    Specs, Written,
};
use spec_service::domain::{SpecEvent, SpecId};

/// Every specification, by the position of its creation.
#[derive(Projection, Default)]
#[projection(name = "spec_list", events = SpecEvent)]
pub(crate) struct Table(BTreeMap<Position, SpecSummary>);

impl Project<SpecEvent> for Table {
    fn project(&mut self, event: &Recorded<SpecEvent>) {
        let id: SpecId = event.record.stream.key().parse().expect("an id");
        let known = self.0.iter().find(|(_, summary)| summary.id == id);
        let created = known.map_or(event.record.position, |(created, _)| *created);
        let before = self.0.remove(&created);
        let after = SpecSummary::after(before, id, event).expect("a creation comes first");
        self.0.insert(created, after);
    }
}

struct List(InMemory<Table>);

#[async_trait]
impl SpecList for List {
    async fn page(&self, query: ListQuery) -> Result<ListPage, AppError> {
        Ok(self.0.read(|table| {
            let wanted = || table.0.iter().filter(|(_, spec)| query.wants(spec.state));
            let after = query.after.map_or(Position::ZERO, |cursor| cursor.0);
            let behind: Vec<_> = wanted().filter(|(created, _)| **created > after).collect();
            let page = &behind[..behind.len().min(query.limit)];
            let last = page.last().filter(|_| behind.len() > page.len());
            ListPage {
                specs: page.iter().map(|(_, spec)| (*spec).clone()).collect(),
                total: wanted().count() as u64,
                next: last.map(|(created, _)| Cursor(**created)),
            }
        }))
    }
}

/// One instance of the service on `store`, which others may share.
pub(crate) fn on(store: &MemoryStore) -> Specs {
    let engine = Engine::new(store.clone());
    let table = InMemory::<Table>::new();
    let projections = Projections::builder(&engine).with(table.clone()).start();
    Specs::new(engine, projections, List(table))
}

/// A read model that takes no event.
struct Broken;

#[async_trait]
impl ReadModel for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn version(&self) -> u32 {
        1
    }

    async fn project(&self, _: Step<'_>) -> Result<Revision, StepError> {
        Err(StoreError::Failed("the disk is full".into()).into())
    }
}

/// An instance whose read model stops at the first event.
pub(crate) fn with_a_broken_read_model() -> Specs {
    let engine = Engine::new(MemoryStore::new());
    let projections = Projections::builder(&engine)
        .with(Broken)
        .retry(RetryPolicy::NEVER)
        .start();
    Specs::new(engine, projections, List(InMemory::new()))
}

pub(crate) fn by(actor: &str) -> Context {
    Context {
        actor: Some(actor.to_owned()),
        ..Context::default()
    }
}

pub(crate) fn keyed(actor: &str, key: &str) -> Context {
    Context {
        idempotency_key: Some(key.to_owned()),
        ..by(actor)
    }
}

pub(crate) fn expecting(revision: u64) -> Context {
    Context {
        expected_revision: Some(revision),
        ..Context::default()
    }
}

pub(crate) async fn create(
    specs: &Specs,
    name: &str,
    context: &Context,
) -> Result<Written, AppError> {
    let new = NewSpec {
        name,
        content: b"limit: 1\n",
        description: None,
    };
    specs.create(new, context).await
}

pub(crate) async fn update(
    specs: &Specs,
    id: SpecId,
    content: &str,
    context: &Context,
) -> Result<Written, AppError> {
    let new = NewVersion {
        content: content.as_bytes(),
        description: None,
        expected_version: None,
    };
    specs.update(id, new, context).await
}
