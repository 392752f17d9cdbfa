//! Errors as a `google.rpc.Status` with details, and back.
//!
//! The details contain a `google.rpc.ErrorInfo` whose reason never changes, and a [`Refusal`](v1::Refusal) with the facts that
//! a client needs to decide what to do.

use std::collections::HashMap;
use std::time::Duration;

use factum_core::append::{Append, AppendError, Conflict, ExpectedVersion, Violation};
use factum_core::document::{DocumentError, Revision};
use factum_core::error::{BoxError, Denied, Outage, StoreError};
use factum_core::field::InvalidField;
use factum_core::position::{Position, Version};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::append::{expected, expected_message};
use crate::event::{id, stream};
use crate::invalid::InvalidMessage;
use crate::v1::refusal::Kind;
use crate::v1::violation::Kind as ViolationKind;
use crate::{ERROR_DOMAIN, v1};

/// The time after which a client may retry a request that the store could not serve.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The type of a [`Refusal`](v1::Refusal) in the details of a status.
const REFUSAL_TYPE: &str = "type.googleapis.com/factum.store.v1.Refusal";

/// The size of a message and its details in bytes, up to which they are sent unchanged.
const MAX_TRAILERS: usize = 4_096;

/// The size of a message in bytes at which it is truncated, if the details are too large.
const MAX_TRAILER_MESSAGE: usize = 1_024;

/// The reason of an error, in the `google.rpc.ErrorInfo` of its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A reader continues after a position that the log does not have.
    BeyondHead,
    /// The store is closed.
    Closed,
    /// The store does not meet the expectations of an append, or of document changes.
    Conflict,
    /// The data of the store is damaged.
    Corrupt,
    /// The user does not have a permission.
    Denied,
    /// An event with the same id is stored already.
    EventIdReused,
    /// The store failed.
    Failed,
    /// The store lost its database; the outcome is not known.
    Interrupted,
    /// The request violates a rule of the protocol or of the store.
    Invalid,
    /// The idempotency key was used for other content.
    KeyReused,
    /// The stream has no events.
    NotFound,
    /// An inline projection rejected the append.
    Projection,
    /// The store accepts no changes.
    ReadOnly,
    /// The client must wait after too many failed attempts to authenticate.
    Throttled,
    /// The credentials are missing or not valid.
    Unauthenticated,
    /// The store cannot serve the request now; nothing was stored.
    Unavailable,
    /// The store does not have the operation.
    Unsupported,
}

impl Reason {
    const ALL: [Self; 17] = [
        Self::BeyondHead,
        Self::Closed,
        Self::Conflict,
        Self::Corrupt,
        Self::Denied,
        Self::EventIdReused,
        Self::Failed,
        Self::Interrupted,
        Self::Invalid,
        Self::KeyReused,
        Self::NotFound,
        Self::Projection,
        Self::ReadOnly,
        Self::Throttled,
        Self::Unauthenticated,
        Self::Unavailable,
        Self::Unsupported,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::BeyondHead => "BEYOND_HEAD",
            Self::Closed => "CLOSED",
            Self::Conflict => "CONFLICT",
            Self::Corrupt => "CORRUPT",
            Self::Denied => "PERMISSION_DENIED",
            Self::EventIdReused => "EVENT_ID_REUSED",
            Self::Failed => "FAILED",
            Self::Interrupted => "INTERRUPTED",
            Self::Invalid => "INVALID_ARGUMENT",
            Self::KeyReused => "KEY_REUSED",
            Self::NotFound => "NOT_FOUND",
            Self::Projection => "PROJECTION_REJECTED",
            Self::ReadOnly => "READ_ONLY",
            Self::Throttled => "TOO_MANY_FAILED_ATTEMPTS",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unsupported => "UNSUPPORTED",
        }
    }

    fn code(self) -> Code {
        match self {
            Self::BeyondHead => Code::OutOfRange,
            Self::Conflict => Code::Aborted,
            Self::Corrupt => Code::DataLoss,
            Self::Denied => Code::PermissionDenied,
            Self::Failed => Code::Internal,
            Self::Interrupted => Code::Unknown,
            Self::Invalid => Code::InvalidArgument,
            Self::EventIdReused | Self::KeyReused => Code::AlreadyExists,
            Self::NotFound => Code::NotFound,
            Self::Projection | Self::ReadOnly => Code::FailedPrecondition,
            Self::Throttled => Code::ResourceExhausted,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::Closed | Self::Unavailable => Code::Unavailable,
            Self::Unsupported => Code::Unimplemented,
        }
    }

    /// Returns the reason in the details of a status; `None` if there is none, or a newer one.
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        let info = status.get_details_error_info()?;
        let is_named = |reason: &Self| reason.name() == info.reason;
        let known = Self::ALL.into_iter().find(is_named);
        known.filter(|_| info.domain == ERROR_DOMAIN)
    }
}

