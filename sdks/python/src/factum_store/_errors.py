"""The errors of calls, and their conversion from a gRPC status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, TypeVar
from uuid import UUID

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtoMessage
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from factum_store._model import Expected, ExpectedVersion
from factum_store._proto import store_pb2 as pb

DOMAIN = "factum.store"

M = TypeVar("M", bound=ProtoMessage)


@dataclass(frozen=True, slots=True)
class VersionViolation:
    """A stream does not have the expected version."""

    stream: str
    """The name of the stream."""
    expected: ExpectedVersion | None
    """The expected version; ``None`` if this client does not know its kind."""
    actual: int
    """The actual version."""


@dataclass(frozen=True, slots=True)
class ConditionViolation:
    """An event after the position of the append condition matches its query."""

    found: int
    """The position of the newest matching event."""


@dataclass(frozen=True, slots=True)
class DocumentViolation:
    """A document of the server does not have the expected revision."""

    key: str
    """The key of the document."""
    expected: int
    """The expected revision."""
    actual: int
    """The actual revision; 0 if the document does not exist."""


@dataclass(frozen=True, slots=True)
class TransactionViolation:
    """The database rolled the append back because of a concurrent transaction."""

    message: str
    """The message of the database."""


@dataclass(frozen=True, slots=True)
class MissingEvent:
    """A required event is not stored."""

    id: str
    """The id of the event."""


@dataclass(frozen=True, slots=True)
class UnknownViolation:
    """A violation of a kind that this client does not know."""


Violation: TypeAlias = (
    VersionViolation | ConditionViolation | DocumentViolation | TransactionViolation | MissingEvent | UnknownViolation
)
"""A violated expectation of an append."""


@dataclass(frozen=True, slots=True)
class InvalidField:
    """A field of a request that violates a rule."""

    field: str
    """The path of the field, for example ``streams[0].expected``."""
    rule: str
    """The violated rule."""


class StoreError(Exception):
    """A call failed. Each kind of failure is a subclass."""

    kind: ClassVar[str]
    """The name of the kind, for example ``conflict``."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        """The message of the server, or of this client."""
        self.retry_after: float | None = None
        """The time in seconds after which the server suggests to try again."""


class ConflictError(StoreError):
    """The store does not meet the expectations of an append."""

    kind = "conflict"

    def __init__(self, message: str, violations: Sequence[Violation] = (), omitted: int = 0) -> None:
        super().__init__(message)
        self.violations = tuple(violations)
        """The violated expectations."""
        self.omitted = omitted
        """The number of further violations."""


class KeyReusedError(StoreError):
    """The idempotency key was used for other content."""

    kind = "key_reused"

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key
        """The key."""


class EventIdReusedError(StoreError):
    """An event with the same id is stored already."""

    kind = "event_id_reused"

    def __init__(self, message: str, id: UUID | None = None, position: int = 0) -> None:
        super().__init__(message)
        self.id = id
        """The id of the event."""
        self.position = position
        """The position of the stored event."""


class BeyondHeadError(StoreError):
    """A reader continues after a position that the log does not have, for example after a backup was restored."""

    kind = "beyond_head"

    def __init__(self, message: str, position: int = 0, head: int = 0) -> None:
        super().__init__(message)
        self.position = position
        """The position of the reader."""
        self.head = head
        """The head of the log."""


class InvalidArgumentError(StoreError):
    """The server rejected the request."""

    kind = "invalid_argument"

    def __init__(self, message: str, fields: Sequence[InvalidField] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)
        """The fields that violate a rule."""


class NotFoundError(StoreError):
    """The stream has no events, or there is no consumer group of this name."""

    kind = "not_found"


class GroupExistsError(StoreError):
    """A consumer group of this name exists."""

    kind = "group_exists"


class GroupChangedError(StoreError):
    """The consumer group is at another generation."""

    kind = "group_changed"

    def __init__(self, message: str, expected: int = 0, actual: int = 0) -> None:
        super().__init__(message)
        self.expected = expected
        """The expected generation."""
        self.actual = actual
        """The actual generation."""


class GroupStoppedError(StoreError):
    """The consumer group delivers no further events to this consumer."""

    kind = "group_stopped"

    def __init__(self, message: str, reason: str = "unknown", position: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        """The name of the reason, for example ``group_deleted``; ``unknown`` if it is not known."""
        self.position = position
        """The position of the group."""


class ProjectionRejectedError(StoreError):
    """An inline projection of the server rejected the append."""

    kind = "projection_rejected"


class ReadOnlyError(StoreError):
    """The store of the server accepts no changes."""

    kind = "read_only"


class UnsupportedError(StoreError):
    """The server does not have the operation."""

    kind = "unsupported"


class CorruptError(StoreError):
    """The data of the server is damaged."""

    kind = "corrupt"


class UnauthenticatedError(StoreError):
    """The credentials are missing or not valid."""

    kind = "unauthenticated"


class PermissionDeniedError(StoreError):
    """The caller does not have a permission."""

    kind = "permission_denied"

    def __init__(self, message: str, principal: str = "", permission: str = "", resource: str = "") -> None:
        super().__init__(message)
        self.principal = principal
        """The caller, for example ``user "shop"``."""
        self.permission = permission
        """The name of the permission, for example ``append``."""
        self.resource = resource
        """The object of the request, for example ``stream "order-7"``."""


class ResourceExhaustedError(StoreError):
    """A limit of the server was reached. Nothing was stored."""

    kind = "resource_exhausted"


class DeadlineExceededError(StoreError, TimeoutError):
    """The timeout of the call has passed. It is not known whether an append was stored."""

    kind = "deadline_exceeded"


class UnavailableError(StoreError):
    """The server cannot be reached or cannot serve the call now. Nothing was stored."""

    kind = "unavailable"


class OutcomeUnknownError(StoreError):
    """The connection was lost before the answer arrived. It is not known whether the append was stored."""

    kind = "interrupted"


class ProtocolError(StoreError):
    """An answer of the server violates the protocol."""

    kind = "protocol"


class FailedError(StoreError):
    """The server failed."""

    kind = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """The status with which a call has ended."""

    code: StatusCode
    message: str
    details: bytes = b""
    """An encoded ``google.rpc.Status``."""
    was_sent: bool = True
    """False if no connection was established, so that the server did not receive the request."""


class CallFailed(Exception):
    """A try of a call that failed. Transports raise it; clients convert it."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


