//! What the metadata of a call says.

use tonic::{Request, Status};

use super::status;
use crate::app::Context;

const MAX_ACTOR: usize = 200;

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

fn text<'r, T>(request: &'r Request<T>, key: &str) -> Result<Option<&'r str>, Status> {
    let value = request
        .metadata()
        .get(key)
        .map(|value| std::str::from_utf8(value.as_bytes()));
    value
        .transpose()
        .map_err(|_| status::malformed(key, "it is not UTF-8"))
}
