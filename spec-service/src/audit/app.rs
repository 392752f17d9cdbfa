//! [`Audit`]: reads the records of a report, page by page.

use std::collections::{HashMap, VecDeque};

use factum::event::EventSet as _;
use factum::store::{Query, Read, RecordedEvent};
use factum::{Aggregate as _, Position, StreamId, Timestamp};

use super::chain::Chain;
use crate::access::domain::{NamespaceId, TenantId};
use crate::app::{AppError, Application, Refusal, RefusalKind, RequestContext};
use crate::specs::domain::{Spec, SpecEvent, SpecId};
use crate::webhooks::domain::{Webhook, WebhookEvent, WebhookId};

/// The number of events that are read at a time.
const PAGE: usize = 64;

/// The maximum number of things whose owner a report remembers.
const MAX_OWNERS: usize = 10_000;

/// The changes that a report contains. The default contains all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// The time of the first change.
    pub from: Option<Timestamp>,
    /// The time after the last change.
    pub to: Option<Timestamp>,
    /// The actor of the changes.
    pub actor: Option<String>,
    /// The namespace of the specifications that changed. Without it, the report also contains webhooks.
    pub namespace: Option<NamespaceId>,
    /// The specification that changed.
    pub spec: Option<SpecId>,
}

/// The reason why a report is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAuditQuery {
    /// The time span is empty.
    #[error("empty time span: from {from} to {to}; the end must be after the start")]
    EmptySpan {
        /// The time of the first change.
        from: Timestamp,
        /// The time after the last change.
        to: Timestamp,
    },
}

impl Refusal for InvalidAuditQuery {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }

    fn code(&self) -> &'static str {
        "empty_time_span"
    }

    fn field(&self) -> Option<&'static str> {
        Some("to")
    }
}

/// A change in a report. All fields are texts, so that their hash has one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// The fields, in the order of [`AuditRecord::NAMES`].
    pub fields: [String; 10],
    /// The hash of this record and all before it.
    pub hash: String,
}

impl AuditRecord {
    /// The names of the fields.
    pub const NAMES: [&'static str; 10] = [
        "position",
        "time",
        "actor",
        "event_type",
        "subject",
        "revision",
        "reason",
        "correlation_id",
        "event_id",
        "data",
    ];

    fn of(event: &RecordedEvent, chain: &mut Chain) -> Self {
        let metadata = &event.metadata;
        let correlation = metadata.correlation_id.map(|id| id.to_string());
        let fields = [
            event.position.get().to_string(),
            event.recorded_at.to_string(),
            metadata.actor.clone().unwrap_or_default(),
            event.name.to_string(),
            event.stream.to_string(),
            event.version.get().to_string(),
            metadata.reason.clone().unwrap_or_default(),
            correlation.unwrap_or_default(),
            event.id.to_string(),
            String::from_utf8_lossy(&event.data).into_owned(),
        ];
        let hash = chain.add(fields.iter().map(String::as_str)).to_owned();
        Self { fields, hash }
    }
}

/// A handle to the audit report. Clones share the application.
#[derive(Clone)]
pub struct Audit {
    app: Application,
}

/// A report that is read page by page. It contains the changes up to the head of the log at its start.
pub struct AuditReport {
    app: Application,
    tenant: TenantId,
    /// The owners of things that changed lately, by their streams.
    owners: HashMap<StreamId, Option<RecordOwner>>,
    query: AuditQuery,
    /// The position up to which the report reads.
    head: Position,
    cursor: u64,
    is_read: bool,
    buffer: VecDeque<RecordedEvent>,
    chain: Chain,
}

impl Audit {
    /// Creates a handle to the events of `app`.
    #[must_use]
    pub fn new(app: Application) -> Self {
        Self { app }
    }

