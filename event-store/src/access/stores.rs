//! [`Stores`]: the only way from a request to the store.

use std::path::Path;
use std::sync::Arc;

use factum::store::{Store, StoreError};
use factum_store_protocol::refusal::store_status;
use tonic::{Request, Status};

use super::authenticator::Authenticator;
use super::guard::GuardedStore;
use super::layer::AccessLayer;
use super::principal::Principal;
use super::reload::{AccessError, follow};
use super::traced_store::TracedStore;
use super::visible_log::VisibleLog;

/// The store of the server, from which each request gets its own view.
///
/// The services of every protocol hold this instead of the store, so that none of them can forget a check. A clone shares
/// the store.
#[derive(Clone)]
pub struct Stores {
    store: Arc<dyn Store>,
    /// `None` if the server has no access control.
    authenticator: Option<Arc<Authenticator>>,
}

impl Stores {
    /// Creates the stores of a server without access control: every caller may do everything.
    #[must_use]
    pub fn unprotected(store: Arc<dyn Store>) -> Self {
        let authenticator = None;
        Self {
            store,
            authenticator,
        }
    }

    /// Creates the stores of a server with the users in a file, which each SIGHUP reloads.
    ///
    /// All requests must pass the [`layer`](Self::layer). Call it within a Tokio runtime.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or is not valid.
    pub fn with_users(store: Arc<dyn Store>, file: &Path) -> Result<Self, AccessError> {
        let policies = follow(file)?;
        let authenticator = Authenticator::new(policies).map_err(AccessError::Random)?;
        let authenticator = Some(Arc::new(authenticator));
        Ok(Self {
            store,
            authenticator,
        })
    }

    /// Returns the layer that recognizes the callers of requests.
    #[must_use]
    pub fn layer(&self) -> AccessLayer {
        AccessLayer::new(self.authenticator.clone())
    }

    /// Returns the store as the caller of `request` may use it.
    ///
    /// It stays valid for as long as the request runs. Take it before the request is consumed.
    ///
    /// # Errors
    /// Returns UNAUTHENTICATED if the caller is not known.
    pub fn for_request<T>(&self, request: &Request<T>) -> Result<Arc<dyn Store>, Status> {
        let store = TracedStore::wrap(self.store.clone());
        if self.authenticator.is_none() {
            return Ok(store);
        }
        let principal = self.principal(request)?;
        Ok(Arc::new(GuardedStore::new(store, principal)))
    }

    /// Returns the log as the caller of `request` may read it, for pages that callers share.
    ///
    /// # Errors
    /// Returns UNAUTHENTICATED if the caller is not known.
    pub fn log_for_request<T>(&self, request: &Request<T>) -> Result<VisibleLog, Status> {
        let store = TracedStore::wrap(self.store.clone());
        Ok(VisibleLog::new(store, self.principal(request)?))
    }

    /// Returns the caller of `request`, for checks of objects that the server itself keeps, such as consumer groups.
    ///
    /// # Errors
    /// Returns UNAUTHENTICATED if the caller is not known.
    pub fn principal<T>(&self, request: &Request<T>) -> Result<Principal, Status> {
        if self.authenticator.is_none() {
            return Ok(Principal::anyone());
        }
        let caller = request.extensions().get::<Principal>().cloned();
        caller.ok_or_else(|| {
            let reason = "the request did not pass the layer for access";
            store_status(&StoreError::Unauthenticated(reason.to_owned()))
        })
    }

    /// Returns the store without checks, for the work of the server itself.
    ///
    /// A service that answers a request from it must first check its [`principal`](Self::principal).
    #[must_use]
    pub fn for_server(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}
