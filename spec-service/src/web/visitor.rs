//! [`Visitor`]: the person who uses the pages.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

use super::frame::Frame;
use crate::access::domain::Caller;
use crate::app::RequestContext;

/// The cookie with the name that a visitor has chosen.
const COOKIE: &str = "actor";

/// The maximum length of a name, in characters.
pub const MAX_ACTOR: usize = 60;

/// The person who uses the pages, by the name that they have chosen in development mode.
#[derive(Debug, Clone)]
pub struct Visitor {
    actor: Option<String>,
}

impl Visitor {
    /// Returns the header and the footer of a page in `section`.
    pub fn frame(&self, section: &'static str) -> Frame {
        Frame {
            section,
            actor: Some(self.context().actor().to_owned()),
        }
    }

    /// Returns the context of a request.
    pub fn context(&self) -> RequestContext {
        RequestContext::of(Caller::development(self.actor.as_deref()))
    }
}

/// Returns the cookie that stores the name.
pub fn cookie(actor: &str) -> Cookie<'static> {
    Cookie::build((COOKIE, actor.to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .permanent()
        .build()
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let jar = CookieJar::from_headers(&parts.headers);
        let actor = jar.get(COOKIE).and_then(|cookie| {
            let name = cookie.value().trim();
            let is_name = !name.is_empty() && name.chars().count() <= MAX_ACTOR;
            is_name.then(|| name.to_owned())
        });
        Ok(Self { actor })
    }
}
