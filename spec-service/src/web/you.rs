//! The page on which a visitor chooses their name.

use askama::Template;
use axum::Router;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum_extra::extract::CookieJar;
use serde::Deserialize;

use super::failure::{FailedPage, page};
use super::frame::Frame;
use super::visitor::{MAX_ACTOR, Visitor, cookie};
use crate::rest::Api;

/// Returns the routes of the page.
pub fn routes() -> Router<Api> {
    Router::new().route("/ui/you", get(show).post(save))
}

#[derive(Template)]
#[template(path = "you.html")]
struct YouPage {
    frame: Frame,
    actor: String,
    max: usize,
}

async fn show(visitor: Visitor) -> Response {
    let frame = visitor.frame("you");
    let actor = frame.actor.clone().unwrap_or_default();
    let max = MAX_ACTOR;
    page(StatusCode::OK, &YouPage { frame, actor, max })
}

#[derive(Deserialize)]
struct YouForm {
    actor: String,
}

async fn save(jar: CookieJar, Form(form): Form<YouForm>) -> Result<Response, FailedPage> {
    let name = form.actor.trim();
    let length = name.chars().count();
    if name.is_empty() || length > MAX_ACTOR || name.chars().any(char::is_control) {
        let detail = format!(
            "invalid name: {length} characters; it must have 1 to {MAX_ACTOR}, and no control characters"
        );
        return Err(FailedPage::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    Ok((jar.add(cookie(name)), Redirect::to("/")).into_response())
}
