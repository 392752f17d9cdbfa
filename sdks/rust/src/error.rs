//! [`ClientError`]: the error of a call, with its facts.

use std::fmt;
use std::time::Duration;

use factum_core::append::ExpectedVersion;
use factum_core::position::{Position, Version};
use factum_store_protocol::append::expected;
use factum_store_protocol::invalid::InvalidMessage;
use factum_store_protocol::refusal::{Reason, RequestKind, refusal_of, was_not_sent};
use factum_store_protocol::v1::StopReason;
use factum_store_protocol::v1::refusal::Kind as Facts;
use factum_store_protocol::v1::violation::Kind as ViolationKind;
use factum_store_protocol::{ERROR_DOMAIN, v1};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

/// A call failed.
#[derive(Debug)]
pub struct ClientError {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<Status>>,
}

/// The kind of a failure, with its facts.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store does not meet the expectations of an append.
    Conflict {
        /// The expectations that are not met.
        violations: Vec<UnmetExpectation>,
        /// The number of further violations.
        omitted: u32,
    },
    /// The idempotency key was used for other content.
    KeyReused {
        /// The key.
        key: String,
    },
    /// An event with the same id is stored already.
    EventIdReused {
        /// The id; `None` if the server did not send it.
        id: Option<Uuid>,
        /// The position of the stored event.
        position: Position,
    },
    /// A reader continues after a position that the log does not have, for example after a backup was restored.
    BeyondHead {
        /// The position of the reader.
        position: Position,
        /// The head of the log.
        head: Position,
    },
    /// The server rejected the request.
    InvalidArgument {
        /// The fields that violate a rule.
        fields: Vec<FieldViolation>,
    },
    /// The stream, or the consumer group, does not exist.
    NotFound,
    /// A consumer group of this name exists.
    GroupExists,
    /// The consumer group was changed: it has another generation.
    GroupChanged {
        /// The expected generation.
        expected: u64,
        /// The actual generation.
        actual: u64,
    },
    /// The consumer group is stopped.
    GroupStopped {
        /// The reason; `Unspecified` if this client does not know it.
        reason: StopReason,
        /// The position of the group.
        position: Position,
    },
    /// An inline projection of the server rejected the append.
    ProjectionRejected,
    /// The store of the server accepts no changes.
    ReadOnly,
    /// The server does not have the operation.
    Unsupported,
    /// The data of the server is damaged.
    Corrupt,
    /// The credentials are missing or not valid.
    Unauthenticated,
    /// The user does not have a permission.
    PermissionDenied {
        /// The caller, for example `user "shop"`.
        principal: String,
        /// The name of the permission, for example `append`.
        permission: String,
        /// The object of the call, for example `stream "order-7"`.
        resource: String,
    },
    /// A limit of the server was reached. Nothing was stored.
    ResourceExhausted,
    /// The timeout of the call has passed. It is not known whether an append was stored.
    DeadlineExceeded,
    /// The server cannot be reached or cannot serve the call now. Nothing was stored.
    Unavailable,
    /// The connection was lost before the answer arrived. It is not known whether an append was stored.
    Interrupted,
    /// An answer of the server violates the protocol.
    Protocol,
    /// The server failed.
    Failed,
}

/// An expectation of an append that the store does not meet.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum UnmetExpectation {
    /// A stream does not have the expected version.
    Version {
        /// The name of the stream.
        stream: String,
        /// The expected version; `None` if this client does not know its kind.
        expected: Option<ExpectedVersion>,
        /// The actual version.
        actual: Version,
    },
    /// An event after the position of the append condition matches its query.
    Condition {
        /// The position of the newest matching event.
        found: Position,
    },
    /// A document of the server does not have the expected revision.
    Document {
        /// The key of the document.
        key: String,
        /// The expected revision.
        expected: u64,
        /// The actual revision; 0 if the document does not exist.
        actual: u64,
    },
    /// The database rolled the append back because of a concurrent transaction.
    Transaction {
        /// The message of the database.
        message: String,
    },
    /// A required event is not stored.
    MissingEvent {
        /// The id of the event.
        id: String,
    },
    /// A violation of a kind that this client does not know.
    Unknown,
}

/// A field of a request that violates a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path of the field, for example `streams[0].expected`.
    pub field: String,
    /// The violated rule.
    pub rule: String,
}

