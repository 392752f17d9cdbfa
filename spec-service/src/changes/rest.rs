//! The route `GET /v1/changes`: server-sent events.
//!
//! See <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use factum::Position;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::app::{ChangeFilter, NextChange, OpenChanges};
use crate::access::domain::InvalidScopeId;
use crate::app::AppError;
use crate::rest::Api;
use crate::rest::headers::{CallContext, LastEventId};
use crate::rest::input::Parameters;
use crate::rest::number::query_number;
use crate::rest::problem::{ApiResult, Problem};
use crate::specs::app::Change;
use crate::specs::domain::SpecId;

/// The longest time without a line. Proxies close connections that are silent for longer.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The time after which a client connects again.
const RETRY: Duration = Duration::from_secs(1);

/// Returns the route of changes.
pub fn routes() -> Router<Api> {
    Router::new().route("/v1/changes", get(changes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesParameters {
    #[serde(default, deserialize_with = "query_number")]
    from_position: Option<u64>,
    namespace: Option<String>,
    spec: Option<String>,
    events: Option<String>,
}

impl ChangesParameters {
    fn filter(&self) -> Result<ChangeFilter, Problem> {
        let spec = self.spec.as_deref().map(str::parse).transpose();
        let invalid = |_| Problem::malformed("invalid query parameter: `spec`; expected a UUID");
        let events = self.events.as_deref().unwrap_or_default().split(',');
        let events = events.map(str::trim).filter(|event| !event.is_empty());
        let namespace = self.namespace.as_deref().map(str::parse).transpose();
        let namespace =
            namespace.map_err(|error: InvalidScopeId| Problem::malformed(error.to_string()))?;
        Ok(ChangeFilter {
            namespace,
            spec: spec.map_err(invalid)?.map(SpecId),
            events: events.map(str::to_owned).collect(),
        })
    }
}

/// Handles `GET /v1/changes?from_position=&namespace=&spec=&events=`: stored changes, then new ones.
///
/// A client that connects again sends the position of its last event in `Last-Event-ID`, which counts.
async fn changes(
    State(api): State<Api>,
    CallContext(context): CallContext,
    LastEventId(last): LastEventId,
    Parameters(parameters): Parameters<ChangesParameters>,
) -> ApiResult {
    let filter = parameters.filter()?;
    let after_last = last.map(|last| last.saturating_add(1));
    let from = after_last.or(parameters.from_position).unwrap_or_default();
    let open = api
        .changes
        .open(Position::new(from), filter, &context)
        .await?;
    Ok(respond(open))
}

fn respond(open: OpenChanges) -> Response {
    let mut response = Sse::new(events(open)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Asks nginx not to collect the lines.
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    response
}

/// The state of a stream: open until it ends after an error, or because the service stops.
enum FeedState {
    Starting(OpenChanges),
    Open(OpenChanges),
    Ended,
}

fn events(open: OpenChanges) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(FeedState::Starting(open), |state| async {
        match state {
            FeedState::Starting(open) => {
                // The first line is sent at once, so that the client knows that the stream is open.
                let event = Event::default().retry(RETRY).comment("open");
                Some((Ok(event), FeedState::Open(open)))
            }
            FeedState::Open(mut open) => {
                let (event, is_last) = next_event(&mut open).await;
                let state = match is_last {
                    true => FeedState::Ended,
                    false => FeedState::Open(open),
                };
                Some((Ok(event), state))
            }
            FeedState::Ended => None,
        }
    })
}

/// Returns the next event, and whether it is the last one.
async fn next_event(open: &mut OpenChanges) -> (Event, bool) {
    let silent_until = Instant::now() + HEARTBEAT;
    let mut passed = None;
    loop {
        let next = tokio::select! {
            next = open.next() => next,
            () = sleep_until(silent_until) => return (heartbeat(passed), false),
        };
        match next {
            Ok(NextChange::Selected(change)) => match event(&change) {
                Ok(event) => return (event, false),
                Err(error) => return (failure(error), true),
            },
            Ok(NextChange::Passed(position)) => {
                passed = Some(position);
                if Instant::now() >= silent_until {
                    return (heartbeat(passed), false);
                }
            }
            Ok(NextChange::Stopping) => {
                return (Event::default().event("stopping").data("{}"), true);
            }
            Err(error) => return (failure(error), true),
        }
    }
}

/// Returns a line that a client ignores. It continues after the changes that were passed.
fn heartbeat(passed: Option<Position>) -> Event {
    let event = Event::default().comment("heartbeat");
    match passed {
        None => event,
        Some(position) => event.id(position.to_string()),
    }
}

#[derive(Serialize)]
struct StreamedChange<'a> {
    position: u64,
    spec_id: String,
    event_id: String,
    event_type: &'a str,
    revision: u64,
    occurred_at: String,
    actor: String,
    reason: Option<&'a str>,
    payload: &'a RawValue,
}

fn event(change: &Change) -> Result<Event, AppError> {
    let record = &change.event.record;
    let internal = |error: serde_json::Error| AppError::Internal(error.into());
    let body = StreamedChange {
        position: record.position.get(),
        spec_id: change.id.to_string(),
        event_id: record.id.to_string(),
        event_type: &record.name,
        revision: record.version.get(),
        occurred_at: record.recorded_at.to_string(),
        actor: change.actor(),
        reason: change.reason(),
        payload: serde_json::from_slice(&record.data).map_err(internal)?,
    };
    // The data of an event is stored as one line of JSON.
    let body = serde_json::to_string(&body).map_err(internal)?;
    Ok(Event::default()
        .id(record.position.to_string())
        .event(&record.name)
        .data(body))
}

/// Returns the event that ends a stream after an error: the problem, as in other responses.
fn failure(error: AppError) -> Event {
    let problem = Problem::from(error);
    Event::default().event("error").data(problem.to_json())
}
