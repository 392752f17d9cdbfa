//! [`Bulk`]: the function that both APIs call.

use std::collections::{HashMap, VecDeque};

use factum::Position;
use factum::engine::Receipt;
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use super::domain::{
    BulkRejection, ChangeRejection, ChangeSpecs, ChangedSpec, Checked, ConditionalChange,
    MAX_CHANGES, SpecChange,
};
use crate::access::domain::InvalidScopeId;
use crate::app::{AppError, Application, Refusal, RefusalKind, RequestContext};
use crate::content::{Content, ContentError};
use crate::specs::domain::{
    CreateSpec, DeleteSpec, DeprecateSpec, NameError, PublishSpec, QualifiedName, Spec, SpecId,
    SpecName, UpdateSpec,
};

/// The input of [`Bulk::change`].
#[derive(Debug, Clone)]
pub struct BulkRequest {
    /// The changes, in their order.
    pub changes: Vec<NewChange>,
    /// Whether the changes are only checked.
    pub dry_run: bool,
    /// The reason of all changes, for the history.
    pub reason: Option<String>,
}

/// One of many changes, not yet validated.
#[derive(Debug, Clone)]
pub struct NewChange {
    /// The action.
    pub action: NewAction,
    /// The revision that the specification must have before the request. `None` allows any.
    pub expected_revision: Option<u64>,
}

/// The action of one of many changes.
#[derive(Debug, Clone)]
pub enum NewAction {
    /// Creates a specification as a draft.
    Create {
        /// The namespace, not yet validated. `None` means `default`.
        namespace: Option<String>,
        /// The name.
        name: String,
        /// Version 1 of the content.
        content: Vec<u8>,
        /// The purpose of the specification.
        description: Option<String>,
    },
    /// Adds a version to the content.
    Update {
        /// The id of the specification.
        id: SpecId,
        /// The content.
        content: Vec<u8>,
        /// The new purpose of the specification. `None` keeps the current one, empty removes it.
        description: Option<String>,
    },
    /// Publishes a version.
    Publish {
        /// The id of the specification.
        id: SpecId,
        /// The version. `None` means the latest.
        version: Option<u64>,
    },
    /// Marks a specification as deprecated.
    Deprecate {
        /// The id of the specification.
        id: SpecId,
        /// The reason, with the replacement if there is one.
        reason: String,
    },
    /// Deletes a specification.
    Delete {
        /// The id of the specification.
        id: SpecId,
    },
}

/// The result of [`Bulk::change`].
#[derive(Debug)]
pub struct BulkReport {
    /// The results, in the order of the changes.
    pub items: Vec<ItemResult>,
    /// The position of the last change. `None` means that nothing was changed.
    pub position: Option<Position>,
}

impl BulkReport {
    /// Returns the number of refused changes.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.items.iter().filter(|item| item.is_err()).count()
    }
}

/// The result of one of many changes.
pub type ItemResult = Result<ChangedSpec, ItemError>;

/// The reason why one of many changes was refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ItemError {
    /// The name is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The namespace is not valid.
    #[error(transparent)]
    Namespace(#[from] InvalidScopeId),
    /// The content is not valid.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The rules do not allow the change.
    #[error(transparent)]
    Rejected(#[from] ChangeRejection),
}

impl ItemError {
    /// Returns the stable error code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "invalid_name",
            Self::Namespace(error) => error.code(),
            Self::Content(error) => error.code(),
            Self::Rejected(ChangeRejection::Spec(rejection)) => rejection.code(),
            Self::Rejected(ChangeRejection::RevisionMismatch { .. }) => "revision_mismatch",
            Self::Rejected(ChangeRejection::NotChecked { .. }) => "not_checked",
        }
    }
}

/// The reason why a request with many changes was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum BulkRefusal {
    /// The request has no changes, or too many.
    #[error("invalid number of changes: {actual}; a request has 1 to {MAX_CHANGES}")]
    Count {
        /// The number of changes.
        actual: usize,
    },
    /// The contents are too large together.
    #[error("contents too large: {actual} bytes; a request can have {MAX_BULK_BYTES}")]
    TooLarge {
        /// The size of all contents in bytes.
        actual: usize,
    },
    /// Some changes are not allowed.
    #[error("{refused} of {total} changes refused, nothing was changed; the first is change {}: {}", .first.index, .first.error)]
    Changes {
        /// The number of refused changes.
        refused: usize,
        /// The number of changes.
        total: usize,
        /// The first refused change.
        first: Box<RefusedChange>,
        /// Further refused changes, at most 19.
        others: Vec<RefusedChange>,
    },
}

