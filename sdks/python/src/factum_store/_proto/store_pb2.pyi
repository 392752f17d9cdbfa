import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_FORWARD: _ClassVar[Direction]
    DIRECTION_BACKWARD: _ClassVar[Direction]
DIRECTION_UNSPECIFIED: Direction
DIRECTION_FORWARD: Direction
DIRECTION_BACKWARD: Direction

class Unit(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Metadata(_message.Message):
    __slots__ = ("actor", "reason", "correlation_id", "causation_id", "tenant", "trace_parent", "extra", "foreign")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSATION_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TRACE_PARENT_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    FOREIGN_FIELD_NUMBER: _ClassVar[int]
    actor: str
    reason: str
    correlation_id: str
    causation_id: str
    tenant: str
    trace_parent: str
    extra: bytes
    foreign: bytes
    def __init__(self, actor: _Optional[str] = ..., reason: _Optional[str] = ..., correlation_id: _Optional[str] = ..., causation_id: _Optional[str] = ..., tenant: _Optional[str] = ..., trace_parent: _Optional[str] = ..., extra: _Optional[bytes] = ..., foreign: _Optional[bytes] = ...) -> None: ...

class NewEvent(_message.Message):
    __slots__ = ("id", "event_type", "schema_version", "content_type", "data", "tags", "metadata", "stream")
    ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    id: str
    event_type: str
    schema_version: int
    content_type: str
    data: bytes
    tags: _containers.RepeatedScalarFieldContainer[str]
    metadata: Metadata
    stream: int
    def __init__(self, id: _Optional[str] = ..., event_type: _Optional[str] = ..., schema_version: _Optional[int] = ..., content_type: _Optional[str] = ..., data: _Optional[bytes] = ..., tags: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Union[Metadata, _Mapping]] = ..., stream: _Optional[int] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("position", "stream", "version", "id", "event_type", "schema_version", "content_type", "data", "tags", "metadata", "recorded_at")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    position: int
    stream: str
    version: int
    id: str
    event_type: str
    schema_version: int
    content_type: str
    data: bytes
    tags: _containers.RepeatedScalarFieldContainer[str]
    metadata: Metadata
    recorded_at: _timestamp_pb2.Timestamp
    def __init__(self, position: _Optional[int] = ..., stream: _Optional[str] = ..., version: _Optional[int] = ..., id: _Optional[str] = ..., event_type: _Optional[str] = ..., schema_version: _Optional[int] = ..., content_type: _Optional[str] = ..., data: _Optional[bytes] = ..., tags: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Union[Metadata, _Mapping]] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExpectedVersion(_message.Message):
    __slots__ = ("any", "no_stream", "stream_exists", "exact")
    ANY_FIELD_NUMBER: _ClassVar[int]
    NO_STREAM_FIELD_NUMBER: _ClassVar[int]
    STREAM_EXISTS_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    any: Unit
    no_stream: Unit
    stream_exists: Unit
    exact: int
    def __init__(self, any: _Optional[_Union[Unit, _Mapping]] = ..., no_stream: _Optional[_Union[Unit, _Mapping]] = ..., stream_exists: _Optional[_Union[Unit, _Mapping]] = ..., exact: _Optional[int] = ...) -> None: ...

class ExpectedStream(_message.Message):
    __slots__ = ("stream", "expected")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    stream: str
    expected: ExpectedVersion
    def __init__(self, stream: _Optional[str] = ..., expected: _Optional[_Union[ExpectedVersion, _Mapping]] = ...) -> None: ...

class Query(_message.Message):
    __slots__ = ("items",)
    class Item(_message.Message):
        __slots__ = ("category", "stream_prefix", "event_types", "tags")
        CATEGORY_FIELD_NUMBER: _ClassVar[int]
        STREAM_PREFIX_FIELD_NUMBER: _ClassVar[int]
        EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
        TAGS_FIELD_NUMBER: _ClassVar[int]
        category: str
        stream_prefix: str
        event_types: _containers.RepeatedScalarFieldContainer[str]
        tags: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, category: _Optional[str] = ..., stream_prefix: _Optional[str] = ..., event_types: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Query.Item]
    def __init__(self, items: _Optional[_Iterable[_Union[Query.Item, _Mapping]]] = ...) -> None: ...