/// Converts the error of an append into a status.
#[must_use]
pub fn append_status(error: &AppendError) -> Status {
    let message = error.to_string();
    match error {
        AppendError::Conflict(conflict) => {
            refused(Reason::Conflict, message, conflict_message(conflict))
        }
        AppendError::KeyReused { key } => {
            let key = key.clone();
            let refusal = Kind::KeyReused(v1::KeyReused { key });
            refused(Reason::KeyReused, message, refusal)
        }
        AppendError::EventIdReused { id, position } => {
            let (id, position) = (id.to_string(), position.get());
            let refusal = Kind::EventIdReused(v1::EventIdReused { id, position });
            refused(Reason::EventIdReused, message, refusal)
        }
        AppendError::Invalid(_) => failed(Reason::Invalid, message),
        AppendError::Projection { error, .. } => {
            failed(Reason::Projection, format!("{message}: {error}"))
        }
        AppendError::Store(error) => store_status(error),
        _ => failed(Reason::Failed, message),
    }
}

/// Converts the error of a change of documents into a status.
#[must_use]
pub fn document_status(error: DocumentError) -> Status {
    match error {
        DocumentError::Invalid(invalid) => failed(Reason::Invalid, invalid.to_string()),
        error => append_status(&error.into()),
    }
}

/// Converts the error of a store into a status.
#[must_use]
pub fn store_status(error: &StoreError) -> Status {
    let reason = match error {
        StoreError::BeyondHead { position, head } => {
            let (position, head) = (position.get(), head.get());
            let refusal = Kind::BeyondHead(v1::BeyondHead { position, head });
            return refused(Reason::BeyondHead, error.to_string(), refusal);
        }
        StoreError::Denied(denied) => return denied_status(denied),
        StoreError::Unauthenticated(_) => Reason::Unauthenticated,
        StoreError::Unavailable(_) => Reason::Unavailable,
        StoreError::Interrupted(_) => Reason::Interrupted,
        StoreError::Corrupt(_) => Reason::Corrupt,
        StoreError::Invalid(_) => Reason::Invalid,
        StoreError::Unsupported { .. } => Reason::Unsupported,
        StoreError::ReadOnly => Reason::ReadOnly,
        StoreError::Closed => Reason::Closed,
        _ => Reason::Failed,
    };
    failed(reason, error.to_string())
}

/// Converts the violation of a rule of the protocol into a status.
#[must_use]
pub fn invalid_status(invalid: &InvalidMessage) -> Status {
    let mut details = details(Reason::Invalid);
    details.add_bad_request_violation(&invalid.field, &invalid.rule);
    Status::with_error_details(Code::InvalidArgument, invalid.to_string(), details)
}

/// Creates the status for a caller without a permission.
#[must_use]
pub fn denied_status(denied: &Denied) -> Status {
    let Denied {
        principal,
        permission,
        resource,
    } = denied.clone();
    let refusal = v1::Denied {
        principal,
        permission,
        resource,
    };
    refused(Reason::Denied, denied.to_string(), Kind::Denied(refusal))
}

/// Creates the status for a client that must wait after too many failed attempts to authenticate.
#[must_use]
pub fn throttled_status(retry_after: Duration) -> Status {
    let seconds = retry_after.as_secs_f64().ceil();
    let message =
        format!("too many failed attempts to authenticate; wait {seconds} s before the next one");
    let mut details = details(Reason::Throttled);
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Reason::Throttled.code(), message, details)
}

/// Creates the status for a stream without events.
#[must_use]
pub fn stream_not_found(stream: &str) -> Status {
    failed(
        Reason::NotFound,
        format!("the stream {stream:?} has no events"),
    )
}

fn details(reason: Reason) -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.name(), ERROR_DOMAIN, HashMap::new());
    if reason == Reason::Unavailable {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    details
}

fn failed(reason: Reason, message: String) -> Status {
    Status::with_error_details(reason.code(), message, details(reason))
}

fn refused(reason: Reason, message: String, kind: Kind) -> Status {
    let refusal = v1::Refusal { kind: Some(kind) };
    let standard = failed(reason, message);
    let mut rpc = tonic_types::Status::decode(standard.details()).unwrap_or_default();
    rpc.details.push(prost_types::Any {
        type_url: REFUSAL_TYPE.to_owned(),
        value: refusal.encode_to_vec(),
    });
    Status::with_details(
        standard.code(),
        standard.message(),
        rpc.encode_to_vec().into(),
    )
}