/// A refused change.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedChange {
    /// The index of the change, from 0.
    pub index: usize,
    /// The reason.
    pub error: ItemError,
}

/// The maximum size of all contents of a request, in bytes.
pub const MAX_BULK_BYTES: usize = 16 << 20;

/// The number of refused changes that the error lists. A dry run reports all.
const MAX_LISTED: usize = 20;

impl BulkRefusal {
    /// Returns the refusal of a request with these results, if one is an error.
    fn of(items: &[ItemResult]) -> Option<Self> {
        let errors = items.iter().enumerate();
        let mut errors = errors.filter_map(|(index, item)| {
            let error = item.as_ref().err()?.clone();
            Some(RefusedChange { index, error })
        });
        let first = errors.next()?;
        let others: Vec<RefusedChange> = errors.by_ref().take(MAX_LISTED - 1).collect();
        Some(Self::Changes {
            refused: 1 + others.len() + errors.count(),
            total: items.len(),
            first: Box::new(first),
            others,
        })
    }
}

impl Refusal for BulkRefusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::Count { .. } => RefusalKind::Invalid,
            Self::TooLarge { .. } => RefusalKind::TooLarge,
            Self::Changes { .. } => RefusalKind::NotAllowed,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Count { .. } => "bulk_count",
            Self::TooLarge { .. } => "bulk_too_large",
            Self::Changes { .. } => "bulk_refused",
        }
    }

    fn facts(&self) -> Vec<(&'static str, Value)> {
        let Self::Changes {
            refused,
            first,
            others,
            ..
        } = self
        else {
            return Vec::new();
        };
        let items = std::iter::once(&**first).chain(others).map(|change| {
            let (code, detail) = (change.error.code(), change.error.to_string());
            json!({ "index": change.index, "code": code, "detail": detail })
        });
        vec![("refused", (*refused).into()), ("items", items.collect())]
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Count { .. } => Some("changes"),
            _ => None,
        }
    }
}

impl Refusal for BulkRejection {
    fn kind(&self) -> RefusalKind {
        RefusalKind::NotAllowed
    }

    fn code(&self) -> &'static str {
        "bulk_refused"
    }
}

/// A handle to the changes of many specifications. Clones share one engine.
#[derive(Clone)]
pub struct Bulk {
    app: Application,
    max_content: usize,
}

impl Bulk {
    /// Creates a handle to the specifications of `app`, with contents of at most `max_content` bytes.
    #[must_use]
    pub fn new(app: Application, max_content: usize) -> Self {
        Self { app, max_content }
    }

    /// Changes many specifications: all changes are stored in one append, or none is.
    ///
    /// With an idempotency key, a repeated request returns the first result. A dry run stores nothing, and reports which
    /// changes are allowed.
    ///
    /// # Errors
    /// Returns a [`BulkRefusal`], or an error that every write can return.
    pub async fn change(
        &self,
        request: BulkRequest,
        context: &RequestContext,
    ) -> Result<BulkReport, AppError> {
        check_size(&request)?;
        let dry_run = request.dry_run;
        let context = context.with_reason(request.reason.as_deref());
        let checked: Vec<Result<ConditionalChange, ItemError>> = request
            .changes
            .into_iter()
            .enumerate()
            .map(|(index, change)| self.validate(index, change, &context))
            .collect();
        let is_valid = checked.iter().all(Result::is_ok);
        let valid = checked.iter().filter_map(|change| change.as_ref().ok());
        // If a change is not valid, the others are checked for the report.
        let is_dry = dry_run || !is_valid;
        let command = ChangeSpecs::new(context.tenant().clone(), valid.cloned().collect(), is_dry);
        let changes = command.changes.clone();
        let mut context = context;
        if is_dry {
            // Nothing is stored that a repeated request could return.
            context.idempotency_key = None;
        }
        let (results, position) = match self.app.execute(command, &context).await {
            Ok(receipt) => {
                let results = self.results(&changes, &receipt).await?;
                (results, Some(receipt.position()))
            }
            Err(error) => match error.refusal::<BulkRejection>() {
                Some(BulkRejection::DryRun(report) | BulkRejection::Refused(report)) => {
                    (report.clone(), None)
                }
                None => return Err(error),
            },
        };
        let mut results = results.into_iter();
        let items: Result<Vec<ItemResult>, AppError> = checked
            .into_iter()
            .map(|change| match change {
                Err(error) => Ok(Err(error)),
                Ok(_) => match results.next() {
                    Some(result) => Ok(result.map_err(ItemError::from)),
                    None => Err(AppError::Internal("missing result of a change".into())),
                },
            })
            .collect();
        let items = items?;
        if position.is_none()
            && !dry_run
            && let Some(refusal) = BulkRefusal::of(&items)
        {
            return Err(refusal.into());
        }
        Ok(BulkReport { items, position })
    }