class AppendCondition(_message.Message):
    __slots__ = ("query", "after")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    query: Query
    after: int
    def __init__(self, query: _Optional[_Union[Query, _Mapping]] = ..., after: _Optional[int] = ...) -> None: ...

class IdempotencyKey(_message.Message):
    __slots__ = ("key", "fingerprint")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    key: str
    fingerprint: bytes
    def __init__(self, key: _Optional[str] = ..., fingerprint: _Optional[bytes] = ...) -> None: ...

class DocumentChange(_message.Message):
    __slots__ = ("key", "expected_revision", "put", "delete", "keep")
    KEY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    key: str
    expected_revision: int
    put: str
    delete: Unit
    keep: Unit
    def __init__(self, key: _Optional[str] = ..., expected_revision: _Optional[int] = ..., put: _Optional[str] = ..., delete: _Optional[_Union[Unit, _Mapping]] = ..., keep: _Optional[_Union[Unit, _Mapping]] = ...) -> None: ...

class AppendRequest(_message.Message):
    __slots__ = ("streams", "condition", "idempotency_key", "document_changes", "required_events", "events")
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_CHANGES_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_EVENTS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    streams: _containers.RepeatedCompositeFieldContainer[ExpectedStream]
    condition: AppendCondition
    idempotency_key: IdempotencyKey
    document_changes: _containers.RepeatedCompositeFieldContainer[DocumentChange]
    required_events: _containers.RepeatedScalarFieldContainer[str]
    events: _containers.RepeatedCompositeFieldContainer[NewEvent]
    def __init__(self, streams: _Optional[_Iterable[_Union[ExpectedStream, _Mapping]]] = ..., condition: _Optional[_Union[AppendCondition, _Mapping]] = ..., idempotency_key: _Optional[_Union[IdempotencyKey, _Mapping]] = ..., document_changes: _Optional[_Iterable[_Union[DocumentChange, _Mapping]]] = ..., required_events: _Optional[_Iterable[str]] = ..., events: _Optional[_Iterable[_Union[NewEvent, _Mapping]]] = ...) -> None: ...

class AppendResponse(_message.Message):
    __slots__ = ("position", "count", "streams", "recorded_at", "repeated")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    position: int
    count: int
    streams: _containers.RepeatedCompositeFieldContainer[StreamVersion]
    recorded_at: _timestamp_pb2.Timestamp
    repeated: bool
    def __init__(self, position: _Optional[int] = ..., count: _Optional[int] = ..., streams: _Optional[_Iterable[_Union[StreamVersion, _Mapping]]] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., repeated: bool = ...) -> None: ...

