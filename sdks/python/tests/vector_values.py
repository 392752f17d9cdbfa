"""The values of test vectors: arguments for the client, and results in the form of the vectors."""

from __future__ import annotations

import base64
import dataclasses
import json
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import factum_store as fs

VIOLATIONS: dict[type, str] = {
    fs.VersionViolation: "version",
    fs.ConditionViolation: "condition",
    fs.DocumentViolation: "document",
    fs.TransactionViolation: "transaction",
    fs.MissingEvent: "missing_event",
    fs.UnknownViolation: "unknown",
}


def options(client: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a client."""
    pauses = {"first_pause": 0.001, "longest_pause": 0.005}
    settings: dict[str, Any] = {
        "retry": fs.Retry(max_attempts=3, **pauses),
        "reconnect": fs.Retry(max_attempts=3, **pauses),
        "silence": client.get("silence_ms", 60_000) / 1000,
    }
    match client.get("credentials"):
        case {"token": token}:
            settings["credentials"] = fs.Token(token)
        case {"user": user, "password": password}:
            settings["credentials"] = fs.Basic(user, password)
    return settings


def arguments(call: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of an operation by their names."""
    given: dict[str, Any] = {}
    for name, value in call.items():
        match name:
            case "operation":
                continue
            case "expected":
                given[name] = expected(value)
            case "events":
                given[name] = [new_event(event) for event in value]
            case "streams" if call["operation"] == "append_streams":
                given[name] = [stream_append(part) for part in value]
            case "query":
                given[name] = query(value)
            case "condition":
                given[name] = fs.AppendCondition(query(value["query"]), value["after"])
            case "required_events":
                given[name] = [UUID(id) for id in value]
            case "idempotency_key":
                given[name] = fs.Key.NONE if value is None else value
            case "settings":
                given[name] = fs.GroupSettings(**arguments({"operation": "", **value}))
            case "answers":
                continue
            case _ if name.endswith("_ms"):
                given[name.removesuffix("_ms")] = value / 1000
            case _:
                given[name] = value
    return given


def expected(value: str | int) -> fs.ExpectedVersion:
    """Converts an expected version."""
    return value if isinstance(value, int) else fs.Expected(value)


def stream_append(part: dict[str, Any]) -> fs.StreamAppend:
    """Converts the part of an append for one stream."""
    events = [new_event(event) for event in part["events"]]
    return fs.StreamAppend(part["stream"], events, expected=expected(part["expected"]))


def query(items: list[dict[str, Any]]) -> list[fs.QueryItem]:
    """Converts a query."""
    return [fs.QueryItem(**item) for item in items]


def new_event(given: dict[str, Any]) -> fs.NewEvent:
    """Converts a new event."""
    event = dict(given)
    if "data_base64" in event:
        event["data"] = base64.b64decode(event.pop("data_base64"))
    if "id" in event:
        event["id"] = UUID(event["id"])
    if "metadata" in event:
        metadata = dict(event["metadata"])
        for name in ("correlation_id", "causation_id"):
            metadata[name] = UUID(metadata[name])
        metadata["foreign"] = base64.b64decode(metadata.pop("foreign_base64"))
        event["metadata"] = fs.Metadata(**metadata)
    return fs.NewEvent(**event)


def item(value: Any) -> dict[str, Any]:
    """Converts an item of a read, a subscription or a list."""
    names = {
        fs.Event: "event",
        fs.CaughtUp: "caught_up",
        fs.FellBehind: "fell_behind",
        fs.Checkpoint: "checkpoint",
        fs.StreamSummary: "stream",
        fs.Delivery: "delivery",
        fs.Group: "group",
        fs.DeadLetter: "dead_letter",
    }
    return {names[type(value)]: plain(value)}


def answer(delivery: fs.Delivery, given: Any) -> None:
    """Answers a delivery."""
    if given == "ack":
        assert delivery.ack()
    elif given is not None:
        assert delivery.nack(**arguments({"operation": "", **given}))
    if given is not None:
        assert not delivery.ack(), "a second answer is ignored"


def error(value: fs.StoreError) -> dict[str, Any]:
    """Converts an error."""
    facts = {name: plain(fact) for name, fact in vars(value).items()}
    return {"kind": value.kind, **facts}


def plain(value: Any) -> Any:
    """Converts a value of the client into the form of the vectors."""
    match value:
        case datetime():
            return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
        case UUID():
            return str(value)
        case Enum():
            return value.value
        case dict():
            return {key: plain(part) for key, part in value.items()}
        case list() | tuple():
            return [plain(part) for part in value]
    if not dataclasses.is_dataclass(value):
        return value
    names = [field.name for field in dataclasses.fields(value) if not field.name.startswith("_")]
    fields = {name: plain(getattr(value, name)) for name in names if name != "data"}
    if isinstance(value, fs.Event):
        fields["data_base64"] = base64.b64encode(value.data).decode()
        if value.content_type == "application/json":
            fields["data"] = json.loads(value.data)
    if isinstance(value, fs.Metadata):
        fields["foreign_base64"] = base64.b64encode(value.foreign).decode()
    if isinstance(value, fs.VersionViolation) and value.expected is None:
        fields["expected"] = "unknown"
    if type(value) in VIOLATIONS:
        fields["kind"] = VIOLATIONS[type(value)]
    return fields


def contains(actual: Any, wanted: Any, path: str) -> str | None:
    """Returns the first difference, or ``None``. Objects may have further fields."""
    if isinstance(wanted, dict) and isinstance(actual, dict):
        if path.endswith((".data", ".extra")) and actual != wanted:
            return f"{path} is {actual!r}, expected {wanted!r}"
        found = (contains(actual.get(key, "missing"), wanted[key], f"{path}.{key}") for key in wanted)
        return next(filter(None, found), None)
    if isinstance(wanted, list) and isinstance(actual, list):
        if len(wanted) != len(actual):
            return f"{path} is {actual!r}, expected {len(wanted)} elements"
        found = (contains(actual[index], wanted[index], f"{path}[{index}]") for index in range(len(wanted)))
        return next(filter(None, found), None)
    same = type(actual) is type(wanted) and actual == wanted
    return None if same else f"{path} is {actual!r}, expected {wanted!r}"
