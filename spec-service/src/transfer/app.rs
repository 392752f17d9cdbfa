//! [`ImportExport`]: the functions that both APIs call.

use std::collections::{BTreeMap, HashMap};

use factum::Position;
use factum::event::EventSet as _;
use factum::store::{Query, Read, RecordedEvent, Tag};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use thiserror::Error;

use super::archive::{
    ArchiveError, ArchiveFormat, MAX_ARCHIVE_BYTES, MAX_ENTRIES, read_archive, write_archive,
};
use super::change_log::ChangeLog;
use super::plan::{ApplyPlan, Existing, PlanStep, StepKind, Wanted};
use crate::access::domain::{InvalidScopeId, NamespaceId};
use crate::app::{AppError, Application, MAX_LIMIT, Refusal, RefusalKind, RequestContext};
use crate::bulk::{Bulk, BulkRequest, MAX_CHANGES, NewAction, NewChange};
use crate::content::{Content, ContentError};
use crate::specs::app::{ListQuery, Specs};
use crate::specs::domain::{NameError, QualifiedName, SpecEvent, SpecId, SpecName, SpecState};

/// The maximum number of documents that are applied in one request.
pub const MAX_DOCUMENTS: usize = 1_000;

/// The maximum size of a request with documents or an archive, in bytes.
pub const MAX_IMPORT_BYTES: usize = 16 << 20;

/// The number of specifications that are read at the same time.
const CONCURRENT_READS: usize = 16;

/// The number of names in one query.
const NAMES_PER_QUERY: usize = 100;

/// A document to apply, not yet validated.
#[derive(Debug, Clone)]
pub struct ApplyDocument {
    /// The name of the specification.
    pub name: String,
    /// The content.
    pub content: Vec<u8>,
    /// The purpose of the specification. `None` keeps the current one.
    pub description: Option<String>,
}

/// The input of [`ImportExport::apply`].
#[derive(Debug, Clone)]
pub struct ApplyRequest {
    /// The namespace of the documents, not yet validated. `None` means `default`.
    pub namespace: Option<String>,
    /// The documents, one for each name.
    pub documents: Vec<ApplyDocument>,
    /// The token of the plan that is applied. If the plan is another one now, the request is refused.
    pub plan: Option<String>,
    /// Whether the changes are only planned.
    pub dry_run: bool,
    /// The reason of all changes, for the history.
    pub reason: Option<String>,
}

/// The result of [`ImportExport::apply`].
#[derive(Debug)]
pub struct ApplyResult {
    /// The plan.
    pub plan: ApplyPlan,
    /// The position of the last change. `None` means that nothing was changed.
    pub position: Option<Position>,
}

/// The versions in an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExportedVersion {
    /// The latest version of each specification.
    #[default]
    Latest,
    /// The published version of each specification that has one.
    Published,
}

/// The reason why an import or an export was refused. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransferRefusal {
    /// The archive cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The request has no documents, or too many.
    #[error("invalid number of documents: {actual}; a request has 1 to {MAX_DOCUMENTS}")]
    Count {
        /// The number of documents.
        actual: usize,
    },
    /// Two documents have the same name.
    #[error("two documents for {name}; each specification has one document")]
    Duplicate {
        /// The name.
        name: SpecName,
    },
    /// The name of a document is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The content of a document is not valid.
    #[error("document {name}: {error}")]
    Content {
        /// The name.
        name: SpecName,
        /// The reason.
        error: ContentError,
    },
    /// The plan makes too many changes.
    #[error(
        "too many changes: {actual}; one request can make {MAX_CHANGES}, so apply the documents in parts"
    )]
    Changes {
        /// The number of changes.
        actual: usize,
    },
    /// The specifications or the documents have changed since the plan was made.
    #[error("the plan is outdated: a specification or a document has changed; make a new plan")]
    Outdated {
        /// The token of the plan as it is now.
        current: String,
    },
    /// The export is too large.
    #[error(
        "export too large; an archive has at most {MAX_ENTRIES} specifications and {MAX_ARCHIVE_BYTES} bytes, so export \
         with a filter or as ndjson"
    )]
    ExportTooLarge,
}

impl Refusal for TransferRefusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::Archive(ArchiveError::FileTooLarge { .. } | ArchiveError::TooLarge)
            | Self::ExportTooLarge => RefusalKind::TooLarge,
            Self::Outdated { .. } => RefusalKind::Stale,
            _ => RefusalKind::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Archive(ArchiveError::FileTooLarge { .. } | ArchiveError::TooLarge) => {
                "archive_too_large"
            }
            Self::Archive(_) => "invalid_archive",
            Self::Count { .. } | Self::Changes { .. } => "document_count",
            Self::Duplicate { .. } => "duplicate_document",
            Self::Name(_) => "invalid_name",
            Self::Content { error, .. } => error.code(),
            Self::Outdated { .. } => "plan_outdated",
            Self::ExportTooLarge => "export_too_large",
        }
    }

    fn facts(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Content { name, error } => {
                let mut facts = Refusal::facts(error);
                facts.push(("name", name.as_str().into()));
                facts
            }
            Self::Duplicate { name } => vec![("name", name.as_str().into())],
            Self::Outdated { current } => vec![("plan", current.as_str().into())],
            _ => Vec::new(),
        }
    }
}

