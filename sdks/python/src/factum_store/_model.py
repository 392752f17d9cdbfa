"""The types that callers pass and receive."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

JsonValue: TypeAlias = Any
"""A value that ``json.dumps`` accepts."""

JSON: Final = "application/json"
"""The media type of JSON data."""

Direction: TypeAlias = Literal["forward", "backward"]
"""The order of a read: the oldest or the newest event is first."""


class Expected(Enum):
    """The version that a stream must have before an append, if it is not an exact number."""

    ANY = "any"
    """Any version, also 0."""
    NO_STREAM = "no_stream"
    """The stream has no events."""
    STREAM_EXISTS = "stream_exists"
    """The stream has events."""


ExpectedVersion: TypeAlias = "Expected | int"
"""An expected version: a number is exact, and 0 means a stream without events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The actor, the reason and the correlation of an event."""

    actor: str | None = None
    """The sender of the command."""
    reason: str | None = None
    """The reason, in the actor's words."""
    correlation_id: UUID | None = None
    """The id that everything shares that follows from one request."""
    causation_id: UUID | None = None
    """The id of the event or message that caused this one."""
    tenant: str | None = None
    """The tenant of the application."""
    trace_parent: str | None = None
    """The W3C trace context."""
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    """Further entries."""
    foreign: bytes = b""
    """The metadata that a client of another protocol has sent, byte for byte."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that is not stored yet."""

    event_type: str
    """The event type, for example ``account.opened``."""
    data: JsonValue | bytes = None
    """A JSON value, or bytes that are sent unchanged."""
    content_type: str | None = field(default=None, kw_only=True)
    """The media type; the default is ``application/json``, and ``application/octet-stream`` for bytes."""
    id: UUID | None = field(default=None, kw_only=True)
    """The id of the event; without one, the server creates it."""
    schema_version: int = field(default=1, kw_only=True)
    """The version of the event schema, from 1."""
    tags: Sequence[str] = field(default=(), kw_only=True)
    """The tags, by which queries find the event."""
    metadata: Metadata | None = field(default=None, kw_only=True)
    """The metadata."""


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event."""

    position: int
    """The position in the log, from 1, without gaps."""
    stream: str
    """The name of the stream."""
    version: int
    """The number of the event in its stream, from 1, without gaps."""
    id: UUID
    """The id of the event."""
    event_type: str
    """The event type."""
    schema_version: int
    """The version of the event schema, from 1."""
    content_type: str
    """The media type of the data."""
    data: bytes
    """The data. :meth:`json` decodes it."""
    tags: tuple[str, ...]
    """The tags."""
    metadata: Metadata
    """The metadata."""
    recorded_at: datetime
    """The time at which the event was stored, in UTC, in microseconds."""

    def json(self) -> JsonValue:
        """Decodes the data as JSON.

        Raises:
            ValueError: The data is not JSON.
        """
        return json.loads(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryItem:
    """One alternative of a query. An event matches if it meets every criterion that is set."""

    category: str | None = None
    """The text of the stream's name before the first ``-``, or the complete name."""
    stream_prefix: str | None = None
    """The beginning of the stream's name."""
    event_types: Sequence[str] = ()
    """The event types, one of which the event must have."""
    tags: Sequence[str] = ()
    """The tags that the event must have, all of them."""


Query: TypeAlias = "QueryItem | Sequence[QueryItem]"
"""A filter for events: an event matches if it matches one of the items. An empty sequence matches every event."""


@dataclass(frozen=True, slots=True)
class AppendCondition:
    """A condition of an append: no event after a position matches a query."""

    query: Query
    """The query that no newer event may match."""
    after: int
    """The position up to which the caller has read, usually the ``head`` of a read."""


@dataclass(frozen=True, slots=True)
class StreamAppend:
    """The events for one stream of an append.

    Events of several streams may be mixed: a stream may have several parts, which have the same expected version.
    """

    stream: str
    """The name of the stream: 1 to 512 bytes without control characters."""
    events: Sequence[NewEvent] = ()
    """The events; without events, only the version is checked."""
    expected: ExpectedVersion = field(kw_only=True)
    """The expected version."""


class Key(Enum):
    """The idempotency key of an append, if the caller does not set one."""

    GENERATED = "generated"
    """The client generates a key for each append."""
    NONE = "none"
    """The append has no key. It is not repeated if its outcome is unknown."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The result of an append."""

    position: int
    """The position of the last event; the head of the log if the append has no events."""
    count: int
    """The number of events. They have the positions up to ``position``, without a gap."""
    versions: Mapping[str, int]
    """The new versions of the streams that received events."""
    recorded_at: datetime
    """The time at which the events were stored, in UTC."""
    repeated: bool
    """True if this is the first result of the idempotency key; nothing was stored this time."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All stored events were delivered; new ones follow as they are stored."""

    position: int
    """The position up to which the log was examined."""


@dataclass(frozen=True, slots=True)
class FellBehind:
    """The reader is too slow for the new events; stored ones follow again. No event is missing."""

    position: int
    """The position up to which events were delivered."""
    head: int
    """The head of the log."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log was examined up to a position, and no further event matches."""

    position: int
    """The position from which a later subscription can start."""


Message: TypeAlias = Event | CaughtUp | FellBehind | Checkpoint
"""A message of a subscription. Each one has a ``position``."""


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """A stream of a list."""

    stream: str
    """The name of the stream."""
    version: int
    """The number of events."""
    position: int
    """The position of the last event."""


@dataclass(frozen=True, slots=True)
class EventTypeSummary:
    """An event type of a list."""

    event_type: str
    """The event type."""
    position: int
    """The position of its last event."""


@dataclass(frozen=True, slots=True)
class StreamDescription:
    """A stream and the time of its last event."""

    stream: str
    """The name of the stream."""
    version: int
    """The number of events."""
    position: int
    """The position of the last event."""
    changed_at: datetime
    """The time of the last event, in UTC."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The version, the backend, the features and the limits of a server."""

    version: str
    """The version of the server."""
    backend: str
    """The backend: ``memory``, ``sqlite`` or ``postgres``."""
    features: tuple[str, ...]
    """The optional operations that the server has, for example ``import``."""
    max_append_events: int
    """The maximum number of events in one append."""
    max_message_bytes: int
    """The maximum size of a request message in bytes."""
