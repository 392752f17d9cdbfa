"""Reads that resume after a lost connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType

from typing_extensions import Self

from factum_store._async.transport import AsyncCall, AsyncTransport
from factum_store._convert import events
from factum_store._errors import CallFailed
from factum_store._methods import READ_ALL, READ_STREAM
from factum_store._model import Event
from factum_store._proto import store_pb2 as pb
from factum_store._retry import Deadline, Retry, Tries


class AsyncEventReader(AsyncIterator[Event]):
    """The events of a read, one after the other.

    A read whose connection is lost resumes after the last event. Use the reader as a context manager, or call
    :meth:`close`, to stop before its end.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        request: pb.ReadStreamRequest | pb.ReadAllRequest,
        timeout: float | None,
        retry: Retry,
    ) -> None:
        self._transport = transport
        self._request = request
        self._deadline = Deadline(timeout)
        self._tries = Tries(retry, self._deadline, is_write=False)
        self._call: AsyncCall[pb.ReadStreamResponse] | AsyncCall[pb.ReadAllResponse] | None = None
        self._ready: deque[Event] = deque()
        self._remaining = request.limit or None
        self._head: int | None = None
        self._more = False
        self._is_complete = False

    @property
    def head(self) -> int:
        """The head of the log when the read began: the ``after`` of an append condition.

        Raises:
            RuntimeError: The server has not answered yet; read to the end first.
        """
        if self._head is None:
            raise RuntimeError("the head of a read is not known before its first event")
        return self._head

    @property
    def more(self) -> bool:
        """True after the end of a read that its limit ended, if there may be more events."""
        return self._more

    async def __anext__(self) -> Event:
        while not self._ready and not self._is_complete:
            await self._receive()
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancels the call. The read ends."""
        self._end()
        self._ready.clear()

    def _end(self) -> None:
        self._is_complete = True
        if self._call is not None:
            self._call.cancel()

    async def _receive(self) -> None:
        try:
            if self._call is None:
                self._call = await self._open()
            answer = await self._call.next(None)
        except CallFailed as failure:
            self._call = None
            if self._remaining == 0:
                self._is_complete = True
                self._more = True
                return
            try:
                pause = self._tries.pause_after(failure)
            except BaseException:
                self._is_complete = True
                raise
            await asyncio.sleep(pause)
            return
        if answer is None:
            self._is_complete = True
            return
        try:
            self._add(answer)
        except BaseException:
            self._end()
            raise

    async def _open(self) -> AsyncCall[pb.ReadStreamResponse] | AsyncCall[pb.ReadAllResponse]:
        timeout = self._deadline.remaining()
        if isinstance(self._request, pb.ReadStreamRequest):
            return await self._transport.stream(READ_STREAM, self._request, timeout)
        return await self._transport.stream(READ_ALL, self._request, timeout)

    def _add(self, answer: pb.ReadStreamResponse | pb.ReadAllResponse) -> None:
        received = events(answer.events)
        self._tries.reset()
        if self._head is None:
            self._head = answer.head
        is_beyond = False
        for event in received:
            if event.position > self._head:
                if self._request.direction == pb.DIRECTION_BACKWARD:
                    # It was stored after the first answer, and the read began again before its first event.
                    continue
                is_beyond = True
                break
            self._ready.append(event)
            by_version = isinstance(self._request, pb.ReadStreamRequest)
            self._request.cursor = event.version if by_version else event.position
            if self._remaining is not None:
                self._remaining -= 1
                self._request.limit = self._remaining
        self._more = answer.more and not is_beyond
        if is_beyond:
            self._end()
