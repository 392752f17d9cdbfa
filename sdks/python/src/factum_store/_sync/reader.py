# Generated from _async/reader.py by generate.py; do not edit.
"""Reads that resume after a lost connection."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType

from typing_extensions import Self

from factum_store._convert import events
from factum_store._errors import CallFailed
from factum_store._methods import READ_ALL, READ_STREAM
from factum_store._model import Event
from factum_store._proto import store_pb2 as pb
from factum_store._retry import Deadline, Retry, Tries
from factum_store._sync.transport import Call, Transport


class EventReader(Iterator[Event]):
    """The events of a read, one after the other.

    A read whose connection is lost resumes after the last event. Use the reader as a context manager, or call
    :meth:`close`, to stop before its end.
    """

    def __init__(
        self,
        transport: Transport,
        request: pb.ReadStreamRequest | pb.ReadAllRequest,
        timeout: float | None,
        retry: Retry,
    ) -> None:
        self._transport = transport
        self._request = request
        self._deadline = Deadline(timeout)
        self._tries = Tries(retry, self._deadline, is_write=False)
        self._call: Call[pb.ReadStreamResponse] | Call[pb.ReadAllResponse] | None = None
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

    def __next__(self) -> Event:
        while not self._ready and not self._is_complete:
            self._receive()
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
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

    def _receive(self) -> None:
        try:
            if self._call is None:
                self._call = self._open()
            answer = self._call.next(None)
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
            time.sleep(pause)
            return
        if answer is None:
            self._is_complete = True
            return
        try:
            self._add(answer)
        except BaseException:
            self._end()
            raise

    def _open(self) -> Call[pb.ReadStreamResponse] | Call[pb.ReadAllResponse]:
        timeout = self._deadline.remaining()
        if isinstance(self._request, pb.ReadStreamRequest):
            return self._transport.stream(READ_STREAM, self._request, timeout)
        return self._transport.stream(READ_ALL, self._request, timeout)

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
