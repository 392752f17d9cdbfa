"""The test vectors that all SDKs share, with both clients."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from scripted_server import LIMIT, ScriptedServer
from vector_values import answer, arguments, contains, error, item, options, plain

import factum_store as fs

FILE: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors.json").read_text())

VECTORS: list[dict[str, Any]] = FILE["vectors"]

MANY = {"read_stream", "read_all", "subscribe", "list_streams", "consume", "list_groups", "list_dead_letters"}
"""The operations with many results."""


def check(vector: dict[str, Any], outcome: dict[str, Any], server: ScriptedServer) -> None:
    """Compares the outcome of a vector, and the calls that the server received."""
    server.finish()
    assert server.problems == []
    expect = vector["expect"]
    for name in ("error", "cancelled"):
        assert (name in outcome) == (name in expect), outcome
    for name, wanted in expect.items():
        problem = contains(outcome.get(name), wanted, name)
        assert problem is None, problem


def note_end(outcome: dict[str, Any], results: Any) -> None:
    """Notes the facts that a read has after its end."""
    if isinstance(results, fs.EventReader | fs.AsyncEventReader):
        outcome["head"] = results.head
        outcome["more"] = results.more


def operation_of(client: Any, name: str) -> Any:
    """Returns the operation with the name of the vectors."""
    if name == "consume" or "group" in name or "dead_letter" in name:
        short = name.removesuffix("_groups").removesuffix("_group")
        return getattr(client.groups, short)
    return getattr(client, name)


def note_item(outcome: dict[str, Any], call: dict[str, Any], received: Any) -> None:
    """Adds an item to the outcome. A delivery is answered."""
    items = outcome["items"]
    items.append(item(received))
    if isinstance(received, fs.Delivery):
        answers = call.get("answers", [])
        answer(received, answers[len(items) - 1] if len(items) <= len(answers) else None)


def run_sync(vector: dict[str, Any], server: ScriptedServer) -> dict[str, Any]:
    """Runs a vector with the client for threads."""
    outcome: dict[str, Any] = {}
    call, cancel = vector["call"], vector.get("cancel", {})
    with fs.Client(f"factum://127.0.0.1:{server.port}", **options(vector.get("client", {}))) as client:
        operation = operation_of(client, call["operation"])
        try:
            results = operation(**arguments(call))
            if call["operation"] not in MANY:
                outcome["result"] = plain(results)
                return outcome
            if "after_call" in cancel:

                def close() -> None:
                    server.wait_for_calls(cancel["after_call"])
                    results.close()

                threading.Thread(target=close).start()
            items = outcome["items"] = []
            while len(items) != cancel.get("after_items"):
                try:
                    note_item(outcome, call, next(results))
                except StopIteration:
                    if "after_call" in cancel:
                        outcome["cancelled"] = True
                    else:
                        note_end(outcome, results)
                    break
            results.close()
        except fs.StoreError as failure:
            outcome["error"] = error(failure)
        # The call ends before the client does.
        server.finish()
    return outcome


async def run_async(vector: dict[str, Any], server: ScriptedServer) -> dict[str, Any]:
    """Runs a vector with the client for asyncio."""
    outcome: dict[str, Any] = {}
    call, cancel = vector["call"], vector.get("cancel", {})

    async def operate(client: fs.AsyncClient) -> None:
        results = operation_of(client, call["operation"])(**arguments(call))
        if call["operation"] not in MANY:
            outcome["result"] = plain(await results)
            return
        items = outcome["items"] = []
        while len(items) != cancel.get("after_items"):
            try:
                note_item(outcome, call, await anext(results))
            except StopAsyncIteration:
                note_end(outcome, results)
                break
        if inspect.isasyncgen(results):
            await results.aclose()
        elif isinstance(results, fs.AsyncConsumer):
            await results.close()
        else:
            results.close()

    async with fs.AsyncClient(f"factum://127.0.0.1:{server.port}", **options(vector.get("client", {}))) as client:
        task = asyncio.create_task(operate(client))
        if "after_call" in cancel:
            await asyncio.to_thread(server.wait_for_calls, cancel["after_call"])
            task.cancel()
        try:
            await task
        except fs.StoreError as failure:
            outcome["error"] = error(failure)
        except asyncio.CancelledError:
            outcome["cancelled"] = True
        await asyncio.to_thread(server.finish)
    return outcome


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_client_follows_the_vector(vector: dict[str, Any]) -> None:
    """The client for threads follows the vector."""
    if "after_call" in vector.get("cancel", {}) and vector["call"]["operation"] not in MANY:
        pytest.skip("a blocking call of one result ends by its timeout only")
    with ScriptedServer(vector["server"]) as server:
        check(vector, run_sync(vector, server), server)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_async_client_follows_the_vector(vector: dict[str, Any]) -> None:
    """The client for asyncio follows the vector."""
    with ScriptedServer(vector["server"]) as server:
        outcome = asyncio.run(asyncio.wait_for(run_async(vector, server), 2 * LIMIT))
        check(vector, outcome, server)


def test_vectors_have_unique_names_and_known_fields() -> None:
    """A misspelt field would not be tested."""
    names = [vector["name"] for vector in VECTORS]
    assert len(set(names)) == len(names) >= 40
    for vector in VECTORS:
        assert vector.keys() <= {"name", "feature", "rule", "client", "call", "server", "cancel", "expect"}, vector[
            "name"
        ]
        assert vector["expect"].keys() <= {"result", "items", "error", "head", "more", "cancelled"}, vector["name"]
        for call in vector["server"]:
            assert call.keys() <= {"rpc", "request", "metadata", "not_before_ms", "frames"}, vector["name"]


@pytest.mark.parametrize("case", FILE["credentials"], ids=lambda case: case["address"])
def test_credentials_need_encryption(case: dict[str, Any]) -> None:
    """A client with credentials needs TLS, unless the server is on the same machine."""
    for credentials in (fs.Token("secret"), fs.Basic("ann", "secret")):
        if case["error"] is None:
            fs.Client(case["address"], credentials=credentials).close()
            continue
        with pytest.raises(ValueError) as raised:
            fs.Client(case["address"], credentials=credentials)
        assert str(raised.value) == case["error"]
