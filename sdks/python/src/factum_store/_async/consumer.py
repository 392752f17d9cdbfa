"""Consumers of a group, which join again after a lost connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

from typing_extensions import Self

from factum_store import _group_convert as convert
from factum_store._async.transport import AsyncDuplex, AsyncTransport
from factum_store._errors import CallFailed, GroupStoppedError
from factum_store._group_model import Delivery, GroupProgress
from factum_store._methods import CONSUME
from factum_store._proto import groups_pb2 as pb
from factum_store._retry import Deadline, Retry, Tries, logger
from factum_store._status import ended, interrupted

_LEAVE_LIMIT = 5.0
"""The time in seconds without a message after which a consumer that leaves cancels its call."""


class AsyncConsumer(AsyncIterator[Delivery]):
    """The deliveries of a group, without end. Answer each one with ``ack`` or ``nack``.

    A consumer whose connection is lost joins again; the server delivers the events without an answer again. Use the
    consumer as a context manager, or call :meth:`close`, to leave the group after all answers were sent.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        start: pb.ConsumeRequest.Start,
        interval: float,
        retry: Retry,
        silence: float,
    ) -> None:
        self._transport = transport
        self._start = start
        self._interval = interval
        self._silence = silence
        self._tries = Tries(retry, Deadline(None), is_write=False)
        self._call: AsyncDuplex[pb.ConsumeRequest, pb.ConsumeResponse] | None = None
        self._progress: GroupProgress | None = None
        self._is_waiting = False
        self._is_closed = False

    @property
    def progress(self) -> GroupProgress | None:
        """The last known progress of the group; ``None`` before the first message of the server."""
        return self._progress

    async def __anext__(self) -> Delivery:
        while not self._is_closed:
            delivery = await self._receive()
            if delivery is not None:
                return delivery
        raise StopAsyncIteration

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Leaves the group after all answers were sent. The deliveries end, also while another task or thread waits."""
        is_waiting, self._is_closed = self._is_waiting, True
        call, self._call = self._call, None
        if call is None:
            return
        call.end()
        if is_waiting:
            # The waiting call receives the end.
            return
        try:
            while await call.next(_LEAVE_LIMIT) is not None:
                pass
        except CallFailed as failure:
            logger.debug("consumer left its group: %s", failure)
        call.cancel()

    async def _receive(self) -> Delivery | None:
        self._is_waiting = True
        try:
            answer = await self._next()
        except CallFailed as failure:
            self._drop_call()
            if self._is_closed:
                return None
            try:
                pause = self._tries.pause_after(failure)
            except BaseException:
                self._is_closed = True
                raise
            await asyncio.sleep(pause)
            return None
        finally:
            self._is_waiting = False
        if answer is None:
            return None
        try:
            return self._delivery(answer)
        except BaseException:
            self._is_closed = True
            self._drop_call()
            raise

    async def _next(self) -> pb.ConsumeResponse | None:
        if self._call is None:
            first = pb.ConsumeRequest(start=self._start)
            heartbeat = pb.ConsumeRequest(heartbeat=pb.ConsumeRequest.Heartbeat())
            self._call = await self._transport.duplex(CONSUME, first, heartbeat, self._interval)
        answer = await self._call.next(self._silence)
        if self._is_closed:
            return None
        if answer is None:
            raise ended()
        if answer.WhichOneof("message") == "stopped" and answer.stopped.reason in convert.TEMPORARY:
            raise interrupted(answer.stopped.message)
        self._tries.reset()
        return answer

    def _delivery(self, answer: pb.ConsumeResponse) -> Delivery | None:
        kind = answer.WhichOneof("message")
        if kind == "delivery" and self._call is not None:
            return convert.delivery(answer.delivery, self._call.send)
        if kind == "checkpoint":
            self._progress = convert.progress(answer.checkpoint)
        if kind == "not_settled":
            lost = answer.not_settled
            logger.warning("answers do not count: %s: %s", list(lost.positions), lost.reason)
        if kind == "stopped":
            stop = convert.stop(answer.stopped)
            raise GroupStoppedError(stop.message, stop.reason, stop.position)
        return None

    def _drop_call(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
