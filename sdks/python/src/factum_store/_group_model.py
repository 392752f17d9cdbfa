"""The types of consumer groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from factum_store._convert import duration_message
from factum_store._model import Event, Query
from factum_store._proto import groups_pb2 as pb

PartitionKey: TypeAlias = Literal["stream", "correlation_id", "tag", "none"]
"""The key of an event within a group: events with the same key keep their order."""

Action: TypeAlias = Literal["retry", "dead_letter", "skip", "stop"]
"""The consequence of an event that was not processed.

``retry`` delivers it again; after the maximum number of attempts it becomes a dead letter. ``dead_letter`` makes it one
at once. ``skip`` settles it. ``stop`` stops the group for all consumers, until it is resumed or reset.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """The settings of a group. The server has a default for each value of ``None``."""

    query: Query | None = None
    """The events of the group; ``None`` for all events."""
    after: int | None = None
    """The position after which a new group starts; ``None`` for the beginning of the log."""
    live_only: bool = False
    """True to start a new group after the head of the log."""
    partitions: int | None = None
    """The number of partitions, 1 to 256. Each has at most one consumer at a time."""
    partition_key: PartitionKey | None = None
    """The partition key; the default is ``stream``."""
    partition_tag: str | None = None
    """The key of the tag, for the partition key ``tag``."""
    ack_timeout: float | None = None
    """The time in seconds in which a consumer must answer a delivery, 0.1 to 3,600."""
    max_attempts: int | None = None
    """The number of failed attempts after which an event becomes a dead letter, 1 to 1,000."""
    min_backoff: float | None = None
    """The pause before the second attempt in seconds, 0.001 to 3,600. Each further pause is twice as long."""
    max_backoff: float | None = None
    """The longest pause in seconds, at most 86,400."""
    max_in_flight: int | None = None
    """The maximum number of unanswered deliveries of one consumer, 1 to 1,000."""
    max_consumers: int | None = None
    """The maximum number of consumers on one server, 1 to 1,000."""


@dataclass(frozen=True, slots=True)
class GroupConsumer:
    """A consumer that is connected."""

    name: str
    """The name that it chose."""
    partitions: tuple[int, ...]
    """Its partitions."""
    in_flight: int
    """The number of unanswered deliveries."""


@dataclass(frozen=True, slots=True)
class GroupStop:
    """The reason why a group is stopped."""

    reason: str
    """The name of the reason, for example ``consumer_request``; ``unknown`` if this client does not know it."""
    message: str
    """The reason, for people."""
    position: int
    """The position of the group when it stopped."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group with its progress."""

    name: str
    """The name."""
    generation: int
    """The number of changes of the group, and of stops."""
    position: int
    """The position up to which every event was settled in every partition."""
    head: int
    """The head of the log."""
    lag: int
    """The number of positions from ``position`` to ``head``."""
    dead_letters: int
    """The number of dead letters."""
    consumers: tuple[GroupConsumer, ...]
    """The consumers that are connected to the server that answers."""
    stopped: GroupStop | None
    """Set if the group is stopped."""


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """The progress of a group."""

    position: int
    """The position up to which every event was settled in every partition."""
    head: int
    """The head of the log."""
    lag: int
    """The number of positions from ``position`` to ``head``."""
    dead_letters: int
    """The number of dead letters."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that failed permanently."""

    event: Event | None
    """The event; ``None`` if the log does not have it any more."""
    position: int
    """The position of the event."""
    partition: int
    """The partition."""
    attempts: int
    """The number of failed attempts."""
    reason: str
    """The reason of the last failure."""
    failed_at: datetime
    """The time of the last failure, in UTC."""


@dataclass(slots=True, eq=False)
class Delivery:
    """An event for a consumer, which must answer with :meth:`ack` or :meth:`nack`."""

    event: Event
    """The event."""
    attempt: int
    """The number of failed attempts, and 1."""
    partition: int
    """The partition."""
    _fence: int = field(repr=False)
    _send: Callable[[pb.ConsumeRequest], bool] = field(repr=False)
    _is_answered: bool = field(default=False, repr=False)

    def ack(self) -> bool:
        """Reports that the event was processed.

        Returns:
            False if the answer was not sent: the event has an answer, or the connection was lost and the event is
            delivered again.
        """
        ack = pb.ConsumeRequest.Ack(partition=self.partition, fence=self._fence, positions=[self.event.position])
        return self._answer(pb.ConsumeRequest(ack=ack))

    def nack(self, action: Action = "retry", *, retry_after: float | None = None, reason: str = "") -> bool:
        """Reports that the event was not processed.

        Args:
            action: The consequence.
            retry_after: The pause before the next attempt in seconds, at most 86,400; the default is that of the group.
            reason: The reason, for people.

        Returns:
            As :meth:`ack`.
        """
        nack = pb.ConsumeRequest.Nack(
            partition=self.partition,
            fence=self._fence,
            position=self.event.position,
            action=_ACTIONS[action],
            reason=reason,
        )
        if retry_after is not None:
            nack.retry_after.CopyFrom(duration_message(retry_after))
        return self._answer(pb.ConsumeRequest(nack=nack))

    def _answer(self, answer: pb.ConsumeRequest) -> bool:
        if self._is_answered:
            return False
        self._is_answered = True
        credit = pb.ConsumeRequest(credit=pb.ConsumeRequest.Credit(events=1))
        return self._send(answer) and self._send(credit)


_ACTIONS: dict[Action, pb.ConsumeRequest.Action] = {
    "retry": pb.ConsumeRequest.ACTION_RETRY,
    "dead_letter": pb.ConsumeRequest.ACTION_DEAD_LETTER,
    "skip": pb.ConsumeRequest.ACTION_SKIP,
    "stop": pb.ConsumeRequest.ACTION_STOP,
}
