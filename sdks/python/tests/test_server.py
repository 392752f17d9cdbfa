"""The clients on the real server, whose address is in ``EVENT_STORE_ADDRESS``."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import factum_store as fs

ADDRESS = "factum://" + os.environ["EVENT_STORE_ADDRESS"]


@pytest.fixture
def store() -> Iterator[fs.Client]:
    """Returns a client of the server."""
    with fs.Client(ADDRESS) as client:
        yield client


def name(category: str) -> str:
    """Returns the name of a stream that no other test uses."""
    return f"{category}-{uuid.uuid4()}"


def test_event_returns_as_it_was_stored(store: fs.Client) -> None:
    """All fields of an event survive."""
    metadata = fs.Metadata(
        actor="ann",
        reason="a test",
        correlation_id=uuid.uuid4(),
        causation_id=uuid.uuid4(),
        tenant="north",
        extra={"app": {"version": 2}},
    )
    new = fs.NewEvent(
        "account.opened",
        {"owner": "Änn", "n": [1, None]},
        id=uuid.uuid4(),
        schema_version=3,
        tags=["vip", "owner:ann"],
        metadata=metadata,
    )
    photo = fs.NewEvent("photo.taken", b"\xff\xd8\x00", content_type="image/jpeg")
    stream = name("account")
    appended = store.append(stream, [new, photo], expected=fs.Expected.NO_STREAM)
    assert (appended.count, appended.versions, appended.repeated) == (2, {stream: 2}, False)

    first, second = store.read_stream(stream)
    assert (first.id, first.event_type, first.schema_version) == (new.id, "account.opened", 3)
    assert first.json() == new.data
    assert (first.metadata, set(first.tags)) == (metadata, {"vip", "owner:ann"})
    assert first.recorded_at == appended.recorded_at
    assert (second.data, second.content_type, second.position) == (photo.data, "image/jpeg", appended.position)


def test_conflict_has_its_facts(store: fs.Client) -> None:
    """A wrong version and a violated condition are reported with their facts."""
    stream = name("account")
    appended = store.append(stream, fs.NewEvent("opened", {}, tags=["t:1"]), expected=0)
    with pytest.raises(fs.ConflictError) as conflict:
        store.append(stream, fs.NewEvent("opened", {}), expected=fs.Expected.NO_STREAM)
    assert conflict.value.violations == (fs.VersionViolation(stream, fs.Expected.NO_STREAM, 1),)

    condition = fs.AppendCondition(fs.QueryItem(stream_prefix=stream), after=appended.position - 1)
    with pytest.raises(fs.ConflictError) as conflict:
        store.append(stream, fs.NewEvent("opened", {}), expected=1, condition=condition)
    assert conflict.value.violations == (fs.ConditionViolation(appended.position),)


def test_key_returns_the_first_result(store: fs.Client) -> None:
    """A repeated append is stored once, and other content is an error."""
    stream, key = name("order"), str(uuid.uuid4())
    first = store.append(stream, fs.NewEvent("placed", {"n": 1}), expected=fs.Expected.ANY, idempotency_key=key)
    second = store.append(stream, fs.NewEvent("placed", {"n": 1}), expected=fs.Expected.ANY, idempotency_key=key)
    assert (second.position, second.repeated) == (first.position, True)
    with pytest.raises(fs.KeyReusedError) as reused:
        store.append(stream, fs.NewEvent("placed", {"n": 2}), expected=fs.Expected.ANY, idempotency_key=key)
    assert reused.value.key == key
    assert len(list(store.read_stream(stream))) == 1


def test_invalid_request_names_its_field(store: fs.Client) -> None:
    """The path of the field is that of the protocol."""
    with pytest.raises(fs.InvalidArgumentError) as invalid:
        store.append("a\n", fs.NewEvent("a", {}), expected=0)
    assert [field.field for field in invalid.value.fields] == ["streams[0].stream"]


def test_events_of_several_streams_are_mixed(store: fs.Client) -> None:
    """The positions of the events have the order of the parts."""
    first, second = name("account"), name("account")

    def part(stream: str, n: int) -> fs.StreamAppend:
        return fs.StreamAppend(stream, [fs.NewEvent("sent", n)], expected=0)

    appended = store.append_streams([part(first, 0), part(second, 1), part(first, 2)])
    assert appended.versions == {first: 2, second: 1}
    read = store.read_all(streams=[first, second])
    assert [(event.stream, event.json()) for event in read] == [(first, 0), (second, 1), (first, 2)]
    with pytest.raises(ValueError, match="two expected versions"):
        store.append_streams([part(first, 3), fs.StreamAppend(first, expected=1)])


def test_missing_stream(store: fs.Client) -> None:
    """A stream without events is empty, or an error if it must exist."""
    assert list(store.read_stream(name("none"))) == []
    with pytest.raises(fs.NotFoundError):
        list(store.read_stream(name("none"), must_exist=True))
    with pytest.raises(fs.NotFoundError):
        store.describe_stream(name("none"))


def test_streams_are_listed_and_described(store: fs.Client) -> None:
    """The list has all pages."""
    category = f"list{uuid.uuid4().hex}"
    streams = [f"{category}-{number}" for number in range(5)]
    for stream in streams:
        store.append(stream, fs.NewEvent("a", {}), expected=0)
    listed = list(store.list_streams(category=category, page_size=2))
    assert [summary.stream for summary in listed] == streams
    described = store.describe_stream(streams[0])
    assert (described.version, described.position) == (1, listed[0].position)
    assert store.head() >= described.position


def test_event_types_are_listed(store: fs.Client) -> None:
    """The list has all pages, and the position of the last event of each type."""
    types = [f"{uuid.uuid4()}" for _ in range(3)]
    appended = store.append(name("typed"), [fs.NewEvent(kind, {}) for kind in types], expected=0)
    listed = {found.event_type: found.position for found in store.list_event_types(page_size=2)}
    assert [listed[kind] for kind in types] == [appended.position - 2, appended.position - 1, appended.position]


def test_read_has_a_head_and_a_limit(store: fs.Client) -> None:
    """The head is the position for a condition, and `more` tells that the limit ended the read."""
    stream = name("meter")
    appended = store.append(stream, [fs.NewEvent("read", {"n": n}) for n in range(5)], expected=0)
    read = store.read_stream(stream, direction="backward", limit=2)
    assert [event.version for event in read] == [5, 4]
    assert read.more
    assert read.head >= appended.position


def test_server_describes_itself(store: fs.Client) -> None:
    """The backend is that of the test run."""
    assert store.server_info().backend == os.environ["EVENT_STORE_BACKEND"]


def test_subscription_replays_then_follows(store: fs.Client) -> None:
    """Stored events come before the new ones, without a gap."""
    stream = name("live")
    query = fs.QueryItem(stream_prefix=stream)
    store.append(stream, [fs.NewEvent("a", {"n": n}) for n in range(3)], expected=0)
    with store.subscribe(query) as subscription:
        seen = []
        for message in subscription:
            if isinstance(message, fs.Event):
                seen.append(message.version)
            if isinstance(message, fs.CaughtUp) and len(seen) == 3:
                store.append(stream, [fs.NewEvent("a", {"n": n}) for n in range(2)], expected=3)
            if len(seen) == 5:
                break
    assert seen == [1, 2, 3, 4, 5]


def test_subscription_is_closed_from_another_thread(store: fs.Client) -> None:
    """A blocked subscription ends."""
    subscription = store.subscribe(fs.QueryItem(stream_prefix=name("none")), live_only=True)
    assert isinstance(next(subscription), fs.CaughtUp)
    threading.Thread(target=subscription.close).start()
    assert list(subscription) == []


def test_group_settles_every_event(store: fs.Client) -> None:
    """Events are acknowledged, tried again, or become dead letters, which can be delivered again."""
    stream = name("order")
    store.append(stream, [fs.NewEvent("placed", n) for n in range(4)], expected=0)
    group = store.groups.create(name("billing"), fs.GroupSettings(query=fs.QueryItem(stream_prefix=stream)))
    with pytest.raises(fs.GroupExistsError):
        store.groups.create(group.name)
    seen = []
    with store.groups.consume(group.name, consumer="test") as consumer:
        for delivery in consumer:
            number = delivery.event.json()
            seen.append((number, delivery.attempt))
            if number == 1 and delivery.attempt == 1:
                delivery.nack(retry_after=0.001, reason="again")
            elif number == 2:
                delivery.nack("dead_letter", reason="poison")
            else:
                delivery.ack()
            if number == 3:
                break
    assert seen == [(0, 1), (1, 1), (1, 2), (2, 1), (3, 1)]
    # The server stores answers a little later.
    end = time.monotonic() + 10
    while store.groups.describe(group.name).dead_letters == 0:
        assert time.monotonic() < end
    [letter] = store.groups.list_dead_letters(group.name)
    assert letter.event is not None
    assert (letter.event.json(), letter.attempts, letter.reason) == (2, 1, "poison")
    assert store.groups.retry_dead_letters(group.name, [letter.position]) == 1
    with store.groups.consume(group.name) as consumer:
        delivery = next(consumer)
        assert delivery.event.position == letter.position
        assert delivery.ack()
    assert group.name in [found.name for found in store.groups.list()]
    store.groups.delete(group.name)
    with pytest.raises(fs.NotFoundError):
        next(store.groups.consume(group.name))


def test_consumer_is_closed_from_another_thread(store: fs.Client) -> None:
    """A blocked consumer leaves its group."""
    group = store.groups.create(name("idle"), fs.GroupSettings(live_only=True))
    consumer = store.groups.consume(group.name)
    threading.Thread(target=consumer.close).start()
    assert list(consumer) == []


class Server:
    """A server on a file, which is killed and started again on the same port."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.port = 0
        self.start()

    def start(self) -> None:
        """Starts the server, and waits until it listens."""
        binary = os.environ["EVENT_STORE_BINARY"]
        text = subprocess.run([binary, "--help"], check=True, capture_output=True, text=True).stdout
        options = [*self.options, *(["--insecure"] if "--insecure" in text else [])]
        self.process = subprocess.Popen(
            [binary, "--store", "sqlite:events.db", "--bind-addr", f"127.0.0.1:{self.port}", *options],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = re.search(r"gRPC API on https?://\S+:(\d+)", line)
            if found:
                self.port = int(found[1])
                return
        raise AssertionError("the server did not start")

    def restart(self) -> None:
        """Kills the server, and starts it again."""
        self.kill()
        self.start()

    def kill(self) -> None:
        """Ends the server without a chance to answer."""
        self.process.kill()
        self.process.wait()

    def client(self, **options: Any) -> fs.Client:
        """Returns a client that tries again quickly and without end."""
        tries = fs.Retry(max_attempts=None, first_pause=0.01, longest_pause=0.1)
        return fs.Client(f"factum://127.0.0.1:{self.port}", retry=tries, reconnect=tries, **options)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """Returns a server of the test."""
    if os.environ["EVENT_STORE_BACKEND"] != "sqlite":
        pytest.skip("the restarted server needs a file; this test runs with the backend sqlite")
    server = Server(tmp_path)
    yield server
    server.kill()


def test_killed_server_causes_no_gap_and_no_duplicate(own_server: Server) -> None:
    """An append is repeated, and a subscription resumes, over restarts of the server."""
    count, seen = 300, list[int]()
    with own_server.client() as client:
        subscription = client.subscribe()

        def follow() -> None:
            for event in subscription.events():
                seen.append(event.json())
                if len(seen) == count:
                    return

        follower = threading.Thread(target=follow)
        follower.start()
        for number in range(count):
            if number % 100 == 50:
                restart = threading.Thread(target=own_server.restart)
                restart.start()
            client.append("meter-1", fs.NewEvent("read", number), expected=fs.Expected.ANY)
            if number % 100 == 99:
                restart.join()
        follower.join(60)
        subscription.close()
        follower.join()
    assert seen == list(range(count))


def test_killed_server_delivers_to_the_group_again(own_server: Server) -> None:
    """A consumer joins again, and no event is missing."""
    count, seen = 100, set[int]()
    with own_server.client() as client:
        client.groups.create("billing", fs.GroupSettings(partitions=1))
        client.append("order-1", [fs.NewEvent("placed", n) for n in range(count)], expected=0)
        with client.groups.consume("billing") as consumer:
            for delivery in consumer:
                number = delivery.event.json()
                if number == 50 and number not in seen:
                    own_server.restart()
                seen.add(number)
                delivery.ack()
                if len(seen) == count:
                    break
    assert seen == set(range(count))


def test_credentials_are_checked(tmp_path: Path) -> None:
    """A token and a password are accepted, and a missing permission has its facts."""
    if os.environ["EVENT_STORE_BACKEND"] != "sqlite":
        pytest.skip("one backend is enough for credentials")
    token = "factum_" + "t" * 43
    binary = os.environ["EVENT_STORE_BINARY"]
    hashed = subprocess.run([binary, "hash-password"], input="pässword:1\n", text=True, capture_output=True, check=True)
    (tmp_path / "users.toml").write_text(
        f"""
        [roles.shop]
        read = ["order-"]
        append = ["order-"]
        [users.shop]
        roles = ["shop"]
        password = "{hashed.stdout.strip()}"
        tokens = [{{ name = "ci", sha256 = "{hashlib.sha256(token.encode()).hexdigest()}" }}]
        """
    )
    server = Server(tmp_path, "--users", "users.toml")
    try:
        for credentials in (fs.Token(token), fs.Basic("shop", "pässword:1")):
            with server.client(credentials=credentials) as client:
                client.append("order-1", fs.NewEvent("placed", {}), expected=fs.Expected.ANY)
                with pytest.raises(fs.PermissionDeniedError) as denied:
                    client.append("account-1", fs.NewEvent("opened", {}), expected=fs.Expected.ANY)
                facts = (denied.value.principal, denied.value.permission, denied.value.resource)
                assert facts == ('user "shop"', "append", 'stream "account-1"')
        for wrong in (None, fs.Token("factum_" + "u" * 43), fs.Basic("shop", "guess")):
            with server.client(credentials=wrong) as client, pytest.raises(fs.UnauthenticatedError):
                client.head()
    finally:
        server.kill()


def certificates(folder: Path) -> None:
    """Creates an authority, and certificates of a server and a client."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")
    openssl("req", "-x509", *key, "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for owner in ("server", "client"):
        openssl("req", *key, f"{owner}.key", "-out", f"{owner}.csr", "-subj", f"/CN={owner}")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{owner}.csr", "-out", f"{owner}.pem", *signing)


def test_connection_is_encrypted(tmp_path: Path) -> None:
    """The certificates of the server and of the client are checked."""
    if os.environ["EVENT_STORE_BACKEND"] != "sqlite":
        pytest.skip("one backend is enough for encryption")
    certificates(tmp_path)
    options = ("--tls-cert", "server.pem", "--tls-key", "server.key", "--tls-client-ca", "ca.pem")
    server = Server(tmp_path, *options)
    once = fs.Retry(max_attempts=1)
    mutual = fs.Tls(
        ca=tmp_path / "ca.pem", certificate=tmp_path / "client.pem", key=(tmp_path / "client.key").read_bytes()
    )
    try:
        with fs.Client(f"factums://localhost:{server.port}", tls=mutual) as client:
            client.append("order-1", fs.NewEvent("placed", {}), expected=0)
            assert client.head() == 1
        for tls in (None, fs.Tls(ca=tmp_path / "ca.pem"), fs.Tls(ca=tmp_path / "client.pem")):
            client = fs.Client(f"factums://localhost:{server.port}", tls=tls, retry=once)
            with client, pytest.raises(fs.UnavailableError):
                client.head()
        client = fs.Client(f"factum://localhost:{server.port}", retry=once)
        with client, pytest.raises(fs.UnavailableError):
            client.head()
    finally:
        server.kill()


def test_killed_server_with_asyncio(own_server: Server) -> None:
    """The client for asyncio resumes in the same way."""

    async def run() -> list[int]:
        reconnect = fs.Retry(max_attempts=None, first_pause=0.01, longest_pause=0.1)
        address = f"factum://127.0.0.1:{own_server.port}"
        async with fs.AsyncClient(address, reconnect=reconnect) as client:
            await client.append("meter-1", [fs.NewEvent("read", n) for n in range(3)], expected=0)
            seen = []
            async with client.subscribe() as subscription:
                async for message in subscription:
                    if isinstance(message, fs.Event):
                        seen.append(message.version)
                    elif isinstance(message, fs.CaughtUp) and len(seen) == 3:
                        own_server.restart()
                        await client.append("meter-1", fs.NewEvent("read", 3), expected=3)
                    if len(seen) == 4:
                        return seen
            return seen

    assert asyncio.run(asyncio.wait_for(run(), 60)) == [1, 2, 3, 4]
