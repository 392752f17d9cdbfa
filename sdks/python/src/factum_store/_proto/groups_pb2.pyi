import datetime

from factum_store._proto import store_pb2 as _store_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PartitionKey(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PARTITION_KEY_UNSPECIFIED: _ClassVar[PartitionKey]
    PARTITION_KEY_STREAM: _ClassVar[PartitionKey]
    PARTITION_KEY_CORRELATION_ID: _ClassVar[PartitionKey]
    PARTITION_KEY_TAG: _ClassVar[PartitionKey]
    PARTITION_KEY_NONE: _ClassVar[PartitionKey]

class StopReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOP_REASON_UNSPECIFIED: _ClassVar[StopReason]
    STOP_REASON_SERVER_STOPPING: _ClassVar[StopReason]
    STOP_REASON_GROUP_DELETED: _ClassVar[StopReason]
    STOP_REASON_CONSUMER_REQUEST: _ClassVar[StopReason]
    STOP_REASON_BEYOND_HEAD: _ClassVar[StopReason]
    STOP_REASON_CONSUMER_SILENT: _ClassVar[StopReason]
    STOP_REASON_CONSUMER_SLOW: _ClassVar[StopReason]
    STOP_REASON_STORE_FAILED: _ClassVar[StopReason]
    STOP_REASON_CONSUMER_LEFT: _ClassVar[StopReason]
    STOP_REASON_INVALID_REQUEST: _ClassVar[StopReason]
    STOP_REASON_ACCESS_REVOKED: _ClassVar[StopReason]
PARTITION_KEY_UNSPECIFIED: PartitionKey
PARTITION_KEY_STREAM: PartitionKey
PARTITION_KEY_CORRELATION_ID: PartitionKey
PARTITION_KEY_TAG: PartitionKey
PARTITION_KEY_NONE: PartitionKey
STOP_REASON_UNSPECIFIED: StopReason
STOP_REASON_SERVER_STOPPING: StopReason
STOP_REASON_GROUP_DELETED: StopReason
STOP_REASON_CONSUMER_REQUEST: StopReason
STOP_REASON_BEYOND_HEAD: StopReason
STOP_REASON_CONSUMER_SILENT: StopReason
STOP_REASON_CONSUMER_SLOW: StopReason
STOP_REASON_STORE_FAILED: StopReason
STOP_REASON_CONSUMER_LEFT: StopReason
STOP_REASON_INVALID_REQUEST: StopReason
STOP_REASON_ACCESS_REVOKED: StopReason

class GroupSettings(_message.Message):
    __slots__ = ("query", "after", "live_only", "partitions", "partition_key", "partition_tag", "ack_timeout", "max_attempts", "min_backoff", "max_backoff", "max_in_flight", "max_consumers")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIVE_ONLY_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    PARTITION_TAG_FIELD_NUMBER: _ClassVar[int]
    ACK_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    MIN_BACKOFF_FIELD_NUMBER: _ClassVar[int]
    MAX_BACKOFF_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    query: _store_pb2.Query
    after: int
    live_only: _store_pb2.Unit
    partitions: int
    partition_key: PartitionKey
    partition_tag: str
    ack_timeout: _duration_pb2.Duration
    max_attempts: int
    min_backoff: _duration_pb2.Duration
    max_backoff: _duration_pb2.Duration
    max_in_flight: int
    max_consumers: int
    def __init__(self, query: _Optional[_Union[_store_pb2.Query, _Mapping]] = ..., after: _Optional[int] = ..., live_only: _Optional[_Union[_store_pb2.Unit, _Mapping]] = ..., partitions: _Optional[int] = ..., partition_key: _Optional[_Union[PartitionKey, str]] = ..., partition_tag: _Optional[str] = ..., ack_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_attempts: _Optional[int] = ..., min_backoff: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_backoff: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_in_flight: _Optional[int] = ..., max_consumers: _Optional[int] = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("name", "settings", "generation", "position", "head", "lag", "dead_letters", "consumers", "stopped", "partitions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    settings: GroupSettings
    generation: int
    position: int
    head: int
    lag: int
    dead_letters: int
    consumers: _containers.RepeatedCompositeFieldContainer[Consumer]
    stopped: Stopped
    partitions: _containers.RepeatedCompositeFieldContainer[GroupPartition]
    def __init__(self, name: _Optional[str] = ..., settings: _Optional[_Union[GroupSettings, _Mapping]] = ..., generation: _Optional[int] = ..., position: _Optional[int] = ..., head: _Optional[int] = ..., lag: _Optional[int] = ..., dead_letters: _Optional[int] = ..., consumers: _Optional[_Iterable[_Union[Consumer, _Mapping]]] = ..., stopped: _Optional[_Union[Stopped, _Mapping]] = ..., partitions: _Optional[_Iterable[_Union[GroupPartition, _Mapping]]] = ...) -> None: ...

class GroupPartition(_message.Message):
    __slots__ = ("partition", "position", "settled_after", "dead_letters", "node", "fence")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    SETTLED_AFTER_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    partition: int
    position: int
    settled_after: int
    dead_letters: int
    node: str
    fence: int
    def __init__(self, partition: _Optional[int] = ..., position: _Optional[int] = ..., settled_after: _Optional[int] = ..., dead_letters: _Optional[int] = ..., node: _Optional[str] = ..., fence: _Optional[int] = ...) -> None: ...

class Consumer(_message.Message):
    __slots__ = ("name", "partitions", "in_flight", "last_seen")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    name: str
    partitions: _containers.RepeatedScalarFieldContainer[int]
    in_flight: int
    last_seen: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., partitions: _Optional[_Iterable[int]] = ..., in_flight: _Optional[int] = ..., last_seen: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateGroupRequest(_message.Message):
    __slots__ = ("name", "settings")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    settings: GroupSettings
    def __init__(self, name: _Optional[str] = ..., settings: _Optional[_Union[GroupSettings, _Mapping]] = ...) -> None: ...

class CreateGroupResponse(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: Group
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class UpdateGroupRequest(_message.Message):
    __slots__ = ("name", "settings", "if_generation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    IF_GENERATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    settings: GroupSettings
    if_generation: int
    def __init__(self, name: _Optional[str] = ..., settings: _Optional[_Union[GroupSettings, _Mapping]] = ..., if_generation: _Optional[int] = ...) -> None: ...

class UpdateGroupResponse(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: Group
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class DeleteGroupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteGroupResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeGroupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DescribeGroupResponse(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: Group
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class ListGroupsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListGroupsResponse(_message.Message):
    __slots__ = ("groups", "next_page_token")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[Group]
    next_page_token: str
    def __init__(self, groups: _Optional[_Iterable[_Union[Group, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ResetGroupRequest(_message.Message):
    __slots__ = ("name", "after")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    after: int
    def __init__(self, name: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...

class ResetGroupResponse(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: Group
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class ResumeGroupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ResumeGroupResponse(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: Group
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class ConsumeRequest(_message.Message):
    __slots__ = ("start", "credit", "ack", "nack", "heartbeat")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[ConsumeRequest.Action]
        ACTION_RETRY: _ClassVar[ConsumeRequest.Action]
        ACTION_DEAD_LETTER: _ClassVar[ConsumeRequest.Action]
        ACTION_SKIP: _ClassVar[ConsumeRequest.Action]
        ACTION_STOP: _ClassVar[ConsumeRequest.Action]
    ACTION_UNSPECIFIED: ConsumeRequest.Action
    ACTION_RETRY: ConsumeRequest.Action
    ACTION_DEAD_LETTER: ConsumeRequest.Action
    ACTION_SKIP: ConsumeRequest.Action
    ACTION_STOP: ConsumeRequest.Action
    class Start(_message.Message):
        __slots__ = ("group", "consumer", "credit", "session_timeout", "heartbeat")
        GROUP_FIELD_NUMBER: _ClassVar[int]
        CONSUMER_FIELD_NUMBER: _ClassVar[int]
        CREDIT_FIELD_NUMBER: _ClassVar[int]
        SESSION_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
        HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
        group: str
        consumer: str
        credit: int
        session_timeout: _duration_pb2.Duration
        heartbeat: _duration_pb2.Duration
        def __init__(self, group: _Optional[str] = ..., consumer: _Optional[str] = ..., credit: _Optional[int] = ..., session_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., heartbeat: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
    class Credit(_message.Message):
        __slots__ = ("events",)
        EVENTS_FIELD_NUMBER: _ClassVar[int]
        events: int
        def __init__(self, events: _Optional[int] = ...) -> None: ...
    class Ack(_message.Message):
        __slots__ = ("partition", "fence", "positions")
        PARTITION_FIELD_NUMBER: _ClassVar[int]
        FENCE_FIELD_NUMBER: _ClassVar[int]
        POSITIONS_FIELD_NUMBER: _ClassVar[int]
        partition: int
        fence: int
        positions: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, partition: _Optional[int] = ..., fence: _Optional[int] = ..., positions: _Optional[_Iterable[int]] = ...) -> None: ...
    class Nack(_message.Message):
        __slots__ = ("partition", "fence", "position", "action", "retry_after", "reason")
        PARTITION_FIELD_NUMBER: _ClassVar[int]
        FENCE_FIELD_NUMBER: _ClassVar[int]
        POSITION_FIELD_NUMBER: _ClassVar[int]
        ACTION_FIELD_NUMBER: _ClassVar[int]
        RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        partition: int
        fence: int
        position: int
        action: ConsumeRequest.Action
        retry_after: _duration_pb2.Duration
        reason: str
        def __init__(self, partition: _Optional[int] = ..., fence: _Optional[int] = ..., position: _Optional[int] = ..., action: _Optional[_Union[ConsumeRequest.Action, str]] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...
    class Heartbeat(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    START_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    NACK_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    start: ConsumeRequest.Start
    credit: ConsumeRequest.Credit
    ack: ConsumeRequest.Ack
    nack: ConsumeRequest.Nack
    heartbeat: ConsumeRequest.Heartbeat
    def __init__(self, start: _Optional[_Union[ConsumeRequest.Start, _Mapping]] = ..., credit: _Optional[_Union[ConsumeRequest.Credit, _Mapping]] = ..., ack: _Optional[_Union[ConsumeRequest.Ack, _Mapping]] = ..., nack: _Optional[_Union[ConsumeRequest.Nack, _Mapping]] = ..., heartbeat: _Optional[_Union[ConsumeRequest.Heartbeat, _Mapping]] = ...) -> None: ...

class ConsumeResponse(_message.Message):
    __slots__ = ("assigned", "revoked", "delivery", "checkpoint", "settled", "not_settled", "stopped")
    class Assigned(_message.Message):
        __slots__ = ("partition", "fence", "position")
        PARTITION_FIELD_NUMBER: _ClassVar[int]
        FENCE_FIELD_NUMBER: _ClassVar[int]
        POSITION_FIELD_NUMBER: _ClassVar[int]
        partition: int
        fence: int
        position: int
        def __init__(self, partition: _Optional[int] = ..., fence: _Optional[int] = ..., position: _Optional[int] = ...) -> None: ...
    class Revoked(_message.Message):
        __slots__ = ("partition", "fence", "reason")
        PARTITION_FIELD_NUMBER: _ClassVar[int]
        FENCE_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        partition: int
        fence: int
        reason: str
        def __init__(self, partition: _Optional[int] = ..., fence: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
    class Delivery(_message.Message):
        __slots__ = ("partition", "fence", "event", "attempt")
        PARTITION_FIELD_NUMBER: _ClassVar[int]
        FENCE_FIELD_NUMBER: _ClassVar[int]
        EVENT_FIELD_NUMBER: _ClassVar[int]
        ATTEMPT_FIELD_NUMBER: _ClassVar[int]
        partition: int
        fence: int
        event: _store_pb2.Event
        attempt: int
        def __init__(self, partition: _Optional[int] = ..., fence: _Optional[int] = ..., event: _Optional[_Union[_store_pb2.Event, _Mapping]] = ..., attempt: _Optional[int] = ...) -> None: ...
    class Settled(_message.Message):
        __slots__ = ("partition", "fence", "positions")
        PARTITION_FIELD_NUMBER: _ClassVar[int]
        FENCE_FIELD_NUMBER: _ClassVar[int]
        POSITIONS_FIELD_NUMBER: _ClassVar[int]
        partition: int
        fence: int
        positions: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, partition: _Optional[int] = ..., fence: _Optional[int] = ..., positions: _Optional[_Iterable[int]] = ...) -> None: ...
    class NotSettled(_message.Message):
        __slots__ = ("partition", "fence", "positions", "reason")
        PARTITION_FIELD_NUMBER: _ClassVar[int]
        FENCE_FIELD_NUMBER: _ClassVar[int]
        POSITIONS_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        partition: int
        fence: int
        positions: _containers.RepeatedScalarFieldContainer[int]
        reason: str
        def __init__(self, partition: _Optional[int] = ..., fence: _Optional[int] = ..., positions: _Optional[_Iterable[int]] = ..., reason: _Optional[str] = ...) -> None: ...
    ASSIGNED_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    NOT_SETTLED_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    assigned: ConsumeResponse.Assigned
    revoked: ConsumeResponse.Revoked
    delivery: ConsumeResponse.Delivery
    checkpoint: GroupCheckpoint
    settled: ConsumeResponse.Settled
    not_settled: ConsumeResponse.NotSettled
    stopped: Stopped
    def __init__(self, assigned: _Optional[_Union[ConsumeResponse.Assigned, _Mapping]] = ..., revoked: _Optional[_Union[ConsumeResponse.Revoked, _Mapping]] = ..., delivery: _Optional[_Union[ConsumeResponse.Delivery, _Mapping]] = ..., checkpoint: _Optional[_Union[GroupCheckpoint, _Mapping]] = ..., settled: _Optional[_Union[ConsumeResponse.Settled, _Mapping]] = ..., not_settled: _Optional[_Union[ConsumeResponse.NotSettled, _Mapping]] = ..., stopped: _Optional[_Union[Stopped, _Mapping]] = ...) -> None: ...

class GroupCheckpoint(_message.Message):
    __slots__ = ("position", "head", "lag", "dead_letters")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    position: int
    head: int
    lag: int
    dead_letters: int
    def __init__(self, position: _Optional[int] = ..., head: _Optional[int] = ..., lag: _Optional[int] = ..., dead_letters: _Optional[int] = ...) -> None: ...

class Stopped(_message.Message):
    __slots__ = ("reason", "message", "position")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    reason: StopReason
    message: str
    position: int
    def __init__(self, reason: _Optional[_Union[StopReason, str]] = ..., message: _Optional[str] = ..., position: _Optional[int] = ...) -> None: ...

class GroupDeadLetter(_message.Message):
    __slots__ = ("event", "position", "partition", "attempts", "reason", "failed_at")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FAILED_AT_FIELD_NUMBER: _ClassVar[int]
    event: _store_pb2.Event
    position: int
    partition: int
    attempts: int
    reason: str
    failed_at: _timestamp_pb2.Timestamp
    def __init__(self, event: _Optional[_Union[_store_pb2.Event, _Mapping]] = ..., position: _Optional[int] = ..., partition: _Optional[int] = ..., attempts: _Optional[int] = ..., reason: _Optional[str] = ..., failed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("group", "page_size", "page_token")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    group: str
    page_size: int
    page_token: str
    def __init__(self, group: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDeadLettersResponse(_message.Message):
    __slots__ = ("dead_letters", "next_page_token")
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dead_letters: _containers.RepeatedCompositeFieldContainer[GroupDeadLetter]
    next_page_token: str
    def __init__(self, dead_letters: _Optional[_Iterable[_Union[GroupDeadLetter, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RetryDeadLettersRequest(_message.Message):
    __slots__ = ("group", "positions")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    group: str
    positions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, group: _Optional[str] = ..., positions: _Optional[_Iterable[int]] = ...) -> None: ...

class RetryDeadLettersResponse(_message.Message):
    __slots__ = ("retried",)
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    retried: int
    def __init__(self, retried: _Optional[int] = ...) -> None: ...

class DiscardDeadLettersRequest(_message.Message):
    __slots__ = ("group", "positions")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    group: str
    positions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, group: _Optional[str] = ..., positions: _Optional[_Iterable[int]] = ...) -> None: ...

class DiscardDeadLettersResponse(_message.Message):
    __slots__ = ("discarded",)
    DISCARDED_FIELD_NUMBER: _ClassVar[int]
    discarded: int
    def __init__(self, discarded: _Optional[int] = ...) -> None: ...