/// Returns the facts of a refused request.
#[must_use]
pub fn refusal_of(status: &Status) -> Option<v1::Refusal> {
    let rpc = tonic_types::Status::decode(status.details()).ok()?;
    let mut details = rpc.details.iter();
    let refusal = details.find(|any| any.type_url == REFUSAL_TYPE)?;
    v1::Refusal::decode(&*refusal.value).ok()
}

/// Returns the status in a form that fits into the trailers of a response.
///
/// Clients accept trailers of a few kibibytes. A long message is truncated, and further violations are only counted.
#[must_use]
pub fn for_trailers(status: Status) -> Status {
    if status.details().len() + status.message().len() <= MAX_TRAILERS {
        return status;
    }
    let mut failure = failure(&status);
    if failure.message.len() > MAX_TRAILER_MESSAGE {
        let end = failure.message.floor_char_boundary(MAX_TRAILER_MESSAGE);
        failure.message.truncate(end);
        failure.message.push('…');
    }
    if let Some(Kind::Conflict(conflict)) = failure.refusal.as_mut().and_then(|r| r.kind.as_mut()) {
        let mut bytes = 0;
        let fits = conflict.violations.iter().take_while(|violation| {
            bytes += violation.encoded_len();
            bytes <= MAX_TRAILERS
        });
        let kept = fits.count().max(1);
        conflict.omitted = (conflict.violations.len() - kept) as u32;
        conflict.violations.truncate(kept);
    }
    status_of(failure)
}

/// Converts the failure of one append in a stream of appends into a status.
#[must_use]
pub fn status_of(failure: v1::Failure) -> Status {
    let reason = Reason::ALL
        .into_iter()
        .find(|reason| reason.name() == failure.reason);
    match (reason, failure.refusal.and_then(|refusal| refusal.kind)) {
        (Some(reason), Some(kind)) => refused(reason, failure.message, kind),
        (Some(reason), None) => failed(reason, failure.message),
        (None, _) => Status::new(Code::from(failure.code), failure.message),
    }
}

/// Converts a status into the failure of one append in a stream of appends.
#[must_use]
pub fn failure(status: &Status) -> v1::Failure {
    let info = status.get_details_error_info();
    v1::Failure {
        code: status.code().into(),
        message: status.message().to_owned(),
        reason: info.map(|info| info.reason).unwrap_or_default(),
        refusal: refusal_of(status),
    }
}

fn conflict_message(conflict: &Conflict) -> Kind {
    let violations = conflict.violations.iter().map(|violation| v1::Violation {
        kind: Some(match violation {
            Violation::Version {
                stream,
                expected,
                actual,
            } => ViolationKind::Version(v1::VersionViolation {
                stream: stream.to_string(),
                expected: Some(expected_message(*expected)),
                actual: actual.get(),
            }),
            Violation::Condition { found, .. } => {
                let found = found.get();
                ViolationKind::Condition(v1::ConditionViolation { found })
            }
            Violation::Document {
                key,
                expected,
                actual,
            } => ViolationKind::Document(v1::DocumentViolation {
                key: key.clone(),
                expected_revision: expected.get(),
                actual_revision: actual.get(),
            }),
            Violation::MissingEvent { id } => ViolationKind::MissingEvent(id.to_string()),
            other => ViolationKind::Transaction(match other {
                Violation::Transaction { reason } => reason.clone(),
                other => other.to_string(),
            }),
        }),
    });
    Kind::Conflict(v1::Conflict {
        violations: violations.collect(),
        omitted: 0,
    })
}

/// Converts the status of an append into its error.
///
/// `append` is the request, whose append condition belongs to the error.
#[must_use]
pub fn append_error(status: Status, append: &Append) -> AppendError {
    match Reason::of(&status) {
        Some(Reason::Conflict) => match conflict(&status, append) {
            Some(conflict) => conflict.into(),
            None => store_error(status, RequestKind::Write).into(),
        },
        Some(Reason::KeyReused) => {
            let key = append.key.as_ref().map(|key| key.key.clone());
            let key = key.unwrap_or_default();
            AppendError::KeyReused { key }
        }
        Some(Reason::EventIdReused) => match reused_event_id(&status) {
            Some(reused) => reused,
            None => store_error(status, RequestKind::Write).into(),
        },
        Some(Reason::Projection) => AppendError::Projection {
            name: "of the server".to_owned(),
            error: status.message().into(),
        },
        _ => store_error(status, RequestKind::Write).into(),
    }
}

fn reused_event_id(status: &Status) -> Option<AppendError> {
    let Kind::EventIdReused(facts) = refusal_of(status)?.kind? else {
        return None;
    };
    Some(AppendError::EventIdReused {
        id: id("id", &facts.id).ok()?,
        position: Position::new(facts.position),
    })
}

