//! The write functions: validate the input and execute the command.

use factum::Position;
use factum::engine::Receipt;
use factum::prelude::*;
use uuid::Uuid;

use super::Specs;
use crate::app::{AppError, RequestContext};
use crate::content::Content;
use crate::specs::domain::{
    CreateSpec, DeleteSpec, DeprecateSpec, PublishSpec, QualifiedName, Spec, SpecId, SpecName,
    SpecRejection, SpecState, UpdateSpec,
};

/// The input of [`Specs::create`].
#[derive(Debug, Clone)]
pub struct NewSpec<'a> {
    /// The namespace, not yet validated. `None` means `default`.
    pub namespace: Option<&'a str>,
    /// The name.
    pub name: &'a str,
    /// Version 1 of the content, not yet validated.
    pub content: &'a [u8],
    /// The purpose of the specification.
    pub description: Option<String>,
    /// The reason, for the history.
    pub reason: Option<String>,
}

/// The input of [`Specs::update`].
#[derive(Debug, Clone)]
pub struct NewVersion<'a> {
    /// The content, not yet validated.
    pub content: &'a [u8],
    /// The new purpose of the specification. `None` keeps the current one, empty removes it.
    pub description: Option<String>,
    /// The reason, for the history.
    pub reason: Option<String>,
    /// The expected latest version. If it is another, the write fails.
    pub expected_version: Option<u64>,
}

/// The result of a write: the state of the specification immediately after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteResult {
    /// The id of the specification.
    pub id: SpecId,
    /// The latest version of the content.
    pub latest_version: u64,
    /// The published version, if any.
    pub published_version: Option<u64>,
    /// The lifecycle state.
    pub state: SpecState,
    /// The number of changes.
    pub revision: u64,
    /// The position of the write. A list that has reached it shows the write.
    pub position: Position,
}

impl Specs {
    /// Creates a specification as a draft.
    ///
    /// # Errors
    /// Returns [`NameError`](crate::specs::domain::NameError), [`ContentError`](crate::content::ContentError) or [`SpecRejection::NameTaken`], or an error that every write
    /// can return: [`AppError::KeyReused`], [`AppError::Contended`] or [`AppError::Unavailable`].
    pub async fn create(
        &self,
        new: NewSpec<'_>,
        context: &RequestContext,
    ) -> Result<WriteResult, AppError> {
        let namespace = new.namespace.map(str::parse).transpose()?;
        let path = QualifiedName {
            tenant: context.tenant().clone(),
            namespace: namespace.unwrap_or_default(),
            name: SpecName::parse(new.name)?,
        };
        let content = Content::parse(new.content, self.max_content)?;
        let spec = SpecId(match &context.idempotency_key {
            // A repeated request must refer to the same specification, so the id is derived from the key.
            Some(key) => Uuid::new_v5(
                &Uuid::NAMESPACE_OID,
                format!("spec\n{}\n{}\n{key}", context.tenant(), context.actor()).as_bytes(),
            ),
            None => Uuid::now_v7(),
        });
        let create = CreateSpec {
            spec,
            path,
            author: context.actor().to_owned(),
            description: new.description,
            content,
            reason: new.reason,
        };
        let context = context.with_reason(create.reason.as_deref());
        self.execute(spec, create, &context).await
    }

    /// Adds a version to the content of a specification.
    ///
    /// # Errors
    /// Returns [`ContentError`](crate::content::ContentError), [`AppError::RevisionMismatch`], [`SpecRejection::NotFound`],
    /// [`SpecRejection::Deleted`], [`SpecRejection::NotAllowed`] or [`SpecRejection::VersionMismatch`], or an error that every
    /// write can return, see [`Self::create`].
    pub async fn update(
        &self,
        spec: SpecId,
        new: NewVersion<'_>,
        context: &RequestContext,
    ) -> Result<WriteResult, AppError> {
        let update = UpdateSpec {
            spec,
            author: context.actor().to_owned(),
            content: Content::parse(new.content, self.max_content)?,
            description: new.description,
            expected_version: new.expected_version,
            reason: new.reason,
        };
        let context = context.with_reason(update.reason.as_deref());
        self.write(spec, update, &context).await
    }

    /// Publishes `version`, or the latest version.
    ///
    /// # Errors
    /// Returns the errors of [`Self::update`], [`SpecRejection::NoSuchVersion`] or [`SpecRejection::AlreadyPublished`].
    pub async fn publish(
        &self,
        spec: SpecId,
        version: Option<u64>,
        reason: Option<String>,
        context: &RequestContext,
    ) -> Result<WriteResult, AppError> {
        let context = context.with_reason(reason.as_deref());
        let publish = PublishSpec {
            spec,
            version,
            reason,
        };
        self.write(spec, publish, &context).await
    }

    /// Marks a specification as deprecated.
    ///
    /// # Errors
    /// Returns the errors of [`Self::update`], or [`SpecRejection::NoReason`].
    pub async fn deprecate(
        &self,
        spec: SpecId,
        reason: String,
        context: &RequestContext,
    ) -> Result<WriteResult, AppError> {
        let context = context.with_reason(Some(&reason));
        let deprecate = DeprecateSpec { spec, reason };
        self.write(spec, deprecate, &context).await
    }

    /// Deletes a specification.
    ///
    /// # Errors
    /// Returns the errors of [`Self::update`].
    pub async fn delete(
        &self,
        spec: SpecId,
        reason: Option<String>,
        context: &RequestContext,
    ) -> Result<WriteResult, AppError> {
        let context = context.with_reason(reason.as_deref());
        let delete = DeleteSpec { spec, reason };
        self.write(spec, delete, &context).await
    }

    /// Changes a specification of the tenant.
    async fn write<C>(
        &self,
        id: SpecId,
        command: C,
        context: &RequestContext,
    ) -> Result<WriteResult, AppError>
    where
        C: Decide<Error = SpecRejection>,
    {
        self.life(id, context).await?;
        self.execute(id, command, context).await
    }

    async fn execute<C>(
        &self,
        id: SpecId,
        command: C,
        context: &RequestContext,
    ) -> Result<WriteResult, AppError>
    where
        C: Decide<Error = SpecRejection>,
    {
        match self.app.execute(command, context).await {
            Ok(receipt) => self.write_result(id, &receipt).await,
            Err(error) => Err(self.write_error(id, error).await),
        }
    }

    /// Converts the error of a write that expected a revision.
    ///
    /// A missing or deleted specification is reported as such, whatever revision was expected (RFC 9110, 13.2.1).
    async fn write_error(&self, id: SpecId, error: AppError) -> AppError {
        if !matches!(error, AppError::RevisionMismatch { .. }) {
            return error;
        }
        match self.app.engine().load::<Spec>(&id).await {
            Err(error) => error.into(),
            Ok(spec) => match spec.life() {
                None => SpecRejection::NotFound.into(),
                Some(life) if life.state == SpecState::Deleted => SpecRejection::Deleted.into(),
                Some(_) => error,
            },
        }
    }

    /// Loads the state of the specification at the version of the write.
    ///
    /// Other writes may have followed, and a repeated request must return the first result.
    async fn write_result(&self, id: SpecId, receipt: &Receipt) -> Result<WriteResult, AppError> {
        let spec = self
            .app
            .engine()
            .load::<Spec>(&id)
            .at_version(receipt.version())
            .await?;
        let life = spec.life().ok_or(SpecRejection::NotFound)?;
        Ok(WriteResult {
            id,
            latest_version: life.latest(),
            published_version: life.published,
            state: life.state,
            revision: spec.version().get(),
            position: receipt.position(),
        })
    }
}
