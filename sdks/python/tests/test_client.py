"""The settings of a client, and values that it rejects before a call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer

import factum_store as fs


@pytest.mark.parametrize(
    "address",
    ["localhost:50051", "esdb://localhost", "factum://", "factum://ann:secret@localhost", "factum://localhost/a"],
)
def test_address_is_checked(address: str) -> None:
    """An address of another form is an error, which does not show a password."""
    with pytest.raises(ValueError, match="invalid address") as failure:
        fs.Client(address)
    assert "secret" not in str(failure.value)


def test_tls_needs_an_encrypted_address() -> None:
    """Settings of TLS without TLS are a mistake."""
    with pytest.raises(ValueError, match="TLS needs factums://"):
        fs.Client("factum://localhost", tls=fs.Tls())


def test_credentials_hide_their_secrets() -> None:
    """Secrets do not appear in logs."""
    assert "s3cret" not in repr(fs.Token("s3cret")) + repr(fs.Basic("ann", "s3cret"))


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        ("read_stream", {"stream": "a-1", "limit": 0}, "invalid limit: 0"),
        ("read_stream", {"stream": "a-1", "direction": "up"}, "invalid direction: 'up'"),
        ("read_all", {"query": [], "streams": ["a-1"]}, "not both"),
        ("subscribe", {"after": 3, "live_only": True}, "not both"),
        ("append", {"stream": "a-1", "events": fs.NewEvent("a", float("nan")), "expected": 0}, "JSON"),
    ],
)
def test_mistakes_are_reported_before_the_call(operation: str, arguments: dict[str, Any], message: str) -> None:
    """A value that the protocol cannot express is an error of the call, without a server."""
    with fs.Client("factum://127.0.0.1:1") as client, pytest.raises(ValueError, match=message):
        getattr(client, operation)(**arguments)


def test_data_of_another_type_must_be_bytes() -> None:
    """JSON with the media type of an image is a mistake."""
    event = fs.NewEvent("photo.taken", {"a": 1}, content_type="image/jpeg")
    with fs.Client("factum://127.0.0.1:1") as client, pytest.raises(TypeError, match="must be bytes"):
        client.append("photo-1", event, expected=0)


def test_server_that_cannot_be_reached_stored_nothing() -> None:
    """Without a connection, the outcome of an append is known."""
    retry = fs.Retry(max_attempts=2, first_pause=0.001)
    with fs.Client("factum://127.0.0.1:1", retry=retry) as client, pytest.raises(fs.UnavailableError):
        client.append("a-1", fs.NewEvent("a"), expected=0, idempotency_key=fs.Key.NONE)


SUBSCRIPTION = {
    "rpc": "Subscribe",
    "request": {},
    "frames": [{"message": {"caughtUp": {"position": "2"}}}, {"hold": True}],
}


def test_loop_that_ends_cancels_its_call() -> None:
    """A caller that leaves the loop does not leave an open call."""
    with ScriptedServer([SUBSCRIPTION]) as server, fs.Client(f"factum://127.0.0.1:{server.port}") as client:
        for message in client.subscribe():
            assert message == fs.CaughtUp(2)
            break
        server.finish()
        assert server.problems == []


def test_async_loop_that_ends_cancels_its_call() -> None:
    """The client for asyncio does not leave an open call either."""

    async def follow(server: ScriptedServer) -> None:
        async with fs.AsyncClient(f"factum://127.0.0.1:{server.port}") as client:
            async for message in client.subscribe():
                assert message == fs.CaughtUp(2)
                break
            await asyncio.to_thread(server.finish)

    with ScriptedServer([SUBSCRIPTION]) as server:
        asyncio.run(follow(server))
        assert server.problems == []


def test_retry_has_at_least_one_try() -> None:
    """No try at all is a mistake."""
    with pytest.raises(ValueError, match="invalid max_attempts: 0"):
        fs.Retry(max_attempts=0)


def test_readme_names_every_error() -> None:
    """A reader finds each error in the table."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    errors = [name for name in fs.__all__ if name.endswith("Error")]
    assert [name for name in errors if name not in readme] == []
