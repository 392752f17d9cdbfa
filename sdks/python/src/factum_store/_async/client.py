"""The client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from uuid import UUID

from typing_extensions import Self

from factum_store import _convert as convert
from factum_store._async.calls import TIMEOUT, AsyncCalls, Default
from factum_store._async.groups import AsyncGroups
from factum_store._async.reader import AsyncEventReader
from factum_store._async.subscription import AsyncSubscription
from factum_store._async.transport import AsyncTransport
from factum_store._connection import Credentials, Tls, settings
from factum_store._methods import (
    APPEND,
    DESCRIBE_STREAM,
    GET_HEAD,
    GET_SERVER_INFO,
    LIST_EVENT_TYPES,
    LIST_STREAMS,
)
from factum_store._model import (
    AppendCondition,
    Appended,
    Direction,
    EventTypeSummary,
    ExpectedVersion,
    Key,
    NewEvent,
    Query,
    ServerInfo,
    StreamAppend,
    StreamDescription,
    StreamSummary,
)
from factum_store._proto import store_pb2 as pb
from factum_store._retry import Retry


class AsyncClient:
    """A client of an event store server. Use it as a context manager, or call :meth:`close`.

    One client serves any number of concurrent calls over one connection, which is established for the first call and
    restored after a failure.

    Args:
        address: ``factum://HOST:PORT``, or ``factums://HOST:PORT`` with TLS. The port is 50051 if it is missing.
            ``http`` and ``https`` have the same meaning.
        credentials: The credentials, which are sent with every call.
        tls: The settings of an encrypted connection.
        timeout: The timeout of a call in seconds, with all of its tries; ``None`` for no limit. Reads and subscriptions
            have no timeout unless the call sets one.
        retry: The tries of calls and reads. An append is repeated only if this cannot store it twice.
        reconnect: The tries of a subscription between two messages. The default has no limit.
        silence: The time in seconds after which the connection of a subscription without a message is considered lost.
            It must be longer than the heartbeat, which is at most 5 seconds.

    Raises:
        ValueError: The address or a setting is not valid.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: Credentials | None = None,
        tls: Tls | None = None,
        timeout: float | None = 30.0,
        retry: Retry | None = None,
        reconnect: Retry | None = None,
        silence: float = 15.0,
    ) -> None:
        self._settings = settings(
            address,
            credentials=credentials,
            tls=tls,
            timeout=timeout,
            retry=retry,
            reconnect=reconnect,
            silence=silence,
        )
        self._transport = AsyncTransport(self._settings)
        self._calls = AsyncCalls(self._transport, self._settings)
        self.groups = AsyncGroups(self._calls)
        """The operations of consumer groups."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancels all calls, and closes the connection."""
        await self._transport.close()

    async def append(
        self,
        stream: str,
        events: NewEvent | Iterable[NewEvent],
        *,
        expected: ExpectedVersion,
        condition: AppendCondition | None = None,
        required_events: Iterable[UUID] = (),
        idempotency_key: str | Key = Key.GENERATED,
        timeout: float | Default | None = TIMEOUT,
    ) -> Appended:
        """Stores events of one stream together or not at all. Returns after the events are durable.

        Args:
            stream: The name of the stream: 1 to 512 bytes without control characters.
            events: One event or several.
            expected: The version that the stream must have.
            condition: The append condition.
            required_events: The ids of events that must be stored.
            idempotency_key: The caller's id of the append, 1 to 256 bytes. A repeated append with the same key and
                content returns the first result. By default, each call has a generated key, so that it can be repeated
                safely after a lost connection.
            timeout: The timeout in seconds instead of that of the client.

        Raises:
            ConflictError: The store does not meet the expected version, the condition or the required events.
            KeyReusedError: The key was used for other content.
            EventIdReusedError: An event with the same id is stored already.
            OutcomeUnknownError: The connection was lost. It is not known whether the events were stored.
            StoreError: Another failure.
        """
        several = (events,) if isinstance(events, NewEvent) else tuple(events)
        return await self.append_streams(
            [StreamAppend(stream, several, expected=expected)],
            condition=condition,
            required_events=required_events,
            idempotency_key=idempotency_key,
            timeout=timeout,
        )

    async def append_streams(
        self,
        streams: Iterable[StreamAppend],
        *,
        condition: AppendCondition | None = None,
        required_events: Iterable[UUID] = (),
        idempotency_key: str | Key = Key.GENERATED,
        timeout: float | Default | None = TIMEOUT,
    ) -> Appended:
        """Stores events of any number of streams together or not at all. Returns after the events are durable.

        Args:
            streams: The streams, with their expected versions and events, in the order of their positions.
            condition: The append condition.
            required_events: The ids of events that must be stored.
            idempotency_key: As for :meth:`append`.
            timeout: The timeout in seconds instead of that of the client.

        Raises:
            ValueError: Two parts of a stream have different expected versions.
            StoreError: The errors of :meth:`append`.
        """
        request = convert.append_request(streams, condition, required_events, idempotency_key)
        has_key = idempotency_key is not Key.NONE
        answer = await self._calls.call(APPEND, request, timeout, is_write=True, has_key=has_key)
        return convert.appended(answer)

    def read_stream(
        self,
        stream: str,
        *,
        direction: Direction = "forward",
        cursor: int | None = None,
        limit: int | None = None,
        must_exist: bool = False,
        timeout: float | None = None,
    ) -> AsyncEventReader:
        """Reads one stream up to its end at the time of the first answer.

        Args:
            stream: The name of the stream.
            direction: The order of the events.
            cursor: The version after which a forward read begins, or before which a backward read begins.
            limit: The maximum number of events, from 1; ``None`` for no limit.
            must_exist: True to get :class:`NotFoundError` if the stream has no events.
            timeout: The timeout of the complete read in seconds; ``None`` for no limit.
        """
        request = pb.ReadStreamRequest(
            stream=stream,
            direction=convert.direction_message(direction),
            cursor=cursor,
            limit=_limit(limit),
            must_exist=must_exist,
        )
        return AsyncEventReader(self._transport, request, timeout, self._settings.retry)

    def read_all(
        self,
        query: Query | None = None,
        *,
        streams: Iterable[str] | None = None,
        direction: Direction = "forward",
        cursor: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> AsyncEventReader:
        """Reads the log, the events that match a query, or several streams, up to the head at the first answer.

        Args:
            query: The events to read; ``None`` for all events.
            streams: The names of streams to read, instead of a query.
            direction: The order of the events.
            cursor: The position after which a forward read begins, or before which a backward read begins.
            limit: The maximum number of events, from 1; ``None`` for no limit.
            timeout: The timeout of the complete read in seconds; ``None`` for no limit.

        Raises:
            ValueError: Both a query and streams are given.
        """
        if query is not None and streams is not None:
            raise ValueError("a read has a query or streams, not both")
        request = pb.ReadAllRequest(direction=convert.direction_message(direction), cursor=cursor, limit=_limit(limit))
        if query is not None:
            request.query.CopyFrom(convert.query_message(query))
        if streams is not None:
            request.streams.CopyFrom(pb.StreamNames(names=streams))
        return AsyncEventReader(self._transport, request, timeout, self._settings.retry)

    def subscribe(
        self,
        query: Query | None = None,
        *,
        after: int | None = None,
        live_only: bool = False,
        heartbeat: float | None = None,
        max_batch: int | None = None,
    ) -> AsyncSubscription:
        """Reads the stored events, then new ones, without a gap and without a duplicate.

        Args:
            query: The events to read; ``None`` for all events.
            after: The position after which the subscription starts; ``None`` for the beginning of the log.
            live_only: True to start after the head of the log.
            heartbeat: The longest time between two messages of the server in seconds, 0.1 to 5; the default is 5.
            max_batch: The maximum number of events in a message of the server, 1 to 1,000; the default is 1,000.

        Raises:
            ValueError: Both ``after`` and ``live_only`` are given.
        """
        if live_only and after is not None:
            raise ValueError("a subscription starts after a position or with new events, not both")
        request = pb.SubscribeRequest(after=after, max_batch=max_batch or 0)
        if query is not None:
            request.query.CopyFrom(convert.query_message(query))
        if live_only:
            request.live_only.CopyFrom(pb.Unit())
        if heartbeat is not None:
            request.heartbeat.CopyFrom(convert.duration_message(heartbeat))
        return AsyncSubscription(self._transport, request, self._settings.reconnect, self._settings.silence)

    async def head(self, *, timeout: float | Default | None = TIMEOUT) -> int:
        """Returns the position of the last event; 0 if the log is empty.

        Raises:
            StoreError: The call failed.
        """
        answer = await self._calls.call(GET_HEAD, pb.GetHeadRequest(), timeout)
        return answer.position

    async def list_streams(
        self,
        *,
        category: str | None = None,
        page_size: int | None = None,
        timeout: float | Default | None = TIMEOUT,
    ) -> AsyncIterator[StreamSummary]:
        """Lists streams in the byte order of their names. Each page is one call.

        Args:
            category: The category; ``None`` for all streams.
            page_size: The number of streams in a page, 1 to 1,000; the default is 1,000.
            timeout: The timeout of the call for one page in seconds, instead of that of the client.

        Raises:
            StoreError: The call failed.
        """
        request = pb.ListStreamsRequest(category=category, page_size=page_size or 0)
        while True:
            page = await self._calls.call(LIST_STREAMS, request, timeout)
            for message in page.streams:
                yield convert.summary(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def list_event_types(
        self, *, page_size: int | None = None, timeout: float | Default | None = TIMEOUT
    ) -> AsyncIterator[EventTypeSummary]:
        """Lists the event types of the log in the byte order of their names. Each page is one call.

        Args:
            page_size: The number of event types in a page, 1 to 1,000; the default is 1,000.
            timeout: The timeout of the call for one page in seconds, instead of that of the client.

        Raises:
            StoreError: The call failed.
        """
        request = pb.ListEventTypesRequest(page_size=page_size or 0)
        while True:
            page = await self._calls.call(LIST_EVENT_TYPES, request, timeout)
            for message in page.event_types:
                yield EventTypeSummary(message.event_type, message.position)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def describe_stream(self, stream: str, *, timeout: float | Default | None = TIMEOUT) -> StreamDescription:
        """Returns the version of a stream, and the position and time of its last event.

        Raises:
            NotFoundError: The stream has no events.
            StoreError: Another failure.
        """
        request = pb.DescribeStreamRequest(stream=stream)
        return convert.description(await self._calls.call(DESCRIBE_STREAM, request, timeout))

    async def server_info(self, *, timeout: float | Default | None = TIMEOUT) -> ServerInfo:
        """Returns the version, the backend, the features and the limits of the server.

        Raises:
            StoreError: The call failed.
        """
        request = pb.GetServerInfoRequest()
        return convert.server_info(await self._calls.call(GET_SERVER_INFO, request, timeout))


def _limit(limit: int | None) -> int:
    if limit is None:
        return 0
    if limit < 1:
        raise ValueError(f"invalid limit: {limit}; expected at least 1, or None for no limit")
    return limit
