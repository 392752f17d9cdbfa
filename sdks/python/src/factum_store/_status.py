"""The status of a gRPC error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grpc import StatusCode

from factum_store._errors import CallFailed, Status

_NOT_CONNECTED = ("failed to connect to all addresses", "DNS resolution failed")
"""The texts with which gRPC reports that no connection was established."""


def call_failed(error: Any) -> CallFailed:
    """Converts an error of gRPC, of either client, into the failure of a try."""
    code: StatusCode = error.code()
    message: str = error.details() or ""
    metadata: Iterable[tuple[str, str | bytes]] = error.trailing_metadata() or ()
    details = b""
    for key, value in metadata:
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            details = value
    was_sent = not (code is StatusCode.UNAVAILABLE and message.startswith(_NOT_CONNECTED))
    failure = CallFailed(Status(code, message, details, was_sent))
    failure.__cause__ = error
    return failure


def silent(seconds: float) -> CallFailed:
    """Creates the failure of a call whose server sent nothing for a time in seconds."""
    return CallFailed(Status(StatusCode.UNAVAILABLE, f"the server was silent for {seconds:g} s"))


def ended() -> CallFailed:
    """Creates the failure of a call without end that has ended."""
    return CallFailed(Status(StatusCode.UNAVAILABLE, "the server ended the call"))


def interrupted(message: str) -> CallFailed:
    """Creates the failure of a call that the server has ended for a reason that passes."""
    return CallFailed(Status(StatusCode.UNAVAILABLE, message))
