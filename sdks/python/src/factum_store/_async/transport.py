"""Calls over a gRPC channel for asyncio. The twin for threads is ``_sync/transport.py``."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Generic

import grpc
import grpc.aio

from factum_store._connection import Settings
from factum_store._methods import Method, Req, Res
from factum_store._status import call_failed, silent


class AsyncCall(Generic[Res]):
    """The answers of a call, one after the other."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._is_cancelled = False

    def __del__(self) -> None:
        # A loop over the answers has ended early. The loop of asyncio may have ended, too.
        with contextlib.suppress(RuntimeError):
            if not self._call.done():
                self._call.cancel()

    async def next(self, silence: float | None) -> Res | None:
        """Waits for the next answer; returns ``None`` at the end of the call.

        Raises:
            CallFailed: The call failed, or no answer arrived within ``silence`` seconds.
        """
        try:
            answer = await asyncio.wait_for(self._call.read(), silence)
        except asyncio.TimeoutError:
            self._call.cancel()
            raise silent(silence or 0.0) from None
        except asyncio.CancelledError:
            if self._is_cancelled:
                return None
            self._call.cancel()
            raise
        except grpc.aio.AioRpcError as error:
            raise call_failed(error) from error
        if answer is grpc.aio.EOF:
            return None
        response: Res = answer
        return response

    def cancel(self) -> None:
        """Cancels the call. A waiting :meth:`next` returns ``None``."""
        self._is_cancelled = True
        self._call.cancel()


class AsyncDuplex(AsyncCall[Res], Generic[Req, Res]):
    """A call with any number of requests and answers."""

    def __init__(self, call: Any, requests: _Requests[Req]) -> None:
        super().__init__(call)
        self._requests = requests

    def send(self, request: Req) -> bool:
        """Sends a request, in order; returns False if the call has ended."""
        return not self._call.done() and self._requests.put(request)

    def end(self) -> None:
        """Ends the requests. The answers continue."""
        self._requests.end()

    def cancel(self) -> None:
        """Cancels the call."""
        self._requests.end()
        super().cancel()


class _Requests(Generic[Req]):
    """The requests of a call, with one that is sent while there are no others."""

    def __init__(self, first: Req, idle: Req, interval: float) -> None:
        self._queue: asyncio.Queue[Req | None] = asyncio.Queue()
        self._queue.put_nowait(first)
        self._idle = idle
        self._interval = interval
        self._is_ended = False

    def put(self, request: Req) -> bool:
        if self._is_ended:
            return False
        self._queue.put_nowait(request)
        return True

    def end(self) -> None:
        self._is_ended = True
        self._queue.put_nowait(None)

    def __aiter__(self) -> _Requests[Req]:
        return self

    async def __anext__(self) -> Req:
        try:
            request = await asyncio.wait_for(self._queue.get(), self._interval)
        except asyncio.TimeoutError:
            return self._idle
        if request is None:
            raise StopAsyncIteration
        return request


class AsyncTransport:
    """A gRPC channel."""

    def __init__(self, settings: Settings) -> None:
        self._metadata = settings.metadata()
        options = settings.channel_options()
        credentials = settings.channel_credentials()
        self._channel: grpc.aio.Channel
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(settings.target, options)
        else:
            self._channel = grpc.aio.secure_channel(settings.target, credentials, options)

    async def unary(self, method: Method[Req, Res], request: Req, timeout: float | None) -> Res:
        """Sends a request, and waits for its answer.

        Raises:
            CallFailed: The call failed.
        """
        callable = self._channel.unary_unary(
            method.path, request_serializer=_serialize, response_deserializer=method.response.FromString
        )
        try:
            response: Res = await callable(request, timeout=timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise call_failed(error) from error
        return response

    async def stream(self, method: Method[Req, Res], request: Req, timeout: float | None) -> AsyncCall[Res]:
        """Sends a request with many answers."""
        callable = self._channel.unary_stream(
            method.path, request_serializer=_serialize, response_deserializer=method.response.FromString
        )
        return AsyncCall(callable(request, timeout=timeout, metadata=self._metadata))

    async def duplex(self, method: Method[Req, Res], first: Req, idle: Req, interval: float) -> AsyncDuplex[Req, Res]:
        """Opens a call with many requests; sends ``idle`` after ``interval`` seconds without a request."""
        callable = self._channel.stream_stream(
            method.path, request_serializer=_serialize, response_deserializer=method.response.FromString
        )
        requests = _Requests(first, idle, interval)
        return AsyncDuplex(callable(requests, metadata=self._metadata), requests)

    async def close(self) -> None:
        """Cancels all calls, and closes the connection."""
        await self._channel.close()


def _serialize(message: Any) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded
