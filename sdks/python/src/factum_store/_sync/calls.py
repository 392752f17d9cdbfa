# Generated from _async/calls.py by generate.py; do not edit.
"""Calls with one answer, and their repetition."""

from __future__ import annotations

import time
from enum import Enum

from factum_store._connection import Settings
from factum_store._errors import CallFailed
from factum_store._methods import Method, Req, Res
from factum_store._retry import Deadline, Tries
from factum_store._sync.transport import Transport


class Default(Enum):
    """The default of a parameter."""

    TIMEOUT = "timeout of the client"


TIMEOUT = Default.TIMEOUT


class Calls:
    """Sends requests, and sends them again if that is safe."""

    def __init__(self, transport: Transport, settings: Settings) -> None:
        self.transport = transport
        self.settings = settings

    def call(
        self,
        method: Method[Req, Res],
        request: Req,
        timeout: float | Default | None,
        *,
        is_write: bool = False,
        has_key: bool = False,
    ) -> Res:
        """Sends a request, and waits for its answer."""
        deadline = Deadline(self.settings.timeout if isinstance(timeout, Default) else timeout)
        tries = Tries(self.settings.retry, deadline, is_write=is_write, has_key=has_key)
        while True:
            try:
                return self.transport.unary(method, request, deadline.remaining())
            except CallFailed as failure:
                pause = tries.pause_after(failure)
            time.sleep(pause)
