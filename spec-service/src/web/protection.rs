//! The protection of pages: no other site can send forms, frame a page or add code to it.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::failure::FailedPage;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Refuses forms of other sites, and adds the security headers to each response.
pub async fn protect(request: Request, next: Next) -> Response {
    let is_safe = request.method().is_safe() || is_same_origin(request.headers());
    let mut response = if is_safe {
        next.run(request).await
    } else {
        let detail =
            "the form was sent by another site; open the page of this service and send it again";
        FailedPage::new(StatusCode::FORBIDDEN, detail).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Returns whether a browser sent the request from a page of this service.
fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site == "same-origin";
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin: Option<Uri> = text(header::ORIGIN).and_then(|origin| origin.parse().ok());
    let origin = origin.as_ref().and_then(Uri::authority);
    origin.is_some_and(|origin| text(header::HOST) == Some(origin.as_str()))
}
