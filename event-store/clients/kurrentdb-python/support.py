"""The client of a test, and events."""

import os
import unittest
from uuid import uuid4

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState

ADDRESS = os.environ["EVENT_STORE_ADDRESS"]
ANY, NO_STREAM, EXISTS = StreamState.ANY, StreamState.NO_STREAM, StreamState.EXISTS

# The time limit in seconds of a subscription that must return something.
LIMIT = 20


def new_name(category="hive"):
    return f"{category}-{uuid4()}"


def new_events(count, name="weighed", **fields):
    return [NewEvent(type=name, data=b'{"number":%d}' % number, **fields) for number in range(count)]


class ClientTest(unittest.TestCase):
    """A test with a client without encryption."""

    def setUp(self):
        self.client = KurrentDBClient(f"kurrentdb://{ADDRESS}?tls=false")
        self.addCleanup(self.client.close)

    def append(self, stream, events, expected=ANY):
        return self.client.append_events(stream, current_version=expected, events=events)

    def ids(self, stream, **options):
        return [event.id for event in self.client.get_stream(stream, **options)]

    def assert_stream(self, stream, events):
        self.assertEqual(self.ids(stream), [event.id for event in events])