_BY_REASON: Mapping[str, type[StoreError]] = {
    "CONFLICT": ConflictError,
    "KEY_REUSED": KeyReusedError,
    "EVENT_ID_REUSED": EventIdReusedError,
    "BEYOND_HEAD": BeyondHeadError,
    "INVALID_ARGUMENT": InvalidArgumentError,
    "NOT_FOUND": NotFoundError,
    "PROJECTION_REJECTED": ProjectionRejectedError,
    "READ_ONLY": ReadOnlyError,
    "UNAUTHENTICATED": UnauthenticatedError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "TOO_MANY_FAILED_ATTEMPTS": ResourceExhaustedError,
    "UNSUPPORTED": UnsupportedError,
    "CORRUPT": CorruptError,
    "UNAVAILABLE": UnavailableError,
    "CLOSED": UnavailableError,
    "INTERRUPTED": OutcomeUnknownError,
    "FAILED": FailedError,
    "GROUP_NOT_FOUND": NotFoundError,
    "GROUP_EXISTS": GroupExistsError,
    "GROUP_OTHER_GENERATION": GroupChangedError,
    "GROUP_STOPPED": GroupStoppedError,
    "GROUP_LIMIT": ResourceExhaustedError,
    "GROUP_BUSY": UnavailableError,
}

_BY_CODE: Mapping[StatusCode, type[StoreError]] = {
    StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    StatusCode.NOT_FOUND: NotFoundError,
    StatusCode.UNIMPLEMENTED: UnsupportedError,
    StatusCode.DATA_LOSS: CorruptError,
    StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
}

