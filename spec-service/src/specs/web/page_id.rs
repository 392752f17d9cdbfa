//! [`PageId`]: the id in the path of a page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::rest::input::Id;
use crate::specs::domain::SpecId;
use crate::web::failure::FailedPage;

/// An extractor of the id in the path.
pub struct PageId(pub SpecId);

impl<S: Send + Sync> FromRequestParts<S> for PageId {
    type Rejection = FailedPage;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, FailedPage> {
        let id = Id::from_request_parts(parts, state).await;
        let id = id.map_err(|_| FailedPage::not_found("specification"))?;
        Ok(Self(id.0))
    }
}
