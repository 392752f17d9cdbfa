//! The metadata of calls and responses.

use factum::Position;
use factum_server::trace::trace_parent;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use super::status;
use crate::access::domain::Caller;
use crate::app::RequestContext;

/// The maximum length of `x-actor`, in bytes.
const MAX_ACTOR_BYTES: usize = 200;
const POSITION: &str = "x-position";

/// Returns the caller and the conditions of a call.
pub fn context<T>(request: &Request<T>, expected: Option<u64>) -> Result<RequestContext, Status> {
    let actor = text(request, "x-actor")?
        .map(str::trim)
        .filter(|actor| !actor.is_empty());
    if let Some(actor) = actor.filter(|actor| actor.len() > MAX_ACTOR_BYTES) {
        let rule = format!(
            "too long, {} bytes; the limit is {MAX_ACTOR_BYTES}",
            actor.len()
        );
        return Err(status::malformed("x-actor", &rule));
    }
    let correlation_id = text(request, "x-correlation-id")?
        .map(str::parse)
        .transpose();
    Ok(RequestContext {
        caller: Caller::development(actor),
        correlation_id: correlation_id
            .map_err(|_| status::malformed("x-correlation-id", "expected a UUID"))?,
        trace_parent: trace_parent(request.metadata().as_ref()).map(str::to_owned),
        idempotency_key: text(request, "idempotency-key")?.map(str::to_owned),
        expected_revision: expected,
        reason: None,
    })
}

/// Returns the position that a list must have reached, if the caller sent one.
pub fn min_position<T>(request: &Request<T>) -> Result<Option<Position>, Status> {
    let Some(text) = text(request, POSITION)? else {
        return Ok(None);
    };
    match text.parse::<u64>() {
        Ok(position) if position.to_string() == text => Ok(Some(Position::new(position))),
        _ => Err(status::malformed(POSITION, "expected a number")),
    }
}

/// Creates the response to a write, with the position of the write in its metadata.
pub fn at_position<T>(position: Position, message: T) -> Response<T> {
    let mut response = Response::new(message);
    let position = MetadataValue::from(position.get());
    response.metadata_mut().insert(POSITION, position);
    response
}

fn text<'r, T>(request: &'r Request<T>, key: &str) -> Result<Option<&'r str>, Status> {
    let mut values = request.metadata().get_all(key).iter();
    let value = values.next();
    // A proxy could otherwise read another value than the service.
    if values.next().is_some() {
        return Err(status::malformed(key, "repeated; send it once"));
    }
    value
        .map(|value| std::str::from_utf8(value.as_bytes()))
        .transpose()
        .map_err(|_| status::malformed(key, "expected UTF-8"))
}
