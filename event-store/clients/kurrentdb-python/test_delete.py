"""Deletions and tombstones."""

from kurrentdbclient.exceptions import (
    FailedPreconditionError,
    NotFoundError,
    StreamIsDeletedError,
    WrongCurrentVersionError,
)
from support import ANY, EXISTS, NO_STREAM, ClientTest, new_events, new_name


class Delete(ClientTest):
    def assert_missing(self, stream):
        with self.assertRaises(NotFoundError):
            self.client.get_stream(stream)
        self.assertEqual(self.client.get_current_version(stream), NO_STREAM)

    def test_stream_that_never_existed_cannot_be_deleted(self):
        for expected in (ANY, EXISTS, NO_STREAM, 0):
            with self.assertRaises(NotFoundError):
                self.client.delete_stream(new_name(), current_version=expected)

    def test_deleted_stream_continues_with_an_append(self):
        for expected in (NO_STREAM, 1, ANY):
            stream, later = new_name(), new_events(2)
            self.append(stream, new_events(2), NO_STREAM)
            with self.assertRaises(WrongCurrentVersionError):
                self.client.delete_stream(stream, current_version=0)
            self.client.delete_stream(stream, current_version=1)
            self.client.delete_stream(stream, current_version=1)
            self.client.delete_stream(stream, current_version=ANY)
            with self.assertRaises(StreamIsDeletedError):
                self.client.delete_stream(stream, current_version=EXISTS)
            with self.assertRaises(WrongCurrentVersionError):
                self.client.delete_stream(stream, current_version=0)
            self.assert_missing(stream)
            with self.assertRaises(StreamIsDeletedError):
                self.append(stream, later, EXISTS)
            with self.assertRaises(WrongCurrentVersionError):
                self.append(stream, later, 0)
            self.append(stream, later[:1], expected)
            self.assertEqual(self.client.get_current_version(stream), 2)
            self.append(stream, later[1:], 2)
            self.assert_stream(stream, later)
            metadata, version = self.client.get_stream_metadata(stream)
            self.assertEqual(metadata, {"$tb": 2})
            self.assertGreaterEqual(version, 1)
            self.client.delete_stream(stream, current_version=EXISTS)
            self.assert_missing(stream)

    def test_events_of_a_deleted_stream_stay_in_the_log(self):
        stream, events = new_name(), new_events(2)
        position = self.append(stream, events)
        self.client.delete_stream(stream, current_version=ANY)
        ids = [event.id for event in self.client.read_all(commit_position=position - 1)]
        self.assertEqual(ids, [event.id for event in events])


class Tombstone(ClientTest):
    def assert_ended(self, stream):
        for expected in (ANY, NO_STREAM, EXISTS, 1, 7):
            with self.assertRaises(StreamIsDeletedError):
                self.client.tombstone_stream(stream, current_version=expected)
            with self.assertRaises(StreamIsDeletedError):
                self.append(stream, new_events(1), expected)
            with self.assertRaises(StreamIsDeletedError):
                self.client.delete_stream(stream, current_version=expected)
        with self.assertRaises(StreamIsDeletedError):
            self.client.get_stream(stream)
        with self.assertRaises(StreamIsDeletedError):
            self.client.get_current_version(stream)
        with self.assertRaises(StreamIsDeletedError):
            self.client.subscribe_to_stream(stream)
        with self.assertRaisesRegex(FailedPreconditionError, "is deleted"):
            self.client.set_stream_metadata(stream, metadata={"a": 1})

    def test_tombstone_ends_a_stream(self):
        for expected in (1, ANY, EXISTS):
            stream = new_name()
            self.append(stream, new_events(2), NO_STREAM)
            with self.assertRaises(WrongCurrentVersionError):
                self.client.tombstone_stream(stream, current_version=0)
            self.client.tombstone_stream(stream, current_version=expected)
            self.assert_ended(stream)

    def test_stream_that_never_existed_can_end(self):
        for expected in (ANY, NO_STREAM):
            stream = new_name()
            self.client.tombstone_stream(stream, current_version=expected)
            self.assert_ended(stream)
        with self.assertRaises(NotFoundError):
            self.client.tombstone_stream(new_name(), current_version=EXISTS)

    def test_deleted_stream_can_end(self):
        stream = new_name()
        self.append(stream, new_events(1))
        self.client.delete_stream(stream, current_version=ANY)
        self.client.tombstone_stream(stream, current_version=ANY)
        self.assert_ended(stream)

    def test_tombstone_ends_a_subscription(self):
        stream = new_name()
        events = new_events(1)
        self.append(stream, events)
        subscription = self.client.subscribe_to_stream(stream, timeout=20)
        self.assertEqual(next(subscription).id, events[0].id)
        self.client.tombstone_stream(stream, current_version=ANY)
        with self.assertRaises(StreamIsDeletedError):
            next(subscription)
