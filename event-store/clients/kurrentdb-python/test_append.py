"""Appends: expected states, repeated appends, ids, and bytes."""

import os

from kurrentdbclient import NewEvent
from kurrentdbclient.exceptions import (
    BadRequestError,
    DeadlineExceededError,
    KurrentDBClientError,
    MaximumAppendSizeExceededError,
    NotFoundError,
    WrongCurrentVersionError,
)
from support import ANY, EXISTS, NO_STREAM, ClientTest, new_events, new_name


class Append(ClientTest):
    def test_expected_state_is_checked(self):
        stream, events = new_name(), new_events(3)
        for wrong in (1, EXISTS):
            with self.assertRaises(WrongCurrentVersionError) as failure:
                self.append(stream, events[:1], wrong)
            self.assertEqual(str(failure.exception), f"Stream {stream!r} does not exist")
        self.append(stream, events[:1], NO_STREAM)
        for wrong in (NO_STREAM, 1, 7):
            with self.assertRaises(WrongCurrentVersionError) as failure:
                self.append(stream, new_events(1), wrong)
            self.assertEqual(failure.exception.actual_version, 0)
            self.assertEqual(failure.exception.expected_version, wrong)
        self.append(stream, events[1:2], 0)
        self.append(stream, events[2:], EXISTS)
        self.assert_stream(stream, events)
        self.assertEqual(self.client.get_current_version(stream), 2)

    def test_positions_are_those_of_the_log(self):
        before = self.client.get_commit_position()
        stream = new_name()
        position = self.append(stream, new_events(2))
        self.assertEqual(self.client.get_commit_position(), position)
        first, second = self.client.get_stream(stream)
        self.assertLess(before, first.commit_position)
        self.assertLess(first.commit_position, second.commit_position)
        self.assertEqual(second.commit_position, position)
        self.assertEqual(second.prepare_position, position)

    def test_repeated_append_returns_the_first_result(self):
        stream, events = new_name(), new_events(3)
        positions = [
            self.append(stream, events[:1], NO_STREAM),
            self.append(stream, events[1:2], 0),
            self.append(stream, events[2:], 1),
        ]
        self.assertEqual(self.append(stream, events[:1], NO_STREAM), positions[0])
        self.assertEqual(self.append(stream, events[1:2], 0), positions[1])
        self.assertEqual(self.append(stream, events[:2], NO_STREAM), positions[1])
        self.assertEqual(self.append(stream, events[1:], 0), positions[2])
        self.assertEqual(self.append(stream, events[1:], ANY), positions[2])
        with self.assertRaises(WrongCurrentVersionError):
            self.append(stream, events[1:] + new_events(1), 0)
        self.assert_stream(stream, events)

    def test_streams_may_share_event_ids(self):
        first, second, events = new_name(), new_name(), new_events(3)
        self.append(first, events, NO_STREAM)
        position = self.append(second, events, NO_STREAM)
        for stream in (first, second):
            self.assert_stream(stream, events)
        self.assertEqual(self.append(second, events, NO_STREAM), position)
        self.assertEqual(self.append(second, events, ANY), position)
        self.append(first, events[:1], 2)
        self.assert_stream(first, events + events[:1])
        twice = new_name()
        self.append(twice, [events[0], events[0]], NO_STREAM)
        self.assert_stream(twice, [events[0], events[0]])

    def test_bytes_return_as_they_were_sent(self):
        for content_type in ("application/json", "application/octet-stream"):
            for data in (b"{}", b"not json", b"", b"\x00\xff", os.urandom(1000)):
                for metadata in (b"", b'{"a": 1.0}', b"\x00\xfe", os.urandom(100)):
                    stream = new_name()
                    event = NewEvent(type="weighed", data=data, metadata=metadata, content_type=content_type)
                    self.append(stream, [event], NO_STREAM)
                    (recorded,) = self.client.get_stream(stream)
                    self.assertEqual(recorded.data, data)
                    self.assertEqual(recorded.metadata, metadata)
                    self.assertEqual(recorded.content_type, content_type)
                    self.assertEqual((recorded.id, recorded.type), (event.id, "weighed"))
                    self.assertEqual((recorded.stream_name, recorded.stream_position), (stream, 0))
                    self.assertIsNotNone(recorded.recorded_at)

    def test_names_may_contain_any_text(self):
        for name in ("a", "größe 1", "x/y:z@1", "-", "a-b-c"):
            stream, events = new_name(name), new_events(1, name="gewogen ü")
            self.append(stream, events, NO_STREAM)
            (recorded,) = self.client.get_stream(stream)
            self.assertEqual((recorded.stream_name, recorded.type), (stream, "gewogen ü"))

    def test_invalid_requests_store_nothing(self):
        head = self.client.get_commit_position(filter_exclude=[])
        for stream in ("", "\x07", "x" * 513):
            with self.assertRaises(BadRequestError):
                self.append(stream, new_events(1))
        for name in ("", "x" * 256):
            with self.assertRaises(BadRequestError):
                self.append(new_name(), new_events(1, name=name))
        large = [NewEvent(type="weighed", data=b"x" * (15 << 20)) for _ in range(5)]
        with self.assertRaises(MaximumAppendSizeExceededError):
            self.append(new_name(), large)
        with self.assertRaises(KurrentDBClientError):
            self.append(new_name(), new_events(10_001))
        self.assertEqual(self.client.get_commit_position(filter_exclude=[]), head)

    def test_deadline_ends_an_append(self):
        stream = new_name()
        with self.assertRaises(DeadlineExceededError):
            self.client.append_events(stream, current_version=NO_STREAM, events=new_events(100), timeout=0)
        with self.assertRaises(NotFoundError):
            self.client.get_stream(stream)

    def test_many_events_are_one_append(self):
        stream, events = new_name(), new_events(2500)
        self.append(stream, events, NO_STREAM)
        self.assert_stream(stream, events)
        backward = self.ids(stream, backwards=True)
        self.assertEqual(backward, [event.id for event in reversed(events)])
