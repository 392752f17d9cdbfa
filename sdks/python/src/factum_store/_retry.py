"""The repetition of calls: how often, after which pause, and which error remains."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass

from factum_store._errors import (
    CallFailed,
    DeadlineExceededError,
    OutcomeUnknownError,
    ResourceExhaustedError,
    StoreError,
    UnavailableError,
    error_of,
)

logger = logging.getLogger("factum_store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The number of tries of a call, and the pauses between them."""

    max_attempts: int | None = 8
    """The maximum number of tries, from 1; ``None`` for no limit."""
    first_pause: float = 0.1
    """The pause before the second try in seconds. Each further pause is twice as long."""
    longest_pause: float = 2.0
    """The longest pause in seconds."""

    def __post_init__(self) -> None:
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"invalid max_attempts: {self.max_attempts}; expected at least 1")


class Deadline:
    """The moment at which a call times out."""

    def __init__(self, timeout: float | None) -> None:
        self._end = None if timeout is None else time.monotonic() + timeout

    def remaining(self) -> float | None:
        """Returns the remaining time in seconds, or ``None`` without a limit.

        Raises:
            DeadlineExceededError: No time remains.
        """
        if self._end is None:
            return None
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise DeadlineExceededError("the timeout of the call has passed")
        return remaining

    def allows(self, pause: float) -> bool:
        """Returns whether time remains after a pause in seconds."""
        return self._end is None or time.monotonic() + pause < self._end


class Tries:
    """The tries of one call."""

    def __init__(self, retry: Retry, deadline: Deadline, *, is_write: bool, has_key: bool = False) -> None:
        self._retry = retry
        self._deadline = deadline
        self._is_write = is_write
        self._has_key = has_key
        self._failed = 0
        self._unknown: StoreError | None = None

    def reset(self) -> None:
        """Starts the count again, because the server has answered."""
        self._failed = 0

    def pause_after(self, failure: CallFailed) -> float:
        """Returns the pause before the next try in seconds.

        Raises:
            StoreError: There is no next try.
        """
        error = error_of(failure.status, is_write=self._is_write)
        if isinstance(error, OutcomeUnknownError):
            self._unknown = error
        self._failed += 1
        pause = self._pause(error)
        is_last = self._retry.max_attempts is not None and self._failed >= self._retry.max_attempts
        if not self._is_repeatable(error) or is_last or not self._deadline.allows(pause):
            if self._unknown is not None and isinstance(error, UnavailableError):
                # An earlier try may have been stored.
                error = self._unknown
            raise error from failure.__cause__
        log = logger.warning if self._failed == 1 else logger.debug
        log("call failed, will retry in %.3f s: %s: %s", pause, error.kind, error.message)
        return pause

    def _is_repeatable(self, error: StoreError) -> bool:
        if isinstance(error, UnavailableError):
            return True
        if isinstance(error, OutcomeUnknownError):
            return not self._is_write or self._has_key
        return isinstance(error, ResourceExhaustedError) and error.retry_after is not None

    def _pause(self, error: StoreError) -> float:
        doublings = min(self._failed - 1, 30)
        longest = min(self._retry.first_pause * 2.0**doublings, self._retry.longest_pause)
        # Clients that lost the same server must not return at the same time.
        pause = longest * random.uniform(0.5, 1.0)
        return max(pause, error.retry_after or 0.0)
