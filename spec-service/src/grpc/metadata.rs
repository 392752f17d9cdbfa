//! What the metadata of a call says.

use factum::Position;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use super::status;
use crate::app::{Context, Written};

const MAX_ACTOR: usize = 200;
const POSITION: &str = "x-position";

/// Who calls, and on what terms.
pub(super) fn context<T>(request: &Request<T>, expected: Option<u64>) -> Result<Context, Status> {
    let actor = text(request, "x-user-id")?
        .map(str::trim)
        .filter(|actor| !actor.is_empty());
    if actor.is_some_and(|actor| actor.len() > MAX_ACTOR) {
        return Err(status::malformed("x-user-id", "it has more than 200 bytes"));
    }
    let correlation_id = text(request, "x-correlation-id")?
        .map(str::parse)
        .transpose();
    Ok(Context {
        actor: actor.map(str::to_owned),
        correlation_id: correlation_id
            .map_err(|_| status::malformed("x-correlation-id", "it is no UUID"))?,
        trace_parent: text(request, "traceparent")?.map(str::to_owned),
        idempotency_key: text(request, "idempotency-key")?.map(str::to_owned),
        expected_revision: expected,
        reason: None,
    })
}

/// The position up to which the caller knows what was written.
pub(super) fn known<T>(request: &Request<T>) -> Result<Option<Position>, Status> {
    let position = text(request, POSITION)?.map(str::parse).transpose();
    let position = position.map_err(|_| status::malformed(POSITION, "it is no number"))?;
    Ok(position.map(Position::new))
}

/// The answer to a change, with the position that shows it.
pub(super) fn stamped<T>(written: &Written, message: T) -> Response<T> {
    let mut response = Response::new(message);
    let position = MetadataValue::from(written.position.get());
    response.metadata_mut().insert(POSITION, position);
    response
}

fn text<'r, T>(request: &'r Request<T>, key: &str) -> Result<Option<&'r str>, Status> {
    let value = request
        .metadata()
        .get(key)
        .map(|value| std::str::from_utf8(value.as_bytes()));
    value
        .transpose()
        .map_err(|_| status::malformed(key, "it is not UTF-8"))
}
