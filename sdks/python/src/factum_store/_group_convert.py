"""The conversion of messages about consumer groups."""

from __future__ import annotations

from collections.abc import Callable

from factum_store._convert import duration_message, events, query_message, time_of
from factum_store._errors import ProtocolError
from factum_store._group_model import (
    DeadLetter,
    Delivery,
    Group,
    GroupConsumer,
    GroupProgress,
    GroupSettings,
    GroupStop,
    PartitionKey,
)
from factum_store._proto import groups_pb2 as pb
from factum_store._proto import store_pb2

_PARTITION_KEYS: dict[PartitionKey, pb.PartitionKey] = {
    "stream": pb.PARTITION_KEY_STREAM,
    "correlation_id": pb.PARTITION_KEY_CORRELATION_ID,
    "tag": pb.PARTITION_KEY_TAG,
    "none": pb.PARTITION_KEY_NONE,
}

TEMPORARY = frozenset(
    {
        pb.STOP_REASON_SERVER_STOPPING,
        pb.STOP_REASON_STORE_FAILED,
        pb.STOP_REASON_CONSUMER_SILENT,
        pb.STOP_REASON_CONSUMER_SLOW,
    }
)
"""The reasons of a stop after which a consumer joins again."""


def settings_message(settings: GroupSettings) -> pb.GroupSettings:
    """Converts the settings of a group."""
    if settings.live_only and settings.after is not None:
        raise ValueError("a group starts after a position or with new events, not both")
    message = pb.GroupSettings(
        partitions=settings.partitions or 0,
        partition_tag=settings.partition_tag or "",
        max_attempts=settings.max_attempts or 0,
        max_in_flight=settings.max_in_flight or 0,
        max_consumers=settings.max_consumers or 0,
    )
    if settings.partition_key is not None:
        message.partition_key = _PARTITION_KEYS[settings.partition_key]
    if settings.query is not None:
        message.query.CopyFrom(query_message(settings.query))
    if settings.after is not None:
        message.after = settings.after
    if settings.live_only:
        message.live_only.CopyFrom(store_pb2.Unit())
    if settings.ack_timeout is not None:
        message.ack_timeout.CopyFrom(duration_message(settings.ack_timeout))
    if settings.min_backoff is not None:
        message.min_backoff.CopyFrom(duration_message(settings.min_backoff))
    if settings.max_backoff is not None:
        message.max_backoff.CopyFrom(duration_message(settings.max_backoff))
    return message


def group(message: pb.Group) -> Group:
    """Converts a group."""
    return Group(
        name=message.name,
        generation=message.generation,
        position=message.position,
        head=message.head,
        lag=message.lag,
        dead_letters=message.dead_letters,
        consumers=tuple(
            GroupConsumer(consumer.name, tuple(consumer.partitions), consumer.in_flight)
            for consumer in message.consumers
        ),
        stopped=stop(message.stopped) if message.HasField("stopped") else None,
    )


def stop(message: pb.Stopped) -> GroupStop:
    """Converts the reason of a stop."""
    known = message.reason in pb.StopReason.values() and message.reason != pb.STOP_REASON_UNSPECIFIED
    name = pb.StopReason.Name(message.reason).removeprefix("STOP_REASON_").lower() if known else "unknown"
    return GroupStop(name, message.message, message.position)


def progress(message: pb.GroupCheckpoint) -> GroupProgress:
    """Converts the progress of a group."""
    return GroupProgress(message.position, message.head, message.lag, message.dead_letters)


def dead_letter(message: pb.GroupDeadLetter) -> DeadLetter:
    """Converts a dead letter."""
    return DeadLetter(
        event=events([message.event])[0] if message.HasField("event") else None,
        position=message.position,
        partition=message.partition,
        attempts=message.attempts,
        reason=message.reason,
        failed_at=time_of("failed_at", message, message.failed_at),
    )


def delivery(message: pb.ConsumeResponse.Delivery, send: Callable[[pb.ConsumeRequest], bool]) -> Delivery:
    """Converts a delivery."""
    if not message.HasField("event"):
        raise ProtocolError("missing event in a delivery from the server")
    event = events([message.event])[0]
    return Delivery(event, message.attempt, message.partition, message.fence, send)
