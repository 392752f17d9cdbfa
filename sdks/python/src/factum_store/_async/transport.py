"""Calls over a gRPC channel for asyncio. The twin for threads is ``_sync/transport.py``."""

from __future__ import annotations

import asyncio
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

    async def close(self) -> None:
        """Cancels all calls, and closes the connection."""
        await self._channel.close()


def _serialize(message: Any) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded
