"""The operations of consumer groups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from factum_store import _group_convert as convert
from factum_store._async.calls import TIMEOUT, AsyncCalls, Default
from factum_store._async.consumer import AsyncConsumer
from factum_store._convert import duration_message
from factum_store._group_model import DeadLetter, Group, GroupSettings
from factum_store._methods import (
    CREATE_GROUP,
    DELETE_GROUP,
    DESCRIBE_GROUP,
    DISCARD_DEAD_LETTERS,
    LIST_DEAD_LETTERS,
    LIST_GROUPS,
    RESET_GROUP,
    RESUME_GROUP,
    RETRY_DEAD_LETTERS,
    UPDATE_GROUP,
)
from factum_store._proto import groups_pb2 as pb

SESSION_TIMEOUT = 15.0
"""The default of the server in seconds."""


class AsyncGroups:
    """The operations of consumer groups. A client has it as ``groups``.

    The server keeps the position of a group. Its consumers share the events: those with the same partition key are
    delivered in their order, one after the other.
    """

    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    def consume(
        self,
        group: str,
        *,
        consumer: str = "",
        credit: int = 10,
        session_timeout: float | None = None,
        heartbeat: float | None = None,
    ) -> AsyncConsumer:
        """Joins a group, and returns its deliveries.

        Args:
            group: The name of the group.
            consumer: A name of this consumer for people, at most 200 bytes.
            credit: The number of events that the server sends before one of them is answered, from 1.
            session_timeout: The time in seconds after which the server considers a silent consumer dead, 1 to 60; the
                default is 15. The client sends heartbeats.
            heartbeat: The longest time between two messages of the server in seconds, 0.1 to 5; the default is 5.

        Raises:
            ValueError: The credit is not valid.
        """
        if credit < 1:
            raise ValueError(f"invalid credit: {credit}; expected at least 1")
        start = pb.ConsumeRequest.Start(group=group, consumer=consumer, credit=credit)
        if session_timeout is not None:
            start.session_timeout.CopyFrom(duration_message(session_timeout))
        if heartbeat is not None:
            start.heartbeat.CopyFrom(duration_message(heartbeat))
        settings = self._calls.settings
        interval = (session_timeout or SESSION_TIMEOUT) / 3
        return AsyncConsumer(self._calls.transport, start, interval, settings.reconnect, settings.silence)

    async def create(
        self, name: str, settings: GroupSettings | None = None, *, timeout: float | Default | None = TIMEOUT
    ) -> Group:
        """Creates a group.

        Args:
            name: The name: 1 to 200 bytes without control characters.
            settings: The settings; the default is a group of all events.
            timeout: The timeout in seconds instead of that of the client.

        Raises:
            GroupExistsError: A group of this name exists.
            StoreError: Another failure.
        """
        message = convert.settings_message(settings or GroupSettings())
        request = pb.CreateGroupRequest(name=name, settings=message)
        answer = await self._calls.call(CREATE_GROUP, request, timeout, is_write=True)
        return convert.group(answer.group)

    async def update(
        self,
        name: str,
        settings: GroupSettings,
        *,
        if_generation: int | None = None,
        timeout: float | Default | None = TIMEOUT,
    ) -> Group:
        """Replaces the settings of a group. The number of partitions and the partition key cannot change.

        Args:
            name: The name of the group.
            settings: All settings.
            if_generation: The generation that the group must have; ``None`` for any.
            timeout: The timeout in seconds instead of that of the client.

        Raises:
            GroupChangedError: The group is at another generation.
            StoreError: Another failure.
        """
        message = convert.settings_message(settings)
        request = pb.UpdateGroupRequest(name=name, settings=message, if_generation=if_generation)
        answer = await self._calls.call(UPDATE_GROUP, request, timeout, is_write=True)
        return convert.group(answer.group)

    async def delete(self, name: str, *, timeout: float | Default | None = TIMEOUT) -> None:
        """Deletes a group with its positions and dead letters. Its consumers are stopped.

        Raises:
            StoreError: The call failed.
        """
        await self._calls.call(DELETE_GROUP, pb.DeleteGroupRequest(name=name), timeout, is_write=True)

    async def describe(self, name: str, *, timeout: float | Default | None = TIMEOUT) -> Group:
        """Returns a group with its progress and its consumers.

        Raises:
            NotFoundError: There is no group of this name.
            StoreError: Another failure.
        """
        answer = await self._calls.call(DESCRIBE_GROUP, pb.DescribeGroupRequest(name=name), timeout)
        return convert.group(answer.group)

    async def list(
        self, *, page_size: int | None = None, timeout: float | Default | None = TIMEOUT
    ) -> AsyncIterator[Group]:
        """Lists groups in the byte order of their names. Each page is one call.

        Args:
            page_size: The number of groups in a page, 1 to 100; the default is 100.
            timeout: The timeout of the call for one page in seconds, instead of that of the client.

        Raises:
            StoreError: The call failed.
        """
        request = pb.ListGroupsRequest(page_size=page_size or 0)
        while True:
            page = await self._calls.call(LIST_GROUPS, request, timeout)
            for message in page.groups:
                yield convert.group(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def reset(self, name: str, after: int, *, timeout: float | Default | None = TIMEOUT) -> Group:
        """Moves a group to a position, and lets it run if it was stopped. All later events are delivered again.

        Args:
            name: The name of the group.
            after: The position after which the group continues; at most the head of the log.
            timeout: The timeout in seconds instead of that of the client.

        Raises:
            StoreError: The call failed.
        """
        request = pb.ResetGroupRequest(name=name, after=after)
        return convert.group((await self._calls.call(RESET_GROUP, request, timeout, is_write=True)).group)

    async def resume(self, name: str, *, timeout: float | Default | None = TIMEOUT) -> Group:
        """Lets a stopped group run again, at the position where it stopped.

        Raises:
            StoreError: The call failed.
        """
        request = pb.ResumeGroupRequest(name=name)
        return convert.group((await self._calls.call(RESUME_GROUP, request, timeout, is_write=True)).group)

    async def list_dead_letters(
        self, group: str, *, page_size: int | None = None, timeout: float | Default | None = TIMEOUT
    ) -> AsyncIterator[DeadLetter]:
        """Lists the dead letters of a group in the order of their positions. Each page is one call.

        Args:
            group: The name of the group.
            page_size: The number of dead letters in a page, 1 to 100; the default is 100.
            timeout: The timeout of the call for one page in seconds, instead of that of the client.

        Raises:
            StoreError: The call failed.
        """
        request = pb.ListDeadLettersRequest(group=group, page_size=page_size or 0)
        while True:
            page = await self._calls.call(LIST_DEAD_LETTERS, request, timeout)
            for message in page.dead_letters:
                yield convert.dead_letter(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def retry_dead_letters(
        self, group: str, positions: Iterable[int] = (), *, timeout: float | Default | None = TIMEOUT
    ) -> int:
        """Removes dead letters, delivers their events again, and returns their number.

        Args:
            group: The name of the group.
            positions: The positions of the events, at most 1,000; empty for all dead letters, at most 1,000 of them.
            timeout: The timeout in seconds instead of that of the client.

        Raises:
            StoreError: The call failed.
        """
        request = pb.RetryDeadLettersRequest(group=group, positions=positions)
        return (await self._calls.call(RETRY_DEAD_LETTERS, request, timeout, is_write=True)).retried

    async def discard_dead_letters(
        self, group: str, positions: Iterable[int] = (), *, timeout: float | Default | None = TIMEOUT
    ) -> int:
        """Removes dead letters for good, and returns their number.

        Args:
            group: The name of the group.
            positions: As for :meth:`retry_dead_letters`.
            timeout: The timeout in seconds instead of that of the client.

        Raises:
            StoreError: The call failed.
        """
        request = pb.DiscardDeadLettersRequest(group=group, positions=positions)
        return (await self._calls.call(DISCARD_DEAD_LETTERS, request, timeout, is_write=True)).discarded