impl ClientError {
    /// Returns the kind of the failure, with its facts.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Returns the message of the server, or of this client.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the time after which the server suggests to try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns whether the store does not meet the expectations of an append.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self.kind, ErrorKind::Conflict { .. })
    }

    /// Creates the error for an answer that violates the protocol.
    pub(crate) fn protocol(rule: impl fmt::Display) -> Self {
        Self {
            kind: ErrorKind::Protocol,
            message: format!("the answer of the server violates the protocol: {rule}"),
            retry_after: None,
            source: None,
        }
    }

    /// Creates the error for the last message of a consumer.
    pub(crate) fn stopped(stopped: v1::Stopped) -> Self {
        Self {
            kind: ErrorKind::GroupStopped {
                reason: stopped.reason(),
                position: Position::new(stopped.position),
            },
            message: stopped.message,
            retry_after: None,
            source: None,
        }
    }

    /// Converts the status of a call.
    pub(crate) fn of(status: Status, access: RequestKind) -> Self {
        let facts = refusal_of(&status).and_then(|refusal| refusal.kind);
        let kind = match Reason::of(&status) {
            Some(reason) => by_reason(reason, facts, &status),
            None => by_group_reason(&status).unwrap_or_else(|| by_code(&status, access)),
        };
        Self {
            kind,
            message: status.message().to_owned(),
            retry_after: status.get_details_retry_info().and_then(|i| i.retry_delay),
            source: Some(Box::new(status)),
        }
    }
}

impl From<InvalidMessage> for ClientError {
    fn from(invalid: InvalidMessage) -> Self {
        Self::protocol(invalid)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            ErrorKind::Conflict { .. } => "conflict",
            ErrorKind::KeyReused { .. } => "idempotency key reused",
            ErrorKind::EventIdReused { .. } => "event id reused",
            ErrorKind::BeyondHead { .. } => "beyond the head of the log",
            ErrorKind::InvalidArgument { .. } => "invalid request",
            ErrorKind::NotFound => "not found",
            ErrorKind::GroupExists => "consumer group exists",
            ErrorKind::GroupChanged { .. } => "consumer group changed",
            ErrorKind::GroupStopped { .. } => "consumer group stopped",
            ErrorKind::ProjectionRejected => "rejected by a projection",
            ErrorKind::ReadOnly => "read-only store",
            ErrorKind::Unsupported => "unsupported operation",
            ErrorKind::Corrupt => "damaged data",
            ErrorKind::Unauthenticated => "unauthenticated",
            ErrorKind::PermissionDenied { .. } => "permission denied",
            ErrorKind::ResourceExhausted => "limit of the server reached",
            ErrorKind::DeadlineExceeded => "timeout",
            ErrorKind::Unavailable => "server unavailable",
            ErrorKind::Interrupted => "connection lost, outcome unknown",
            ErrorKind::Protocol => "protocol violation",
            ErrorKind::Failed => "server failed",
        };
        write!(f, "{kind}: {}", self.message)
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The text of the status is the message; its source is the failure of the transport.
        self.source.as_deref().and_then(std::error::Error::source)
    }
}

fn by_reason(reason: Reason, facts: Option<Facts>, status: &Status) -> ErrorKind {
    match (reason, facts) {
        (Reason::Conflict, Some(Facts::Conflict(conflict))) => ErrorKind::Conflict {
            violations: conflict.violations.into_iter().map(unmet).collect(),
            omitted: conflict.omitted,
        },
        (Reason::Conflict, _) => ErrorKind::Conflict {
            violations: Vec::new(),
            omitted: 0,
        },
        (Reason::KeyReused, facts) => ErrorKind::KeyReused {
            key: match facts {
                Some(Facts::KeyReused(facts)) => facts.key,
                _ => String::new(),
            },
        },
        (Reason::EventIdReused, facts) => {
            let facts = match facts {
                Some(Facts::EventIdReused(facts)) => facts,
                _ => v1::EventIdReused::default(),
            };
            ErrorKind::EventIdReused {
                id: Uuid::try_parse(&facts.id).ok(),
                position: Position::new(facts.position),
            }
        }
        (Reason::BeyondHead, facts) => {
            let facts = match facts {
                Some(Facts::BeyondHead(facts)) => facts,
                _ => v1::BeyondHead::default(),
            };
            ErrorKind::BeyondHead {
                position: Position::new(facts.position),
                head: Position::new(facts.head),
            }
        }
        (Reason::Denied, facts) => denied(facts),
        (Reason::Unauthenticated, _) => ErrorKind::Unauthenticated,
        (Reason::Throttled, _) => ErrorKind::ResourceExhausted,
        (Reason::Invalid, _) => invalid_argument(status),
        (Reason::NotFound, _) => ErrorKind::NotFound,
        (Reason::Projection, _) => ErrorKind::ProjectionRejected,
        (Reason::ReadOnly, _) => ErrorKind::ReadOnly,
        (Reason::Unsupported, _) => ErrorKind::Unsupported,
        (Reason::Corrupt, _) => ErrorKind::Corrupt,
        (Reason::Unavailable | Reason::Closed, _) => ErrorKind::Unavailable,
        (Reason::Interrupted, _) => ErrorKind::Interrupted,
        (Reason::Failed, _) => ErrorKind::Failed,
    }
}

