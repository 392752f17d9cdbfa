"""The conversion between messages of the protocol and the types of callers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from factum_store._errors import ProtocolError
from factum_store._model import (
    JSON,
    AppendCondition,
    Appended,
    Direction,
    Event,
    Expected,
    ExpectedVersion,
    Key,
    Metadata,
    NewEvent,
    Query,
    QueryItem,
    ServerInfo,
    StreamAppend,
    StreamDescription,
    StreamSummary,
)
from factum_store._proto import store_pb2 as pb

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def append_request(
    appends: Iterable[StreamAppend],
    condition: AppendCondition | None,
    required_events: Iterable[uuid.UUID],
    idempotency_key: str | Key,
) -> pb.AppendRequest:
    """Creates the request of an append."""
    streams, events = _parts(appends)
    request = pb.AppendRequest(
        streams=streams,
        events=events,
        required_events=[str(id) for id in required_events],
    )
    if condition is not None:
        request.condition.CopyFrom(pb.AppendCondition(query=query_message(condition.query), after=condition.after))
    if idempotency_key is not Key.NONE:
        is_generated = isinstance(idempotency_key, Key)
        request.idempotency_key.key = str(uuid.uuid4()) if is_generated else str(idempotency_key)
    return request


def _parts(appends: Iterable[StreamAppend]) -> tuple[list[pb.ExpectedStream], list[pb.NewEvent]]:
    places: dict[str, int] = {}
    streams: list[pb.ExpectedStream] = []
    events: list[pb.NewEvent] = []
    for append in appends:
        expected = _expected_stream(append)
        place = places.setdefault(append.stream, len(streams))
        if place == len(streams):
            streams.append(expected)
        elif streams[place] != expected:
            raise ValueError(
                f"two expected versions of the stream {append.stream!r}; give all of its parts the same one"
            )
        events.extend(_new_event(event, place) for event in append.events)
    return streams, events


def _expected_stream(append: StreamAppend) -> pb.ExpectedStream:
    return pb.ExpectedStream(stream=append.stream, expected=_expected_message(append.expected))


def _expected_message(expected: ExpectedVersion) -> pb.ExpectedVersion:
    if not isinstance(expected, Expected):
        return pb.ExpectedVersion(exact=expected)
    if expected is Expected.ANY:
        return pb.ExpectedVersion(any=pb.Unit())
    if expected is Expected.NO_STREAM:
        return pb.ExpectedVersion(no_stream=pb.Unit())
    return pb.ExpectedVersion(stream_exists=pb.Unit())


def _encode(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def _new_event(event: NewEvent, stream: int) -> pb.NewEvent:
    is_bytes = isinstance(event.data, bytes)
    content_type = event.content_type
    if content_type is None:
        content_type = "application/octet-stream" if is_bytes else ""
    elif not is_bytes and content_type != JSON:
        raise TypeError(f"data of the content type {content_type!r} must be bytes")
    message = pb.NewEvent(
        event_type=event.event_type,
        # The version 1 is the default of the protocol.
        schema_version=event.schema_version if event.schema_version != 1 else 0,
        content_type=content_type,
        data=event.data if is_bytes else _encode(event.data),
        tags=event.tags,
        stream=stream,
    )
    if event.id is not None:
        message.id = str(event.id)
    if event.metadata is not None:
        message.metadata.CopyFrom(_metadata_message(event.metadata))
    return message


def _metadata_message(metadata: Metadata) -> pb.Metadata:
    return pb.Metadata(
        actor=metadata.actor,
        reason=metadata.reason,
        correlation_id=_text(metadata.correlation_id),
        causation_id=_text(metadata.causation_id),
        tenant=metadata.tenant,
        trace_parent=metadata.trace_parent,
        extra=_encode(metadata.extra) if metadata.extra else b"",
        foreign=metadata.foreign,
    )


def _text(id: uuid.UUID | None) -> str | None:
    return None if id is None else str(id)


def query_message(query: Query) -> pb.Query:
    """Converts a query."""
    items: Sequence[QueryItem] = [query] if isinstance(query, QueryItem) else query
    return pb.Query(
        items=[
            pb.Query.Item(
                category=item.category,
                stream_prefix=item.stream_prefix,
                event_types=item.event_types,
                tags=item.tags,
            )
            for item in items
        ]
    )


def direction_message(direction: Direction) -> pb.Direction:
    """Converts the direction of a read."""
    if direction == "forward":
        return pb.DIRECTION_FORWARD
    if direction == "backward":
        return pb.DIRECTION_BACKWARD
    raise ValueError(f"invalid direction: {direction!r}; expected 'forward' or 'backward'")


def duration_message(seconds: float) -> Duration:
    """Converts a duration in seconds."""
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message


def appended(message: pb.AppendResponse) -> Appended:
    """Converts the result of an append."""
    return Appended(
        position=message.position,
        count=message.count,
        versions={part.stream: part.version for part in message.streams},
        recorded_at=time_of("recorded_at", message, message.recorded_at),
        repeated=message.repeated,
    )


def events(messages: Iterable[pb.Event]) -> list[Event]:
    """Converts stored events."""
    return [_event(message) for message in messages]


def _event(message: pb.Event) -> Event:
    return Event(
        position=message.position,
        stream=message.stream,
        version=message.version,
        id=_uuid("id", message.id),
        event_type=message.event_type,
        schema_version=message.schema_version,
        content_type=message.content_type or JSON,
        data=message.data,
        tags=tuple(message.tags),
        metadata=_metadata(message.metadata),
        recorded_at=time_of("recorded_at", message, message.recorded_at),
    )


def _metadata(message: pb.Metadata) -> Metadata:
    def optional(field: str) -> Any:
        return getattr(message, field) if message.HasField(field) else None

    def optional_id(field: str) -> uuid.UUID | None:
        text = optional(field)
        return None if text is None else _uuid(field, text)

    return Metadata(
        actor=optional("actor"),
        reason=optional("reason"),
        correlation_id=optional_id("correlation_id"),
        causation_id=optional_id("causation_id"),
        tenant=optional("tenant"),
        trace_parent=optional("trace_parent"),
        extra=_extra(message.extra),
        foreign=message.foreign,
    )


def _extra(encoded: bytes) -> dict[str, Any]:
    if not encoded:
        return {}
    try:
        value = json.loads(encoded)
    except ValueError as error:
        raise ProtocolError(f"invalid metadata.extra from the server: {error}") from error
    if not isinstance(value, dict):
        raise ProtocolError("invalid metadata.extra from the server; expected a JSON object")
    return value


def _uuid(field: str, text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise ProtocolError(f"invalid {field} from the server: {text!r}; expected a UUID") from error


def time_of(field: str, parent: Any, message: Timestamp) -> datetime:
    """Converts a time, which is required."""
    if not parent.HasField(field):
        raise ProtocolError(f"missing {field} from the server")
    try:
        return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError as error:
        raise ProtocolError(f"invalid {field} from the server: {message.seconds} s") from error


def summary(message: pb.StreamSummary) -> StreamSummary:
    """Converts a stream of a list."""
    return StreamSummary(message.stream, message.version, message.position)


def description(message: pb.DescribeStreamResponse) -> StreamDescription:
    """Converts the description of a stream."""
    if not message.HasField("stream"):
        raise ProtocolError("missing stream from the server")
    stream = message.stream
    changed_at = time_of("changed_at", message, message.changed_at)
    return StreamDescription(stream.stream, stream.version, stream.position, changed_at)


def server_info(message: pb.GetServerInfoResponse) -> ServerInfo:
    """Converts the description of a server."""
    return ServerInfo(
        version=message.version,
        backend=message.backend,
        features=tuple(message.features),
        max_append_events=message.max_append_events,
        max_message_bytes=message.max_message_bytes,
    )
