//! The application functions on the memory store, with an in-memory list.

use std::collections::BTreeMap;

use async_trait::async_trait;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{Batch, BatchError, Consumer, ReadModel};
use factum::store::Revision;
use factum::store::{Query, StoreError};
use factum_memory::MemoryStore;
use spec_service::access::domain::{Caller, TenantId};
use spec_service::app::{AppError, Application, Cursor, RequestContext};
use spec_service::specs::app::{
    ListPage, ListQuery, NewSpec, NewVersion, SpecList, SpecSummary, Specs, WriteResult,
};
use spec_service::specs::domain::{SpecEvent, SpecId};

/// The list of specifications.
#[derive(Projection, Default)]
#[projection(name = "spec_list", events = SpecEvent)]
pub struct ListProjection {
    /// By the position of the creation.
    specs: BTreeMap<u64, SpecSummary>,
    descriptions: BTreeMap<(uuid::Uuid, u64), Option<String>>,
}

impl Project<SpecEvent> for ListProjection {
    fn project(&mut self, event: &Recorded<SpecEvent>) {
        let id: SpecId = event
            .record
            .stream
            .key()
            .parse()
            .expect("the stream key is an id");
        let existing = self.specs.iter().find(|(_, summary)| summary.id == id);
        let created = existing.map_or(event.record.position.get(), |(created, _)| *created);
        let before = self.specs.remove(&created);
        let description_of = |version| self.descriptions[&(id.0, version)].clone();
        let after = SpecSummary::after(before, id, event, description_of);
        let after = after.expect("the first event is the creation");
        if let SpecEvent::Created { description, .. } | SpecEvent::Updated { description, .. } =
            &event.event
        {
            let version = (id.0, after.latest_version);
            self.descriptions.insert(version, description.clone());
        }
        self.specs.insert(created, after);
    }
}

struct MemoryList(InMemory<ListProjection>);

#[async_trait]
impl SpecList for MemoryList {
    async fn page(&self, tenant: &TenantId, query: ListQuery) -> Result<ListPage, AppError> {
        Ok(self.0.read(|list| {
            let selected = || {
                list.specs
                    .iter()
                    .filter(|(_, spec)| query.selects(tenant, spec))
            };
            let after = query.after.map_or(0, |cursor| cursor.0);
            let following: Vec<_> = selected()
                .filter(|(created, _)| **created > after)
                .collect();
            let page = &following[..following.len().min(query.limit)];
            let last = page.last().filter(|_| following.len() > page.len());
            ListPage {
                specs: page.iter().map(|(_, spec)| (*spec).clone()).collect(),
                total: selected().count() as u64,
                next: last.map(|(created, _)| Cursor(**created)),
            }
        }))
    }
}

/// Starts a node on `store`, which other nodes can share.
pub async fn node_on(store: &MemoryStore) -> Specs {
    let engine = Engine::new(store.clone());
    let list = InMemory::<ListProjection>::new();
    let runtime = Runtime::builder(&engine).projection(list.clone());
    let runtime = runtime.start().await.expect("the runtime starts");
    Specs::new(Application::new(engine, runtime), MemoryList(list))
}

/// A projection that fails at every event.
struct BrokenProjection;

impl Consumer for BrokenProjection {
    fn name(&self) -> &str {
        "broken"
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn handle(&self, _: Batch<'_>) -> Result<Revision, BatchError> {
        Err(StoreError::Failed("the disk is full".into()).into())
    }
}

impl ReadModel for BrokenProjection {
    fn version(&self) -> u32 {
        1
    }
}

/// Starts a node whose projection stops at the first event.
pub async fn node_with_broken_projection() -> (Application, Specs) {
    let engine = Engine::new(MemoryStore::new());
    let runtime = Runtime::builder(&engine)
        .projection(BrokenProjection)
        .retry(RetryPolicy::NEVER)
        .start()
        .await
        .expect("the runtime starts");
    let app = Application::new(engine, runtime);
    let specs = Specs::new(app.clone(), MemoryList(InMemory::new()));
    (app, specs)
}

pub fn by(actor: &str) -> RequestContext {
    RequestContext::of(Caller::development(Some(actor)))
}

pub fn keyed(actor: &str, key: &str) -> RequestContext {
    RequestContext {
        idempotency_key: Some(key.to_owned()),
        ..by(actor)
    }
}

pub fn expecting(revision: u64) -> RequestContext {
    RequestContext {
        expected_revision: Some(revision),
        ..RequestContext::default()
    }
}

pub async fn create(
    specs: &Specs,
    name: &str,
    context: &RequestContext,
) -> Result<WriteResult, AppError> {
    let new = NewSpec {
        namespace: None,
        name,
        content: b"limit: 1\n",
        description: None,
        reason: None,
    };
    specs.create(new, context).await
}

pub async fn update(
    specs: &Specs,
    id: SpecId,
    content: &str,
    context: &RequestContext,
) -> Result<WriteResult, AppError> {
    let new = NewVersion {
        content: content.as_bytes(),
        description: None,
        reason: None,
        expected_version: None,
    };
    specs.update(id, new, context).await
}
