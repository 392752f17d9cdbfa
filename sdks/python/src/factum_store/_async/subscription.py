"""Subscriptions that resume after a lost connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType

from typing_extensions import Self

from factum_store._async.transport import AsyncCall, AsyncTransport
from factum_store._convert import events
from factum_store._errors import CallFailed, ProtocolError
from factum_store._methods import SUBSCRIBE
from factum_store._model import CaughtUp, Checkpoint, Event, FellBehind, Message
from factum_store._proto import store_pb2 as pb
from factum_store._retry import Deadline, Retry, Tries
from factum_store._status import ended


class AsyncSubscription(AsyncIterator[Message]):
    """The messages of a subscription, without end.

    A subscription whose connection is lost connects again and resumes after the last message, without a gap and
    without a duplicate. Use it as a context manager, or call :meth:`close`, to end it.
    """

    def __init__(self, transport: AsyncTransport, request: pb.SubscribeRequest, retry: Retry, silence: float) -> None:
        self._transport = transport
        self._request = request
        self._silence = silence
        self._tries = Tries(retry, Deadline(None), is_write=False)
        self._call: AsyncCall[pb.SubscribeResponse] | None = None
        self._ready: deque[Message] = deque()
        self._received = request.after
        self._position = request.after
        self._is_closed = False

    @property
    def position(self) -> int:
        """The position of the last message that was delivered, from which another subscription can start."""
        return self._position

    async def __anext__(self) -> Message:
        while not self._ready:
            if self._is_closed:
                raise StopAsyncIteration
            await self._receive()
        message = self._ready.popleft()
        self._position = message.position
        return message

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def events(self) -> AsyncIterator[Event]:
        """Returns the events only."""
        async for message in self:
            if isinstance(message, Event):
                yield message

    def close(self) -> None:
        """Cancels the call. The subscription ends, also while another task or thread waits for its next message."""
        self._is_closed = True
        self._ready.clear()
        if self._call is not None:
            self._call.cancel()

    async def _receive(self) -> None:
        try:
            if self._call is None:
                self._call = await self._transport.stream(SUBSCRIBE, self._request, None)
            answer = await self._call.next(self._silence)
            if answer is None:
                if self._is_closed:
                    return
                raise ended()
        except CallFailed as failure:
            self._call = None
            try:
                pause = self._tries.pause_after(failure)
            except BaseException:
                self._is_closed = True
                raise
            await asyncio.sleep(pause)
            return
        self._tries.reset()
        try:
            self._add(answer)
        except BaseException:
            self.close()
            raise

    def _add(self, answer: pb.SubscribeResponse) -> None:
        kind = answer.WhichOneof("message")
        if kind == "events":
            self._add_events(answer.events)
        elif kind == "caught_up":
            self._advance(answer.caught_up.position)
            self._ready.append(CaughtUp(answer.caught_up.position))
        elif kind == "fell_behind":
            self._advance(answer.fell_behind.position)
            self._ready.append(FellBehind(answer.fell_behind.position, answer.fell_behind.head))
        elif kind == "checkpoint":
            self._advance(answer.checkpoint.position)
            self._ready.append(Checkpoint(answer.checkpoint.position))

    def _add_events(self, batch: pb.EventBatch) -> None:
        received = events(batch.events)
        position = self._received
        for event in received:
            if event.position <= position:
                raise ProtocolError(f"the server sent the event at position {event.position} after position {position}")
            position = event.position
        if batch.position < position:
            raise ProtocolError(f"the server sent a batch with position {batch.position} and an event at {position}")
        self._ready.extend(received)
        if batch.position > position or not received:
            self._ready.append(Checkpoint(batch.position))
        self._advance(batch.position)

    def _advance(self, position: int) -> None:
        # A restart resumes here, also if it was to begin with new events.
        self._received = position
        self._request.after = position