_LOST = frozenset({StatusCode.UNAVAILABLE, StatusCode.UNKNOWN, StatusCode.CANCELLED})
"""The codes of a lost connection, if the status has no reason."""


class _Details:
    """The details of a status."""

    def __init__(self, encoded: bytes) -> None:
        status = status_pb2.Status()
        try:
            status.ParseFromString(encoded)
        except DecodeError:
            status = status_pb2.Status()
        self._parts = status.details

    def find(self, kind: type[M]) -> M | None:
        """Returns the first detail of this type."""
        for part in self._parts:
            message = kind()
            try:
                if part.Unpack(message):
                    return message
            except DecodeError:
                continue
        return None

    def number(self, key: str) -> int:
        """Returns a fact of the reason, or 0."""
        info = self.find(error_details_pb2.ErrorInfo)
        text = "" if info is None else info.metadata.get(key, "")
        return int(text) if text.isdecimal() else 0


def error_of(status: Status, *, is_write: bool) -> StoreError:
    """Converts the status of a call into its error."""
    details = _Details(status.details)
    info = details.find(error_details_pb2.ErrorInfo)
    reason = info.reason if info is not None and info.domain == DOMAIN else ""
    kind = _BY_REASON.get(reason) or _by_code(status, is_write)
    error = _with_facts(kind, status.message, details)
    retry = details.find(error_details_pb2.RetryInfo)
    if retry is not None:
        error.retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return error


def _with_facts(kind: type[StoreError], message: str, details: _Details) -> StoreError:
    refusal = details.find(pb.Refusal) or pb.Refusal()
    if kind is ConflictError:
        violations = [_violation(violation) for violation in refusal.conflict.violations]
        return ConflictError(message, violations, refusal.conflict.omitted)
    if kind is KeyReusedError:
        return KeyReusedError(message, refusal.key_reused.key)
    if kind is EventIdReusedError:
        reused = refusal.event_id_reused
        return EventIdReusedError(message, _uuid(reused.id), reused.position)
    if kind is BeyondHeadError:
        return BeyondHeadError(message, refusal.beyond_head.position, refusal.beyond_head.head)
    if kind is PermissionDeniedError:
        denied = refusal.denied
        return PermissionDeniedError(message, denied.principal, denied.permission, denied.resource)
    if kind is GroupChangedError:
        return GroupChangedError(message, details.number("expected"), details.number("actual"))
    if kind is GroupStoppedError:
        return GroupStoppedError(message, position=details.number("position"))
    if kind is InvalidArgumentError:
        request = details.find(error_details_pb2.BadRequest) or error_details_pb2.BadRequest()
        fields = [InvalidField(part.field, part.description) for part in request.field_violations]
        return InvalidArgumentError(message, fields)
    return kind(message)


def _by_code(status: Status, is_write: bool) -> type[StoreError]:
    if status.code in _LOST:
        return OutcomeUnknownError if is_write and status.was_sent else UnavailableError
    return _BY_CODE.get(status.code, FailedError)


def _violation(violation: pb.Violation) -> Violation:
    kind: Literal["version", "condition", "document", "transaction", "missing_event"] | None
    kind = violation.WhichOneof("kind")
    if kind == "version":
        version = violation.version
        return VersionViolation(version.stream, _expected(version.expected), version.actual)
    if kind == "condition":
        return ConditionViolation(violation.condition.found)
    if kind == "document":
        document = violation.document
        return DocumentViolation(document.key, document.expected_revision, document.actual_revision)
    if kind == "transaction":
        return TransactionViolation(violation.transaction)
    if kind == "missing_event":
        return MissingEvent(violation.missing_event)
    return UnknownViolation()


def _expected(expected: pb.ExpectedVersion) -> ExpectedVersion | None:
    kind = expected.WhichOneof("kind")
    if kind is None:
        return None
    return expected.exact if kind == "exact" else Expected(kind)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
