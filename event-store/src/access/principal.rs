//! [`Principal`]: the user of a request, whose permissions are those of the current policy.

use std::sync::Arc;
use std::time::Duration;

use factum::Timestamp;
use factum::store::{Denied, Query, Read, Scope, StoreError};
use tokio::sync::watch;
use tokio::time::sleep;

use super::grants::{Grants, Missing};
use super::permission::Permission;
use super::policy::{Policy, Proof, Validity};
use super::refusals::record_denied;

/// The longest time until the expiry of credentials is checked again. The clock can be set.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// The user of a request. Clones share it.
///
/// Each check uses the policy of that moment, so a long call notices a change.
#[derive(Debug, Clone)]
pub struct Principal(Option<Arc<Known>>);

/// A user that was recognized by a proof.
#[derive(Debug)]
struct Known {
    user: String,
    proof: Proof,
    policies: watch::Receiver<Arc<Policy>>,
}

impl Principal {
    /// Creates the caller of a server without access control, who may do everything.
    #[must_use]
    pub fn anyone() -> Self {
        Self(None)
    }

    /// Creates the caller with a proof for `user`.
    #[must_use]
    pub fn known(user: String, proof: Proof, policies: watch::Receiver<Arc<Policy>>) -> Self {
        Self(Some(Arc::new(Known {
            user,
            proof,
            policies,
        })))
    }

    /// Returns the name of the user; `None` if the server has no access control.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.as_deref().map(|known| known.user.as_str())
    }

    /// Requires a permission for a stream, a document, a consumer group or an operation of operators, by its name.
    ///
    /// # Errors
    /// Returns [`StoreError::Denied`] without the permission, and [`StoreError::Unauthenticated`] if the credentials are
    /// not valid any more.
    pub fn require(&self, permission: Permission, name: &str) -> Result<(), StoreError> {
        self.check(|grants| grants.require(permission, name))
    }

    /// Returns whether the caller has a permission, without a record of the refusal.
    #[must_use]
    pub fn permits(&self, permission: Permission, name: &str) -> bool {
        let asked = self.ask(|grants| Ok(grants.require(permission, name).is_ok()));
        asked.is_ok_and(|permitted| permitted.unwrap_or(true))
    }

    /// Requires that the caller may read all events that can match `query`.
    ///
    /// # Errors
    /// Returns the errors of [`require`](Self::require).
    pub fn require_all(&self, query: &Query) -> Result<(), StoreError> {
        self.check(|grants| grants.require_all(query))
    }

    /// Requires the permissions for a read, and restricts a query to the events that the caller may read.
    pub(super) fn visible(&self, mut read: Read) -> Result<Read, StoreError> {
        match &read.scope {
            Scope::Stream(stream) => self.require(Permission::Read, stream.as_str())?,
            Scope::Streams(streams) => self.check(|grants| {
                let mut streams = streams.iter();
                streams.try_for_each(|stream| grants.require(Permission::Read, stream.as_str()))
            })?,
            Scope::All(query) => {
                if let Some(visible) = self.ask(|grants| grants.visible(query.clone()))? {
                    read.scope = Scope::All(visible);
                }
            }
        }
        Ok(read)
    }

    /// Returns the result of a check of the current permissions; every check succeeds without access control.
    pub(super) fn check(
        &self,
        check: impl FnOnce(&Grants) -> Result<(), Missing>,
    ) -> Result<(), StoreError> {
        match &self.0 {
            None => Ok(()),
            Some(known) => {
                let validity = known.validity()?;
                check(&validity.grants).map_err(|missing| known.denied(missing))
            }
        }
    }

    /// Returns the result of a question to the current permissions; `None` without access control.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&Grants) -> Result<T, Missing>,
    ) -> Result<Option<T>, StoreError> {
        let mut answer = None;
        self.check(|grants| {
            answer = Some(question(grants)?);
            Ok(())
        })?;
        Ok(answer)
    }

    /// Waits until the credentials are revoked or expire. Without access control, it waits without end.
    pub async fn revoked(&self) -> StoreError {
        let Some(known) = &self.0 else {
            return std::future::pending().await;
        };
        let mut policies = known.policies.clone();
        loop {
            policies.mark_unchanged();
            let until = match known.validity() {
                Ok(validity) => validity.until,
                Err(error) => return error,
            };
            let rest = until.map(|until| until.since(Timestamp::now()));
            tokio::select! {
                changed = policies.changed() => {
                    // The server has stopped, and its calls end with it.
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                }
                () = sleep(rest.unwrap_or(MAX_SLEEP).min(MAX_SLEEP)) => {}
            }
        }
    }
}

impl Known {
    fn validity(&self) -> Result<Validity, StoreError> {
        let policy = self.policies.borrow().clone();
        let validity = policy.validate(&self.user, &self.proof, Timestamp::now());
        validity.ok_or_else(|| {
            let reason = "the credentials were revoked or have expired; authenticate again";
            StoreError::Unauthenticated(reason.to_owned())
        })
    }

    fn denied(&self, missing: Missing) -> StoreError {
        let denied = Denied {
            principal: format!("user {:?}", self.user),
            permission: missing.permission.name().to_owned(),
            resource: missing.resource,
        };
        record_denied(&denied);
        denied.into()
    }
}