class StreamVersion(_message.Message):
    __slots__ = ("stream", "version")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    stream: str
    version: int
    def __init__(self, stream: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class AppendStreamRequest(_message.Message):
    __slots__ = ("request_id", "append")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    APPEND_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    append: AppendRequest
    def __init__(self, request_id: _Optional[int] = ..., append: _Optional[_Union[AppendRequest, _Mapping]] = ...) -> None: ...

class AppendStreamResponse(_message.Message):
    __slots__ = ("request_id", "appended", "failed")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    APPENDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    appended: AppendResponse
    failed: Failure
    def __init__(self, request_id: _Optional[int] = ..., appended: _Optional[_Union[AppendResponse, _Mapping]] = ..., failed: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("code", "message", "reason", "refusal")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    reason: str
    refusal: Refusal
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., reason: _Optional[str] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class FindAppendRequest(_message.Message):
    __slots__ = ("idempotency_key",)
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: IdempotencyKey
    def __init__(self, idempotency_key: _Optional[_Union[IdempotencyKey, _Mapping]] = ...) -> None: ...

class FindAppendResponse(_message.Message):
    __slots__ = ("appended",)
    APPENDED_FIELD_NUMBER: _ClassVar[int]
    appended: AppendResponse
    def __init__(self, appended: _Optional[_Union[AppendResponse, _Mapping]] = ...) -> None: ...

class ImportRequest(_message.Message):
    __slots__ = ("append", "recorded_at")
    APPEND_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    append: AppendRequest
    recorded_at: _timestamp_pb2.Timestamp
    def __init__(self, append: _Optional[_Union[AppendRequest, _Mapping]] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ImportResponse(_message.Message):
    __slots__ = ("appended",)
    APPENDED_FIELD_NUMBER: _ClassVar[int]
    appended: AppendResponse
    def __init__(self, appended: _Optional[_Union[AppendResponse, _Mapping]] = ...) -> None: ...

class ReadStreamRequest(_message.Message):
    __slots__ = ("stream", "direction", "cursor", "limit", "must_exist")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MUST_EXIST_FIELD_NUMBER: _ClassVar[int]
    stream: str
    direction: Direction
    cursor: int
    limit: int
    must_exist: bool
    def __init__(self, stream: _Optional[str] = ..., direction: _Optional[_Union[Direction, str]] = ..., cursor: _Optional[int] = ..., limit: _Optional[int] = ..., must_exist: bool = ...) -> None: ...

class ReadStreamResponse(_message.Message):
    __slots__ = ("events", "head", "more")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    head: int
    more: bool
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., head: _Optional[int] = ..., more: bool = ...) -> None: ...

class StreamNames(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class ReadAllRequest(_message.Message):
    __slots__ = ("query", "streams", "direction", "cursor", "limit")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    query: Query
    streams: StreamNames
    direction: Direction
    cursor: int
    limit: int
    def __init__(self, query: _Optional[_Union[Query, _Mapping]] = ..., streams: _Optional[_Union[StreamNames, _Mapping]] = ..., direction: _Optional[_Union[Direction, str]] = ..., cursor: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ReadAllResponse(_message.Message):
    __slots__ = ("events", "head", "more")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    head: int
    more: bool
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., head: _Optional[int] = ..., more: bool = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("query", "after", "live_only", "heartbeat", "max_batch")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIVE_ONLY_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_FIELD_NUMBER: _ClassVar[int]
    query: Query
    after: int
    live_only: Unit
    heartbeat: _duration_pb2.Duration
    max_batch: int
    def __init__(self, query: _Optional[_Union[Query, _Mapping]] = ..., after: _Optional[int] = ..., live_only: _Optional[_Union[Unit, _Mapping]] = ..., heartbeat: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_batch: _Optional[int] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("events", "caught_up", "fell_behind", "checkpoint")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    FELL_BEHIND_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    events: EventBatch
    caught_up: CaughtUp
    fell_behind: FellBehind
    checkpoint: Checkpoint
    def __init__(self, events: _Optional[_Union[EventBatch, _Mapping]] = ..., caught_up: _Optional[_Union[CaughtUp, _Mapping]] = ..., fell_behind: _Optional[_Union[FellBehind, _Mapping]] = ..., checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ...) -> None: ...

class EventBatch(_message.Message):
    __slots__ = ("events", "position")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    position: int
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., position: _Optional[int] = ...) -> None: ...

class CaughtUp(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: int
    def __init__(self, position: _Optional[int] = ...) -> None: ...

class FellBehind(_message.Message):
    __slots__ = ("position", "head")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    position: int
    head: int
    def __init__(self, position: _Optional[int] = ..., head: _Optional[int] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: int
    def __init__(self, position: _Optional[int] = ...) -> None: ...

class WatchHeadRequest(_message.Message):
    __slots__ = ("heartbeat",)
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    heartbeat: _duration_pb2.Duration
    def __init__(self, heartbeat: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchHeadResponse(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: int
    def __init__(self, position: _Optional[int] = ...) -> None: ...

class GetHeadRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetHeadResponse(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: int
    def __init__(self, position: _Optional[int] = ...) -> None: ...

class ListStreamsRequest(_message.Message):
    __slots__ = ("category", "page_size", "page_token")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    category: str
    page_size: int
    page_token: str
    def __init__(self, category: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListStreamsResponse(_message.Message):
    __slots__ = ("streams", "next_page_token")
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    streams: _containers.RepeatedCompositeFieldContainer[StreamSummary]
    next_page_token: str
    def __init__(self, streams: _Optional[_Iterable[_Union[StreamSummary, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class StreamSummary(_message.Message):
    __slots__ = ("stream", "version", "position")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    stream: str
    version: int
    position: int
    def __init__(self, stream: _Optional[str] = ..., version: _Optional[int] = ..., position: _Optional[int] = ...) -> None: ...

class ListEventTypesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEventTypesResponse(_message.Message):
    __slots__ = ("event_types", "next_page_token")
    EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    event_types: _containers.RepeatedCompositeFieldContainer[EventTypeSummary]
    next_page_token: str
    def __init__(self, event_types: _Optional[_Iterable[_Union[EventTypeSummary, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class EventTypeSummary(_message.Message):
    __slots__ = ("event_type", "position")
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    event_type: str
    position: int
    def __init__(self, event_type: _Optional[str] = ..., position: _Optional[int] = ...) -> None: ...

class DescribeStreamRequest(_message.Message):
    __slots__ = ("stream",)
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: str
    def __init__(self, stream: _Optional[str] = ...) -> None: ...

class DescribeStreamResponse(_message.Message):
    __slots__ = ("stream", "changed_at")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    stream: StreamSummary
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, stream: _Optional[_Union[StreamSummary, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "backend", "features", "max_append_events", "max_message_bytes")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    MAX_APPEND_EVENTS_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    version: str
    backend: str
    features: _containers.RepeatedScalarFieldContainer[str]
    max_append_events: int
    max_message_bytes: int
    def __init__(self, version: _Optional[str] = ..., backend: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., max_append_events: _Optional[int] = ..., max_message_bytes: _Optional[int] = ...) -> None: ...

class ChangeDocumentsRequest(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[DocumentChange]
    def __init__(self, changes: _Optional[_Iterable[_Union[DocumentChange, _Mapping]]] = ...) -> None: ...

class ChangeDocumentsResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class Document(_message.Message):
    __slots__ = ("key", "revision", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    revision: int
    value: str
    def __init__(self, key: _Optional[str] = ..., revision: _Optional[int] = ..., value: _Optional[str] = ...) -> None: ...

class FindDocumentsRequest(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...

class FindDocumentsResponse(_message.Message):
    __slots__ = ("documents",)
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[Document]
    def __init__(self, documents: _Optional[_Iterable[_Union[Document, _Mapping]]] = ...) -> None: ...

class ScanDocumentsRequest(_message.Message):
    __slots__ = ("prefix", "after", "limit")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    after: str
    limit: int
    def __init__(self, prefix: _Optional[str] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ScanDocumentsResponse(_message.Message):
    __slots__ = ("documents",)
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[Document]
    def __init__(self, documents: _Optional[_Iterable[_Union[Document, _Mapping]]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("stream", "version", "position", "schema_version", "data")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    stream: str
    version: int
    position: int
    schema_version: int
    data: bytes
    def __init__(self, stream: _Optional[str] = ..., version: _Optional[int] = ..., position: _Optional[int] = ..., schema_version: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class SaveSnapshotRequest(_message.Message):
    __slots__ = ("snapshot",)
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ...) -> None: ...

class SaveSnapshotResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LoadSnapshotRequest(_message.Message):
    __slots__ = ("stream",)
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: str
    def __init__(self, stream: _Optional[str] = ...) -> None: ...

class LoadSnapshotResponse(_message.Message):
    __slots__ = ("snapshot",)
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ...) -> None: ...

class ClearSnapshotsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClearSnapshotsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("conflict", "key_reused", "beyond_head", "event_id_reused", "denied")
    CONFLICT_FIELD_NUMBER: _ClassVar[int]
    KEY_REUSED_FIELD_NUMBER: _ClassVar[int]
    BEYOND_HEAD_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_REUSED_FIELD_NUMBER: _ClassVar[int]
    DENIED_FIELD_NUMBER: _ClassVar[int]
    conflict: Conflict
    key_reused: KeyReused
    beyond_head: BeyondHead
    event_id_reused: EventIdReused
    denied: Denied
    def __init__(self, conflict: _Optional[_Union[Conflict, _Mapping]] = ..., key_reused: _Optional[_Union[KeyReused, _Mapping]] = ..., beyond_head: _Optional[_Union[BeyondHead, _Mapping]] = ..., event_id_reused: _Optional[_Union[EventIdReused, _Mapping]] = ..., denied: _Optional[_Union[Denied, _Mapping]] = ...) -> None: ...

class Conflict(_message.Message):
    __slots__ = ("violations", "omitted")
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    OMITTED_FIELD_NUMBER: _ClassVar[int]
    violations: _containers.RepeatedCompositeFieldContainer[Violation]
    omitted: int
    def __init__(self, violations: _Optional[_Iterable[_Union[Violation, _Mapping]]] = ..., omitted: _Optional[int] = ...) -> None: ...

class Violation(_message.Message):
    __slots__ = ("version", "condition", "document", "transaction", "missing_event")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    MISSING_EVENT_FIELD_NUMBER: _ClassVar[int]
    version: VersionViolation
    condition: ConditionViolation
    document: DocumentViolation
    transaction: str
    missing_event: str
    def __init__(self, version: _Optional[_Union[VersionViolation, _Mapping]] = ..., condition: _Optional[_Union[ConditionViolation, _Mapping]] = ..., document: _Optional[_Union[DocumentViolation, _Mapping]] = ..., transaction: _Optional[str] = ..., missing_event: _Optional[str] = ...) -> None: ...

class VersionViolation(_message.Message):
    __slots__ = ("stream", "expected", "actual")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    stream: str
    expected: ExpectedVersion
    actual: int
    def __init__(self, stream: _Optional[str] = ..., expected: _Optional[_Union[ExpectedVersion, _Mapping]] = ..., actual: _Optional[int] = ...) -> None: ...

class ConditionViolation(_message.Message):
    __slots__ = ("found",)
    FOUND_FIELD_NUMBER: _ClassVar[int]
    found: int
    def __init__(self, found: _Optional[int] = ...) -> None: ...

class DocumentViolation(_message.Message):
    __slots__ = ("key", "expected_revision", "actual_revision")
    KEY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_REVISION_FIELD_NUMBER: _ClassVar[int]
    key: str
    expected_revision: int
    actual_revision: int
    def __init__(self, key: _Optional[str] = ..., expected_revision: _Optional[int] = ..., actual_revision: _Optional[int] = ...) -> None: ...

class KeyReused(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class EventIdReused(_message.Message):
    __slots__ = ("id", "position")
    ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    id: str
    position: int
    def __init__(self, id: _Optional[str] = ..., position: _Optional[int] = ...) -> None: ...

class BeyondHead(_message.Message):
    __slots__ = ("position", "head")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    position: int
    head: int
    def __init__(self, position: _Optional[int] = ..., head: _Optional[int] = ...) -> None: ...

class Denied(_message.Message):
    __slots__ = ("principal", "permission", "resource")
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    PERMISSION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    principal: str
    permission: str
    resource: str
    def __init__(self, principal: _Optional[str] = ..., permission: _Optional[str] = ..., resource: _Optional[str] = ...) -> None: ...