/// A handle to import and export. Clones share one engine.
#[derive(Clone)]
pub struct ImportExport {
    app: Application,
    specs: Specs,
    bulk: Bulk,
    max_content: usize,
}

impl ImportExport {
    /// Creates a handle to the specifications of `app`, with contents of at most `max_content` bytes.
    #[must_use]
    pub fn new(app: Application, specs: Specs, bulk: Bulk, max_content: usize) -> Self {
        Self {
            app,
            specs,
            bulk,
            max_content,
        }
    }

    /// Makes the latest versions equal to the documents, in one append.
    ///
    /// A specification that does not exist is created, one with another content or description gets another version, and
    /// the others stay as they are. So a repeated request changes nothing.
    ///
    /// # Errors
    /// Returns a [`TransferRefusal`], the errors of [`Bulk::change`], or an error of the store.
    pub async fn apply(
        &self,
        request: ApplyRequest,
        context: &RequestContext,
    ) -> Result<ApplyResult, AppError> {
        let namespace = namespace(request.namespace.as_deref())?;
        let documents = self.validate(request.documents)?;
        let plan = self.plan(&namespace, documents, context).await?;
        let mut applied = ApplyResult {
            plan,
            position: None,
        };
        if applied.plan.is_empty() {
            return Ok(applied);
        }
        let current = applied.plan.token();
        if request.plan.is_some_and(|expected| expected != current) {
            return Err(TransferRefusal::Outdated { current }.into());
        }
        let changes: Vec<NewChange> = applied
            .plan
            .steps
            .iter()
            .filter_map(|step| change(&namespace, step))
            .collect();
        if changes.len() > MAX_CHANGES {
            let actual = changes.len();
            return Err(TransferRefusal::Changes { actual }.into());
        }
        let bulk = BulkRequest {
            changes,
            dry_run: request.dry_run,
            reason: request.reason,
        };
        let mut context = context.clone();
        // The changes depend on the current state, so a key cannot identify them.
        context.idempotency_key = None;
        let report = self.bulk.change(bulk, &context).await?;
        applied.position = report.position;
        Ok(applied)
    }

    /// Makes the latest versions equal to the files of an archive, see [`Self::apply`].
    ///
    /// # Errors
    /// Returns the errors of [`Self::apply`], or [`TransferRefusal::Archive`].
    pub async fn import(
        &self,
        format: ArchiveFormat,
        archive: &[u8],
        request: ApplyRequest,
        context: &RequestContext,
    ) -> Result<ApplyResult, AppError> {
        let files = read_archive(format, archive, self.max_content);
        let files = files.map_err(TransferRefusal::from)?;
        let documents = files.into_iter().map(|file| ApplyDocument {
            name: file.name.as_str().to_owned(),
            content: file.content,
            description: None,
        });
        let documents = documents.collect();
        let request = ApplyRequest {
            documents,
            ..request
        };
        self.apply(request, context).await
    }

