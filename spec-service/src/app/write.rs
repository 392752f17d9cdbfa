//! The writes: parse, execute, and wait until lists show it.

use factum::prelude::*;
use factum::{Position, Receipt};
use uuid::Uuid;

use super::{AppError, Context, Specs};
use crate::domain::{
    Content, CreateSpec, DeleteSpec, DeprecateSpec, PublishSpec, Rejection, Spec, SpecId, SpecName,
    SpecState, UpdateSpec,
};

/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 200;

/// What a new specification is to be.
#[derive(Debug, Clone)]
pub struct NewSpec<'a> {
    /// Its name.
    pub name: &'a str,
    /// Version 1 of its content, as it was sent.
    pub content: &'a [u8],
    /// What it is for.
    pub description: Option<String>,
}

/// What a new version is to be.
#[derive(Debug, Clone)]
pub struct NewVersion<'a> {
    /// Its content, as it was sent.
    pub content: &'a [u8],
    /// What the specification is for from now on: `None` leaves it as it is, empty removes it.
    pub description: Option<String>,
    /// Only if this is the latest version.
    pub expected_version: Option<u64>,
}

/// The answer to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Which specification.
    pub id: SpecId,
    /// The latest version of its content, right after the write.
    pub latest_version: u64,
    /// The version in force then.
    pub published_version: Option<u64>,
    /// Where it was in its life then.
    pub state: SpecState,
    /// How many changes it had seen then.
    pub revision: u64,
    /// A list that has come to this position shows it.
    pub position: Position,
}

impl Specs {
    /// Creates a specification as a draft.
    ///
    /// # Errors
    /// [`AppError::Name`], [`AppError::Content`], [`Rejection::NameTaken`], and those of every write:
    /// [`AppError::KeyReused`], [`AppError::Contended`], [`AppError::Unavailable`].
    pub async fn create(&self, new: NewSpec<'_>, context: &Context) -> Result<Written, AppError> {
        let name = SpecName::parse(new.name)?;
        let content = Content::parse(new.content, self.0.max_content)?;
        let spec = SpecId(match &context.idempotency_key {
            // The repetition of a request must be about the same specification.
            Some(key) => Uuid::new_v5(
                &Uuid::NAMESPACE_OID,
                format!("spec\n{}\n{key}", context.actor()).as_bytes(),
            ),
            None => Uuid::now_v7(),
        });
        let create = CreateSpec {
            spec,
            name,
            description: new.description,
            content,
        };
        self.write(spec, create, context).await
    }

    /// Adds a version to the content of a specification.
    ///
    /// # Errors
    /// [`AppError::Content`], [`Rejection::NotFound`], [`Rejection::Deleted`], [`Rejection::NotAllowed`],
    /// [`Rejection::VersionMismatch`], [`AppError::RevisionMismatch`], and those of every write.
    pub async fn update(
        &self,
        spec: SpecId,
        new: NewVersion<'_>,
        context: &Context,
    ) -> Result<Written, AppError> {
        let update = UpdateSpec {
            spec,
            content: Content::parse(new.content, self.0.max_content)?,
            description: new.description,
            expected_version: new.expected_version,
        };
        self.write(spec, update, context).await
    }

    /// Puts a version into force: the latest, or the one given.
    ///
    /// # Errors
    /// As [`Self::update`], and [`Rejection::NoSuchVersion`], [`Rejection::AlreadyPublished`].
    pub async fn publish(
        &self,
        spec: SpecId,
        version: Option<u64>,
        context: &Context,
    ) -> Result<Written, AppError> {
        let publish = PublishSpec { spec, version };
        self.write(spec, publish, context).await
    }

    /// Marks a specification as not to be used any more.
    ///
    /// # Errors
    /// As [`Self::update`], and [`Rejection::NoReason`].
    pub async fn deprecate(
        &self,
        spec: SpecId,
        reason: String,
        context: &Context,
    ) -> Result<Written, AppError> {
        let context = context.because(Some(&reason));
        let deprecate = DeprecateSpec { spec, reason };
        self.write(spec, deprecate, &context).await
    }

    /// Takes a specification away.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub async fn delete(
        &self,
        spec: SpecId,
        reason: Option<String>,
        context: &Context,
    ) -> Result<Written, AppError> {
        let context = context.because(reason.as_deref());
        let delete = DeleteSpec { spec, reason };
        self.write(spec, delete, &context).await
    }

    async fn write<C>(&self, id: SpecId, command: C, context: &Context) -> Result<Written, AppError>
    where
        C: Decide<Error = Rejection>,
    {
        let mut execute = self.0.engine.execute(command).metadata(context.metadata());
        if let Some(key) = &context.idempotency_key {
            execute = execute.idempotency_key(scoped(context, key)?);
        }
        if let Some(revision) = context.expected_revision {
            execute = execute.expected_version(revision);
        }
        let receipt = match (execute.await, context.expected_revision) {
            (Ok(receipt), _) => receipt,
            (Err(error), None) => return Err(error.into()),
            (Err(error), Some(expected)) => return Err(self.unexpected(id, error, expected).await),
        };
        self.shown(receipt.position()).await;
        self.written(id, &receipt).await
    }

    /// What is not there or was deleted is said to be so, whatever revision the caller expects
    /// (RFC 9110, 13.2.1).
    async fn unexpected(
        &self,
        id: SpecId,
        error: ExecuteError<Rejection>,
        expected: u64,
    ) -> AppError {
        let error = AppError::expecting(error, expected);
        if !matches!(error, AppError::RevisionMismatch { .. }) {
            return error;
        }
        match self.0.engine.load::<Spec>(&id).await {
            Err(error) => error.into(),
            Ok(spec) => match spec.life() {
                None => Rejection::NotFound.into(),
                Some(life) if life.state == SpecState::Deleted => Rejection::Deleted.into(),
                Some(_) => error,
            },
        }
    }

    /// How the specification stood right behind the write: others may have gone on since, and a repeated
    /// request gets the first answer again.
    async fn written(&self, id: SpecId, receipt: &Receipt) -> Result<Written, AppError> {
        let spec = self
            .0
            .engine
            .load::<Spec>(&id)
            .at_version(receipt.version())
            .await?;
        let life = spec.life().ok_or(Rejection::NotFound)?;
        Ok(Written {
            id,
            latest_version: life.latest(),
            published_version: life.published,
            state: life.state,
            revision: spec.version().get(),
            position: receipt.position(),
        })
    }
}

/// Each actor has keys of their own: nobody gets an answer that was meant for someone else.
fn scoped(context: &Context, key: &str) -> Result<String, AppError> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(AppError::Key { bytes: key.len() });
    }
    let actor = Uuid::new_v5(&Uuid::NAMESPACE_OID, context.actor().as_bytes());
    Ok(format!("{}-{key}", actor.simple()))
}
