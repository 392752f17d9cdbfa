"""Calls over a gRPC channel for threads. The twin for asyncio is ``_async/transport.py``."""

from __future__ import annotations

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
        self._silence = silence
        self._waits_since: float | None = None
        self._call = weakref.ref(call)
        self._stop = threading.Event()
        thread = threading.Thread(target=self._run, name="factum-store-silence", daemon=True)
        thread.start()

    def start(self) -> None:
        self._waits_since = time.monotonic()

    def pause(self) -> None:
        self._waits_since = None

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._silence / 10):
            call = self._call()
            if call is None:
                return
            since = self._waits_since
            if since is not None and time.monotonic() - since > self._silence:
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
        if self._watch is not None:
            self._watch.start()
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

    def close(self) -> None:
        """Cancels all calls, and closes the connection."""
        self._channel.close()


def _serialize(message: Any) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded
