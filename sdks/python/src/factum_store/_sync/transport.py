"""Calls over a gRPC channel for threads. The twin for asyncio is ``_async/transport.py``."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from typing import Any, Generic

import grpc

from factum_store._connection import Settings
from factum_store._methods import Method, Req, Res
from factum_store._status import call_failed, silent


class _Watch:
    """Cancels a call whose answer does not arrive in time. A thread checks it."""

    def __init__(self, call: Any, silence: float) -> None:
        self.has_expired = False
        self._pause = silence / 10
        self._deadline: float | None = None
        self._call = weakref.ref(call)
        self._stop = threading.Event()
        thread = threading.Thread(target=self._run, name="factum-store-silence", daemon=True)
        thread.start()

    def start(self, silence: float) -> None:
        self._deadline = time.monotonic() + silence

    def pause(self) -> None:
        self._deadline = None

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            call = self._call()
            if call is None:
                return
            deadline = self._deadline
            if deadline is not None and time.monotonic() > deadline:
                self.has_expired = True
                call.cancel()
                return
            del call


class Call(Generic[Res]):
    """The answers of a call, one after the other."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._watch: _Watch | None = None
        self._is_cancelled = False

    def next(self, silence: float | None) -> Res | None:
        """Waits for the next answer; returns ``None`` at the end of the call.

        Raises:
            CallFailed: The call failed, or no answer arrived within ``silence`` seconds.
        """
        if silence is not None and self._watch is None:
            self._watch = _Watch(self._call, silence)
        if silence is not None and self._watch is not None:
            self._watch.start(silence)
        try:
            response: Res = next(self._call)
        except StopIteration:
            self._end()
            return None
        except grpc.RpcError as error:
            self._end()
            if self._watch is not None and self._watch.has_expired:
                raise silent(silence or 0.0) from None
            if self._is_cancelled:
                return None
            raise call_failed(error) from error
        finally:
            if self._watch is not None:
                self._watch.pause()
        return response

    def cancel(self) -> None:
        """Cancels the call. A waiting :meth:`next` returns ``None``."""
        self._is_cancelled = True
        self._call.cancel()
        self._end()

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.stop()


class Duplex(Call[Res], Generic[Req, Res]):
    """A call with any number of requests and answers."""

    def __init__(self, call: Any, requests: _Requests[Req]) -> None:
        super().__init__(call)
        self._requests = requests

    def send(self, request: Req) -> bool:
        """Sends a request, in order; returns False if the call has ended."""
        return bool(self._call.is_active()) and self._requests.put(request)

    def end(self) -> None:
        """Ends the requests. The answers continue."""
        self._requests.end()

    def cancel(self) -> None:
        """Cancels the call."""
        self._requests.end()
        super().cancel()


class _Requests(Generic[Req]):
    """The requests of a call, with one that is sent while there are no others. gRPC iterates in a thread."""

    def __init__(self, first: Req, idle: Req, interval: float) -> None:
        self._queue: queue.SimpleQueue[Req | None] = queue.SimpleQueue()
        self._queue.put(first)
        self._idle = idle
        self._interval = interval
        self._is_ended = False

    def put(self, request: Req) -> bool:
        if self._is_ended:
            return False
        self._queue.put(request)
        return True

    def end(self) -> None:
        self._is_ended = True
        self._queue.put(None)

    def __iter__(self) -> _Requests[Req]:
        return self

    def __next__(self) -> Req:
        try:
            request = self._queue.get(timeout=self._interval)
        except queue.Empty:
            return self._idle
        if request is None:
            raise StopIteration
        return request


class Transport:
    """A gRPC channel."""

    def __init__(self, settings: Settings) -> None:
        self._metadata = settings.metadata()
        options = settings.channel_options()
        credentials = settings.channel_credentials()
        self._channel: grpc.Channel
        if credentials is None:
            self._channel = grpc.insecure_channel(settings.target, options)
        else:
            self._channel = grpc.secure_channel(settings.target, credentials, options)

    def unary(self, method: Method[Req, Res], request: Req, timeout: float | None) -> Res:
        """Sends a request, and waits for its answer.

        Raises:
            CallFailed: The call failed.
        """
        callable = self._channel.unary_unary(
            method.path, request_serializer=_serialize, response_deserializer=method.response.FromString
        )
        try:
            response: Res = callable(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise call_failed(error) from error
        return response

    def stream(self, method: Method[Req, Res], request: Req, timeout: float | None) -> Call[Res]:
        """Sends a request with many answers."""
        callable = self._channel.unary_stream(
            method.path, request_serializer=_serialize, response_deserializer=method.response.FromString
        )
        return Call(callable(request, timeout=timeout, metadata=self._metadata))

    def duplex(self, method: Method[Req, Res], first: Req, idle: Req, interval: float) -> Duplex[Req, Res]:
        """Opens a call with many requests; sends ``idle`` after ``interval`` seconds without a request."""
        callable = self._channel.stream_stream(
            method.path, request_serializer=_serialize, response_deserializer=method.response.FromString
        )
        requests = _Requests(first, idle, interval)
        return Duplex(callable(requests, metadata=self._metadata), requests)

    def close(self) -> None:
        """Cancels all calls, and closes the connection."""
        self._channel.close()


def _serialize(message: Any) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded
