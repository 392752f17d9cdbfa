"""Metadata of streams, which hide events."""

import time

from kurrentdbclient.exceptions import NotFoundError, WrongCurrentVersionError
from support import ANY, NO_STREAM, ClientTest, new_events, new_name


class Metadata(ClientTest):
    def test_metadata_have_versions(self):
        stream = new_name()
        self.assertEqual(self.client.get_stream_metadata(stream), ({}, NO_STREAM))
        self.client.set_stream_metadata(stream, metadata={"owner": "ada"}, current_version=NO_STREAM)
        self.assertEqual(self.client.get_stream_metadata(stream), ({"owner": "ada"}, 0))
        with self.assertRaises(WrongCurrentVersionError):
            self.client.set_stream_metadata(stream, metadata={}, current_version=NO_STREAM)
        self.client.set_stream_metadata(stream, metadata={"owner": "bob"}, current_version=0)
        self.assertEqual(self.client.get_stream_metadata(stream), ({"owner": "bob"}, 1))
        # A metadata stream shows its last event only.
        self.assertEqual(len(self.client.get_stream(f"$${stream}")), 1)

    def test_oldest_events_are_hidden(self):
        for metadata, visible in (({"$maxCount": 2}, 2), ({"$tb": 3}, 2), ({"$maxCount": 9}, 5), ({"$tb": 4, "$maxCount": 3}, 1)):
            stream, events = new_name(), new_events(5)
            self.append(stream, events)
            self.client.set_stream_metadata(stream, metadata=metadata)
            expected = [event.id for event in events[-visible:]]
            self.assertEqual(self.ids(stream), expected)
            self.assertEqual(self.ids(stream, backwards=True), expected[::-1])
            self.assertEqual(self.ids(stream, stream_position=0), expected)
            self.assertEqual(self.ids(stream, stream_position=4), expected[-1:])
            self.assertEqual(self.ids(stream, limit=1), expected[:1])
            more = new_events(1)
            self.append(stream, more, 4)
            kept = min(visible + 1, metadata.get("$maxCount", 9))
            self.assertEqual(self.ids(stream), (expected + [more[0].id])[-kept:])

    def test_old_events_are_hidden(self):
        stream = new_name()
        self.append(stream, new_events(2))
        self.client.set_stream_metadata(stream, metadata={"$maxAge": 1})
        limit = time.monotonic() + 20
        while self.client.get_stream(stream):
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.1)
        later = new_events(1)
        self.append(stream, later, 1)
        self.assertEqual(self.ids(stream)[-1:], [later[0].id])

    def test_metadata_survive_a_deletion(self):
        stream = new_name()
        self.append(stream, new_events(1))
        self.client.set_stream_metadata(stream, metadata={"owner": "ada", "$acl": {"$r": "all"}})
        self.client.delete_stream(stream, current_version=ANY)
        later = new_events(1)
        self.append(stream, later, NO_STREAM)
        self.assert_stream(stream, later)
        metadata, _ = self.client.get_stream_metadata(stream)
        self.assertEqual(metadata, {"owner": "ada", "$acl": {"$r": "all"}, "$tb": 1})

    def test_metadata_without_a_stream(self):
        stream = new_name()
        self.client.set_stream_metadata(stream, metadata={"$maxCount": 1})
        with self.assertRaises(NotFoundError):
            self.client.get_stream(stream)
        events = new_events(2)
        self.append(stream, events, NO_STREAM)
        self.assert_stream(stream, events[1:])