    /// Starts a report.
    ///
    /// # Errors
    /// Returns [`InvalidAuditQuery`], or an error of the store.
    pub async fn report(
        &self,
        query: AuditQuery,
        context: &RequestContext,
    ) -> Result<AuditReport, AppError> {
        if let (Some(from), Some(to)) = (query.from, query.to)
            && from >= to
        {
            return Err(InvalidAuditQuery::EmptySpan { from, to }.into());
        }
        Ok(AuditReport {
            head: self.app.engine().head().await?,
            app: self.app.clone(),
            tenant: context.tenant().clone(),
            owners: HashMap::new(),
            query,
            cursor: 0,
            is_read: false,
            buffer: VecDeque::new(),
            chain: Chain::default(),
        })
    }
}

impl AuditReport {
    /// Returns the next record, or `None` at the end.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub async fn next(&mut self) -> Result<Option<AuditRecord>, AppError> {
        loop {
            while let Some(event) = self.buffer.pop_front() {
                if self.selects(&event) && self.owns(&event).await? {
                    return Ok(Some(AuditRecord::of(&event, &mut self.chain)));
                }
            }
            if self.is_read {
                return Ok(None);
            }
            self.read_page().await?;
        }
    }

    /// Returns the records so far: their number and the last hash.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Returns the query.
    #[must_use]
    pub fn query(&self) -> &AuditQuery {
        &self.query
    }

    /// Returns the position up to which the report reads.
    #[must_use]
    pub fn head(&self) -> Position {
        self.head
    }

    async fn read_page(&mut self) -> Result<(), AppError> {
        let read = match self.query.spec {
            Some(spec) => {
                let stream = Spec::stream(&spec);
                Read::streams([stream.map_err(|error| AppError::Internal(error.into()))?])
            }
            None => {
                let mut types = SpecEvent::names();
                types.extend(WebhookEvent::names());
                Read::all(Query::event_types(types))
            }
        };
        let read = read.after(self.cursor).limit(PAGE);
        let page = self.app.engine().store().read(read).await?;
        let is_last = !page.more || page.through() >= self.head;
        self.cursor = page.through().get();
        self.is_read = is_last;
        self.buffer.extend(page.events);
        Ok(())
    }

    fn selects(&self, event: &RecordedEvent) -> bool {
        let (query, time) = (&self.query, event.recorded_at);
        let actor = event.metadata.actor.as_deref().unwrap_or_default();
        event.position <= self.head
            && query.from.is_none_or(|from| time >= from)
            && query.to.is_none_or(|to| time < to)
            && query.actor.as_deref().is_none_or(|wanted| wanted == actor)
    }

    /// Returns whether the changed thing belongs to the tenant, and to the namespace of the query.
    async fn owns(&mut self, event: &RecordedEvent) -> Result<bool, AppError> {
        if !self.owners.contains_key(&event.stream) {
            let owner = owner_of(&self.app, &event.stream).await?;
            if self.owners.len() >= MAX_OWNERS {
                self.owners.clear();
            }
            self.owners.insert(event.stream.clone(), owner);
        }
        let owner = self.owners.get(&event.stream).and_then(Option::as_ref);
        let namespace = self.query.namespace.as_ref();
        Ok(owner.is_some_and(|owner| {
            owner.tenant == self.tenant
                && (namespace.is_none() || owner.namespace.as_ref() == namespace)
        }))
    }
}

/// The tenant and the namespace of a thing, which never change.
struct RecordOwner {
    tenant: TenantId,
    namespace: Option<NamespaceId>,
}

/// Returns the owner of a specification or a webhook.
async fn owner_of(app: &Application, stream: &StreamId) -> Result<Option<RecordOwner>, AppError> {
    let Ok(id) = stream.key().parse() else {
        return Ok(None);
    };
    if stream.category() == Webhook::CATEGORY {
        let webhook = app.engine().load::<Webhook>(&WebhookId(id)).await?;
        return Ok(webhook.registration().map(|registration| RecordOwner {
            tenant: registration.tenant.clone(),
            namespace: None,
        }));
    }
    let spec = app.engine().load::<Spec>(&SpecId(id)).await?;
    Ok(spec.life().map(|life| RecordOwner {
        tenant: life.tenant.clone(),
        namespace: Some(life.namespace.clone()),
    }))
}