/// Converts the status of a change of documents into its error.
#[must_use]
pub fn document_error(status: Status) -> DocumentError {
    let conflict = match Reason::of(&status) {
        Some(Reason::Conflict) => conflict(&status, &Append::default()),
        _ => None,
    };
    match conflict.and_then(|mut conflict| conflict.violations.pop()) {
        Some(Violation::Document {
            key,
            expected,
            actual,
        }) => DocumentError::RevisionConflict {
            key,
            expected,
            actual,
        },
        _ => store_error(status, RequestKind::Write).into(),
    }
}

/// The kind of a request, which decides what a lost connection means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// The request changes nothing.
    Read,
    /// The request may have changed the store if its answer was lost.
    Write,
}

/// Converts the status of a request into the error of a store.
#[must_use]
pub fn store_error(status: Status, access: RequestKind) -> StoreError {
    match Reason::of(&status) {
        Some(Reason::Unavailable | Reason::Closed | Reason::Throttled) => {
            StoreError::Unavailable(outage(status))
        }
        Some(Reason::Denied) => match refusal_of(&status).and_then(|refusal| refusal.kind) {
            Some(Kind::Denied(facts)) => StoreError::Denied(Denied {
                principal: facts.principal,
                permission: facts.permission,
                resource: facts.resource,
            }),
            _ => StoreError::Failed(status.into()),
        },
        Some(Reason::Unauthenticated) => {
            let reason = status.message().trim_start_matches("not authenticated: ");
            StoreError::Unauthenticated(reason.to_owned())
        }
        Some(Reason::Interrupted) => StoreError::Interrupted(outage(status)),
        Some(Reason::Corrupt) => StoreError::Corrupt(status.message().to_owned()),
        Some(Reason::ReadOnly) => StoreError::ReadOnly,
        Some(Reason::Invalid) => {
            InvalidField::text("request", status.message(), "the server rejected it").into()
        }
        Some(Reason::Unsupported) => {
            let operation = "an operation that the store of the server does not have";
            StoreError::Unsupported { operation }
        }
        Some(Reason::BeyondHead) => match refusal_of(&status).and_then(|refusal| refusal.kind) {
            Some(Kind::BeyondHead(facts)) => StoreError::BeyondHead {
                position: Position::new(facts.position),
                head: Position::new(facts.head),
            },
            _ => StoreError::Failed(status.into()),
        },
        Some(_) => StoreError::Failed(status.into()),
        None => transport_error(status, access),
    }
}

/// Converts a status that the transport or a proxy created.
fn transport_error(status: Status, access: RequestKind) -> StoreError {
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => {
            match access == RequestKind::Read || was_not_sent(&status) {
                true => StoreError::Unavailable(outage(status)),
                false => StoreError::Interrupted(outage(status)),
            }
        }
        // The server rejects a request before it uses the store.
        Code::ResourceExhausted => StoreError::Unavailable(outage(status)),
        _ => StoreError::Failed(status.into()),
    }
}

/// Returns whether no connection was established, so that the server did not receive the request.
#[must_use]
pub fn was_not_sent(status: &Status) -> bool {
    let first = std::error::Error::source(status);
    let mut chain = std::iter::successors(first, |error| error.source());
    chain.any(<dyn std::error::Error>::is::<tonic::ConnectError>)
}

fn outage(status: Status) -> Outage {
    Outage::from(BoxError::from(status))
}

fn conflict(status: &Status, append: &Append) -> Option<Conflict> {
    let Kind::Conflict(conflict) = refusal_of(status)?.kind? else {
        return None;
    };
    let violations = conflict.violations.into_iter();
    let violations: Option<Vec<_>> = violations
        .map(|violation| violation_of(violation.kind?, append))
        .collect();
    let violations = violations.filter(|violations| !violations.is_empty())?;
    Some(Conflict { violations })
}

fn violation_of(kind: ViolationKind, append: &Append) -> Option<Violation> {
    Some(match kind {
        ViolationKind::Version(facts) => {
            let expected: Result<ExpectedVersion, _> = expected("expected", facts.expected);
            Violation::Version {
                stream: stream("stream", facts.stream).ok()?,
                expected: expected.ok()?,
                actual: Version::new(facts.actual),
            }
        }
        ViolationKind::Condition(facts) => Violation::Condition {
            condition: append.condition.clone()?,
            found: Position::new(facts.found),
        },
        ViolationKind::Document(facts) => Violation::Document {
            key: facts.key,
            expected: Revision::new(facts.expected_revision),
            actual: Revision::new(facts.actual_revision),
        },
        ViolationKind::Transaction(reason) => Violation::Transaction { reason },
        ViolationKind::MissingEvent(text) => {
            let id = id("missing_event", &text).ok()?;
            Violation::MissingEvent { id }
        }
    })
}