    /// Returns an archive with one version of each specification of a namespace.
    ///
    /// The specifications are those in `state`, or those that are not deleted.
    ///
    /// # Errors
    /// Returns [`TransferRefusal::ExportTooLarge`], or an error of the store.
    pub async fn export(
        &self,
        format: ArchiveFormat,
        version: ExportedVersion,
        namespace_id: Option<&str>,
        state: Option<SpecState>,
        context: &RequestContext,
    ) -> Result<Vec<u8>, AppError> {
        let mut files: BTreeMap<String, (SpecName, Content)> = BTreeMap::new();
        let mut bytes = 0;
        let mut query = ListQuery {
            namespace: Some(namespace(namespace_id)?),
            state,
            limit: MAX_LIMIT,
            ..ListQuery::default()
        };
        loop {
            let page = self.specs.list(query.clone(), context).await?;
            let wanted = page.specs.into_iter().filter_map(|spec| match version {
                ExportedVersion::Latest => Some((spec.id, spec.latest_version)),
                ExportedVersion::Published => Some((spec.id, spec.published_version?)),
            });
            let views = stream::iter(wanted)
                .map(|(id, version)| self.specs.get(id, Some(version), context));
            let mut views = views.buffered(CONCURRENT_READS);
            while let Some(view) = views.try_next().await? {
                bytes += view.content.as_str().len();
                files.insert(view.name.as_str().to_owned(), (view.name, view.content));
                if files.len() > MAX_ENTRIES || bytes > MAX_ARCHIVE_BYTES {
                    return Err(TransferRefusal::ExportTooLarge.into());
                }
            }
            query.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        let files = files
            .values()
            .map(|(name, content)| (name, content.as_str().as_bytes()));
        write_archive(format, files).map_err(|error| AppError::Internal(error.into()))
    }

    /// Returns all changes of all specifications of the tenant after `after`, up to the head.
    ///
    /// # Errors
    /// Returns [`AppError::BeyondHead`] if the log does not have the position, or an error of the store.
    pub async fn changes(
        &self,
        after: Position,
        context: &RequestContext,
    ) -> Result<ChangeLog, AppError> {
        ChangeLog::new(self.app.clone(), context.tenant().clone(), after).await
    }

    fn validate(&self, documents: Vec<ApplyDocument>) -> Result<Vec<Wanted>, TransferRefusal> {
        let actual = documents.len();
        if !(1..=MAX_DOCUMENTS).contains(&actual) {
            return Err(TransferRefusal::Count { actual });
        }
        let mut names = std::collections::BTreeSet::new();
        let wanted = documents.into_iter().map(|document| {
            let name = SpecName::parse(&document.name)?;
            if !names.insert(document.name) {
                return Err(TransferRefusal::Duplicate { name });
            }
            let content = Content::parse(&document.content, self.max_content);
            let content = content.map_err(|error| TransferRefusal::Content {
                name: name.clone(),
                error,
            })?;
            Ok(Wanted {
                name,
                content,
                description: document.description,
            })
        });
        wanted.collect()
    }

    async fn plan(
        &self,
        namespace: &NamespaceId,
        documents: Vec<Wanted>,
        context: &RequestContext,
    ) -> Result<ApplyPlan, AppError> {
        let mut holders = HashMap::new();
        for names in documents.chunks(NAMES_PER_QUERY) {
            let paths = names.iter().map(|wanted| QualifiedName {
                tenant: context.tenant().clone(),
                namespace: namespace.clone(),
                name: wanted.name.clone(),
            });
            self.add_holders(paths.collect(), &mut holders).await?;
        }
        let documents = stream::iter(documents).map(|wanted| async {
            let existing = match holders.get(wanted.name.as_str()) {
                None => None,
                Some(id) => Some(self.existing(*id, context).await?),
            };
            Ok::<_, AppError>((wanted, existing))
        });
        let documents: Vec<_> = documents.buffered(CONCURRENT_READS).try_collect().await?;
        Ok(ApplyPlan::new(documents))
    }

    /// Adds the specifications that have the names, by the events with these names.
    async fn add_holders(
        &self,
        paths: Vec<QualifiedName>,
        holders: &mut HashMap<String, SpecId>,
    ) -> Result<(), AppError> {
        let tags = paths.iter().map(|path| Tag::new("path", path));
        let tags: Vec<Tag> = tags
            .collect::<Result<_, _>>()
            .map_err(|error| AppError::Internal(error.into()))?;
        let query = Query::any_tag(tags).and(Query::event_types(SpecEvent::names()));
        let mut after = Position::ZERO;
        loop {
            let read = Read::all(query.clone()).after(after.get());
            let page = self.app.engine().store().read(read).await?;
            for event in page.events {
                after = event.position;
                add_holder(event, holders)?;
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn existing(&self, id: SpecId, context: &RequestContext) -> Result<Existing, AppError> {
        let view = self.specs.get(id, None, context).await?;
        let latest = match view.version == view.latest_version {
            true => view,
            false => {
                self.specs
                    .get(id, Some(view.latest_version), context)
                    .await?
            }
        };
        Ok(Existing {
            id,
            revision: latest.revision,
            content: latest.content,
            description: latest.description,
        })
    }
}

fn add_holder(event: RecordedEvent, holders: &mut HashMap<String, SpecId>) -> Result<(), AppError> {
    let internal = |error: Box<dyn std::error::Error + Send + Sync>| AppError::Internal(error);
    let id: SpecId = event
        .stream
        .key()
        .parse()
        .map_err(|_| internal("invalid stream id".into()))?;
    let event: factum::Recorded<SpecEvent> = event
        .try_into()
        .map_err(|error| internal(Box::new(error)))?;
    match event.event {
        SpecEvent::Created { path, .. } => {
            holders.insert(path.name.as_str().to_owned(), id);
        }
        SpecEvent::Deleted { path, .. } => {
            holders.remove(path.name.as_str());
        }
        _ => {}
    }
    Ok(())
}

/// Parses a namespace. A missing or empty text means `default`.
fn namespace(text: Option<&str>) -> Result<NamespaceId, InvalidScopeId> {
    let text = text.filter(|text| !text.is_empty());
    Ok(text.map(str::parse).transpose()?.unwrap_or_default())
}

fn change(namespace: &NamespaceId, step: &PlanStep) -> Option<NewChange> {
    let wanted = &step.wanted;
    let content = wanted.content.as_str().as_bytes().to_vec();
    let description = wanted.description.clone();
    let action = match (step.kind, step.existing) {
        (StepKind::Create, _) => NewAction::Create {
            namespace: Some(namespace.to_string()),
            name: wanted.name.as_str().to_owned(),
            content,
            description,
        },
        (StepKind::Update, Some((id, _))) => NewAction::Update {
            id,
            content,
            description,
        },
        _ => return None,
    };
    Some(NewChange {
        action,
        expected_revision: step.existing.map(|(_, revision)| revision),
    })
}
