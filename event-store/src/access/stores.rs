//! [`Stores`]: the only way from a request to the store.

use std::sync::Arc;

use factum::store::Store;
use tonic::{Request, Status};

/// The store of the server, from which each request gets its own view.
///
/// The services of every protocol hold this instead of the store, so that none of them can forget a check. A clone shares
/// the store.
#[derive(Clone)]
pub struct Stores {
    store: Arc<dyn Store>,
}

impl Stores {
    /// Creates the stores of a server without access control: every caller may do everything.
    #[must_use]
    pub fn unprotected(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Returns the store as the caller of `request` may use it.
    ///
    /// It stays valid for as long as the request runs. Take it before the request is consumed.
    ///
    /// # Errors
    /// Returns the status of the call if the caller is not known.
    pub fn for_request<T>(&self, request: &Request<T>) -> Result<Arc<dyn Store>, Status> {
        let _ = request;
        Ok(self.store.clone())
    }

    /// Returns the store without checks, for the work of the server itself.
    ///
    /// A service never answers a request from it.
    #[must_use]
    pub fn for_server(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}
