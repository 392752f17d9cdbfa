"""A gRPC server that plays the script of a test vector, and checks the calls that it receives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from factum_store import _methods
from factum_store._proto import store_pb2 as pb

LIMIT = 10.0
"""The time limit of a vector in seconds."""

METHODS: dict[str, _methods.Method[Any, Any]] = {
    method.name: method for method in vars(_methods).values() if isinstance(method, _methods.Method)
}


def difference(expected: Any, actual: Any, texts: dict[str, str], path: str = "request") -> str | None:
    """Returns the first difference, or ``None``. A text ``$text:NAME`` is the same text wherever it occurs."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        if expected.keys() != actual.keys():
            return f"{path} has the fields {sorted(actual)}, expected {sorted(expected)}"
        found = (difference(expected[key], actual[key], texts, f"{path}.{key}") for key in expected)
        return next(filter(None, found), None)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        found = (difference(one, other, texts, f"{path}[{index}]") for index, (one, other) in pairs)
        return next(filter(None, found), None)
    if isinstance(expected, str) and expected.startswith("$text:") and isinstance(actual, str) and actual:
        expected = texts.setdefault(expected, actual)
    return None if expected == actual else f"{path} is {actual!r}, expected {expected!r}"


class ScriptedServer(grpc.GenericRpcHandler):
    """The server. Use it as a context manager."""

    def __init__(self, script: list[dict[str, Any]]) -> None:
        self.problems: list[str] = []
        self._script = script
        self._received = 0
        self._texts: dict[str, str] = {}
        self._ended_at = time.monotonic()
        self._changed = threading.Condition()
        self._running = 0
        self._server = grpc.server(ThreadPoolExecutor(8), handlers=[self], options=[("grpc.so_reuseport", 0)])
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> ScriptedServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Returns the handler of a call."""
        name = handler_call_details.method.rsplit("/", 1)[-1]
        metadata = {entry[0]: entry[1] for entry in handler_call_details.invocation_metadata}

        def play(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            with self._changed:
                self._running += 1
                self._changed.notify_all()
            try:
                yield from self._play(name, metadata, requests, context)
            finally:
                with self._changed:
                    self._ended_at = time.monotonic()
                    self._running -= 1
                    self._changed.notify_all()

        # A call with one request or answer looks like one with many.
        return grpc.stream_stream_rpc_method_handler(play)

    def wait_for_calls(self, count: int) -> None:
        """Waits until the server has received a number of calls."""
        self._wait(lambda: self._received >= count, f"the server did not receive {count} calls")

    def finish(self) -> None:
        """Waits for the end of all calls, and checks that the script was played to its end."""
        self._wait(lambda: self._running == 0, "a call was not cancelled")
        if self._received < len(self._script):
            self.problems.append(f"the server received {self._received} calls, expected {len(self._script)}")

    def _wait(self, condition: Callable[[], bool], problem: str) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, LIMIT):
                self.problems.append(problem)

    def _play(
        self, name: str, metadata: dict[str, Any], requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        cancelled = threading.Event()
        context.add_callback(cancelled.set)
        with self._changed:
            number = self._received
            self._received += 1
            self._changed.notify_all()
        if number >= len(self._script):
            self.problems.append(f"unexpected call {number + 1}: {name}")
            context.abort(grpc.StatusCode.INTERNAL, "unexpected call")
        call = self._script[number]
        self._check(call, number + 1, name, metadata, next(requests))
        for frame in call["frames"]:
            if "message" in frame:
                yield encoded(METHODS[name].response, frame["message"])
            elif "status" in frame:
                end(context, frame["status"])
            elif "receive" in frame or "receive_end" in frame:
                self._receive(frame.get("receive"), METHODS[name].request, requests, number + 1)
            elif not cancelled.wait(LIMIT):
                self.problems.append(f"call {number + 1} was not cancelled")

    def _receive(
        self, expected: dict[str, Any] | None, kind: type[Message], requests: Iterator[bytes], number: int
    ) -> None:
        """Waits for the next request, or for the end of the requests."""
        for request in requests:
            actual = MessageToDict(kind.FromString(request))
            if actual == {"heartbeat": {}} and expected != actual:
                continue
            problem = difference(expected, actual, self._texts)
            if problem is not None:
                self.problems.append(f"call {number}: {problem}")
            return
        if expected is not None:
            self.problems.append(f"call {number}: the requests ended before {expected}")

    def _check(self, call: dict[str, Any], number: int, name: str, metadata: dict[str, Any], request: bytes) -> None:
        if name != call["rpc"]:
            self.problems.append(f"call {number} is {name}, expected {call['rpc']}")
            return
        actual = MessageToDict(METHODS[name].request.FromString(request))
        problem = difference(call["request"], actual, self._texts)
        if problem is not None:
            self.problems.append(f"call {number}: {problem}")
        for key, value in call.get("metadata", {}).items():
            if metadata.get(key) != value:
                self.problems.append(f"call {number}: {key} is {metadata.get(key)!r}, expected {value!r}")
        pause = (time.monotonic() - self._ended_at) * 1000
        if pause < call.get("not_before_ms", 0):
            self.problems.append(f"call {number} came after {pause:.0f} ms")


def encoded(kind: type[Message], json: dict[str, Any]) -> bytes:
    """Encodes a message in its JSON form."""
    return ParseDict(json, kind()).SerializeToString()


def end(context: grpc.ServicerContext, status: dict[str, Any]) -> None:
    """Ends a call with the status of a vector."""
    code = grpc.StatusCode[status["code"]]
    details: list[Message] = []
    if "reason" in status:
        domain = status.get("domain", "factum.store")
        info = error_details_pb2.ErrorInfo(reason=status["reason"], domain=domain, metadata=status.get("facts", {}))
        details.append(info)
    if "fields" in status:
        violation = error_details_pb2.BadRequest.FieldViolation
        fields = [violation(field=part["field"], description=part["rule"]) for part in status["fields"]]
        details.append(error_details_pb2.BadRequest(field_violations=fields))
    if "retry_after_ms" in status:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(status["retry_after_ms"])
        details.append(retry)
    if "refusal" in status:
        details.append(ParseDict(status["refusal"], pb.Refusal()))
    if details:
        rpc = status_pb2.Status(code=code.value[0], message=status["message"])
        for detail in details:
            rpc.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", rpc.SerializeToString()),))
    context.abort(code, status["message"])