/// Converts a status with a reason of consumer groups. Its facts are texts.
fn by_group_reason(status: &Status) -> Option<ErrorKind> {
    let info = status.get_details_error_info()?;
    let fact = |name: &str| info.metadata.get(name).and_then(|text| text.parse().ok());
    let number = |name: &str| fact(name).unwrap_or_default();
    let kind = match &*info.reason {
        "GROUP_NOT_FOUND" => ErrorKind::NotFound,
        "GROUP_EXISTS" => ErrorKind::GroupExists,
        "GROUP_OTHER_GENERATION" => ErrorKind::GroupChanged {
            expected: number("expected"),
            actual: number("actual"),
        },
        "GROUP_STOPPED" => ErrorKind::GroupStopped {
            reason: StopReason::Unspecified,
            position: Position::new(number("position")),
        },
        "GROUP_LIMIT" => ErrorKind::ResourceExhausted,
        "GROUP_BUSY" => ErrorKind::Unavailable,
        _ => return None,
    };
    Some(kind).filter(|_| info.domain == ERROR_DOMAIN)
}

/// Converts a status that the transport, a proxy or a newer server created.
fn by_code(status: &Status, access: RequestKind) -> ErrorKind {
    match status.code() {
        Code::InvalidArgument => invalid_argument(status),
        Code::NotFound => ErrorKind::NotFound,
        Code::Unimplemented => ErrorKind::Unsupported,
        Code::DataLoss => ErrorKind::Corrupt,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::PermissionDenied => denied(None),
        Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        Code::DeadlineExceeded => ErrorKind::DeadlineExceeded,
        Code::Unavailable | Code::Unknown | Code::Cancelled => {
            match access == RequestKind::Read || was_not_sent(status) {
                true => ErrorKind::Unavailable,
                false => ErrorKind::Interrupted,
            }
        }
        _ => ErrorKind::Failed,
    }
}

fn denied(facts: Option<Facts>) -> ErrorKind {
    let facts = match facts {
        Some(Facts::Denied(facts)) => facts,
        _ => v1::Denied::default(),
    };
    ErrorKind::PermissionDenied {
        principal: facts.principal,
        permission: facts.permission,
        resource: facts.resource,
    }
}

fn invalid_argument(status: &Status) -> ErrorKind {
    let request = status.get_details_bad_request();
    let fields = request.map(|request| request.field_violations);
    let fields = fields.unwrap_or_default().into_iter();
    let fields = fields.map(|violation| FieldViolation {
        field: violation.field,
        rule: violation.description,
    });
    ErrorKind::InvalidArgument {
        fields: fields.collect(),
    }
}

fn unmet(violation: v1::Violation) -> UnmetExpectation {
    match violation.kind {
        Some(ViolationKind::Version(facts)) => UnmetExpectation::Version {
            stream: facts.stream,
            expected: expected("expected", facts.expected).ok(),
            actual: Version::new(facts.actual),
        },
        Some(ViolationKind::Condition(facts)) => UnmetExpectation::Condition {
            found: Position::new(facts.found),
        },
        Some(ViolationKind::Document(facts)) => UnmetExpectation::Document {
            key: facts.key,
            expected: facts.expected_revision,
            actual: facts.actual_revision,
        },
        Some(ViolationKind::Transaction(message)) => UnmetExpectation::Transaction { message },
        Some(ViolationKind::MissingEvent(id)) => UnmetExpectation::MissingEvent { id },
        None => UnmetExpectation::Unknown,
    }
}