    fn validate(
        &self,
        index: usize,
        change: NewChange,
        context: &RequestContext,
    ) -> Result<ConditionalChange, ItemError> {
        let content = |content: &[u8]| Content::parse(content, self.max_content);
        // The reason is in the metadata of all events.
        let reason = None;
        let action = match change.action {
            NewAction::Create {
                namespace,
                name,
                content: text,
                description,
            } => SpecChange::Create(CreateSpec {
                spec: new_id(index, context),
                path: QualifiedName {
                    tenant: context.tenant().clone(),
                    namespace: namespace
                        .as_deref()
                        .map(str::parse)
                        .transpose()?
                        .unwrap_or_default(),
                    name: SpecName::parse(&name)?,
                },
                author: context.actor().to_owned(),
                description,
                content: content(&text)?,
                reason,
            }),
            NewAction::Update {
                id,
                content: text,
                description,
            } => SpecChange::Update(UpdateSpec {
                spec: id,
                author: context.actor().to_owned(),
                content: content(&text)?,
                description,
                expected_version: None,
                reason,
            }),
            NewAction::Publish { id, version } => SpecChange::Publish(PublishSpec {
                spec: id,
                version,
                reason,
            }),
            NewAction::Deprecate { id, reason } => {
                SpecChange::Deprecate(DeprecateSpec { spec: id, reason })
            }
            NewAction::Delete { id } => SpecChange::Delete(DeleteSpec {
                spec: id,
                reason: context.reason.clone(),
            }),
        };
        Ok(ConditionalChange {
            change: action,
            expected_revision: change.expected_revision,
        })
    }

    /// Returns the results of stored changes. Each has added one event.
    ///
    /// A repeated request returns the first result, so the results are derived from the stored events.
    async fn results(
        &self,
        changes: &[ConditionalChange],
        receipt: &Receipt,
    ) -> Result<Vec<Checked>, AppError> {
        let mut revisions: HashMap<String, VecDeque<u64>> = HashMap::new();
        for event in receipt.events() {
            let key = event.stream.key().to_owned();
            revisions
                .entry(key)
                .or_default()
                .push_back(event.version.get());
        }
        let mut results = Vec::with_capacity(changes.len());
        for change in changes {
            let id = change.change.spec();
            let revision = revisions
                .get_mut(&id.to_string())
                .and_then(VecDeque::pop_front);
            let revision = revision.ok_or_else(|| {
                AppError::Internal(format!("missing event of a change: specification {id}").into())
            })?;
            let spec = self.app.engine().load::<Spec>(&id).await?;
            let versions = spec
                .life()
                .map(|life| &life.versions[..])
                .unwrap_or_default();
            let latest_version = versions.partition_point(|added| *added <= revision) as u64;
            results.push(Ok(ChangedSpec {
                id,
                revision,
                latest_version,
            }));
        }
        Ok(results)
    }
}

/// Returns the id of a specification that the change at `index` creates.
///
/// A repeated request must refer to the same specification, so the id is derived from the key.
fn new_id(index: usize, context: &RequestContext) -> SpecId {
    SpecId(match &context.idempotency_key {
        Some(key) => {
            let (tenant, actor) = (context.tenant(), context.actor());
            let name = format!("bulk\n{tenant}\n{actor}\n{index}\n{key}");
            Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
        }
        None => Uuid::now_v7(),
    })
}

fn check_size(request: &BulkRequest) -> Result<(), BulkRefusal> {
    let actual = request.changes.len();
    if !(1..=MAX_CHANGES).contains(&actual) {
        return Err(BulkRefusal::Count { actual });
    }
    let size = |change: &NewChange| match &change.action {
        NewAction::Create { content, .. } | NewAction::Update { content, .. } => content.len(),
        NewAction::Publish { .. } | NewAction::Deprecate { .. } | NewAction::Delete { .. } => 0,
    };
    let actual = request.changes.iter().map(size).sum();
    match actual > MAX_BULK_BYTES {
        true => Err(BulkRefusal::TooLarge { actual }),
        false => Ok(()),
    }
}
