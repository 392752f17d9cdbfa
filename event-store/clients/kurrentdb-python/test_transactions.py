"""Appends to several streams in one transaction."""

import json

from kurrentdbclient import NewEvent
from kurrentdbclient.events import ConsistencyCheck, NewEvents, NewRecord, StreamStateCheck
from kurrentdbclient.exceptions import (
    ConsistencyChecksFailedError,
    KurrentDBClientError,
    MultiAppendToSameStreamError,
    NotFoundError,
    RecordMaxSizeExceededError,
    StreamTombstonedError,
    TransactionMaxSizeExceededError,
    WrongCurrentVersionError,
)
from support import ANY, EXISTS, NO_STREAM, ClientTest, new_events, new_name


def part(stream, events, expected=ANY):
    return NewEvents(stream_name=stream, events=events, current_version=expected)


def record(stream, **fields):
    return NewRecord(stream_name=stream, type="weighed", data=b"{}", **fields)


class Session(ClientTest):
    def test_streams_are_stored_together(self):
        first, second = new_name(), new_name()
        events = new_events(3, metadata=b'{"user":"ada"}')
        position = self.client.multi_append_to_stream([part(first, events[:2], NO_STREAM), part(second, events[2:])])
        self.assert_stream(first, events[:2])
        self.assert_stream(second, events[2:])
        (recorded,) = self.client.get_stream(second)
        self.assertEqual(recorded.commit_position, position)
        self.assertEqual((recorded.type, recorded.content_type), ("weighed", "application/json"))
        metadata = json.loads(recorded.metadata)
        self.assertEqual(metadata["user"], "ada")
        self.assertEqual((metadata["$schema.name"], metadata["$schema.format"]), ("weighed", "Json"))

    def test_repeated_session_returns_the_first_result(self):
        for expected in (NO_STREAM, ANY):
            parts = [part(new_name(), new_events(2), expected), part(new_name(), new_events(1), expected)]
            position = self.client.multi_append_to_stream(parts)
            self.assertEqual(self.client.multi_append_to_stream(parts), position)
            for stored in parts:
                self.assert_stream(stored.stream_name, stored.events)

    def test_one_conflict_refuses_all(self):
        first, second = new_name(), new_name()
        self.append(second, new_events(1))
        with self.assertRaises(WrongCurrentVersionError) as failure:
            self.client.multi_append_to_stream([part(first, new_events(1)), part(second, new_events(1), 3)])
        self.assertEqual(failure.exception.stream_name, second)
        self.assertEqual((failure.exception.expected_version, failure.exception.actual_version), (3, 0))
        with self.assertRaises(NotFoundError):
            self.client.get_stream(first)

    def test_invalid_sessions_are_refused(self):
        stream = new_name()
        with self.assertRaises(MultiAppendToSameStreamError):
            self.client.multi_append_to_stream([part(stream, new_events(1)), part(stream, new_events(1))])
        with self.assertRaises(KurrentDBClientError):
            self.client.multi_append_to_stream([])
        with self.assertRaises(RecordMaxSizeExceededError):
            large = NewEvent(type="weighed", data=b"x" * ((16 << 20) + 1))
            self.client.multi_append_to_stream([part(stream, [large])])
        with self.assertRaises(TransactionMaxSizeExceededError):
            large = [NewEvent(type="weighed", data=b"x" * (15 << 20)) for _ in range(5)]
            self.client.multi_append_to_stream([part(new_name(), [event]) for event in large])
        self.client.tombstone_stream(stream, current_version=ANY)
        with self.assertRaises(StreamTombstonedError):
            self.client.multi_append_to_stream([part(stream, new_events(1))])


class Records(ClientTest):
    def check(self, stream, expected):
        return StreamStateCheck(stream_name=stream, expected_state=expected)

    def violations(self, records, checks):
        with self.assertRaises(ConsistencyChecksFailedError) as failure:
            self.client.append_records(records, checks)
        failures = failure.exception.failures
        return [(found.check_index, found.stream_state_failure.stream_name) for found in failures]

    def test_records_of_streams_may_alternate(self):
        first, second = new_name(), new_name()
        records = [record(stream) for stream in (first, second, first, second, first)]
        result = self.client.append_records(records, None)
        revisions = {found.stream_name: found.stream_position for found in result.stream_positions}
        self.assertEqual(revisions, {first: 2, second: 1})
        self.assertEqual(self.ids(first), [records[0].id, records[2].id, records[4].id])
        self.assertEqual(self.ids(second), [records[1].id, records[3].id])
        self.assertEqual(result.commit_position, self.client.get_commit_position())
        in_log = self.client.read_all(commit_position=result.commit_position - 4)
        self.assertEqual([event.id for event in in_log], [stored.id for stored in records])
        self.assertEqual(self.client.append_records(records, [self.check(first, NO_STREAM)]), result)

    def test_checks_hold_for_each_state(self):
        present, deleted, ended, missing = (new_name() for _ in range(4))
        for stream in (present, deleted, ended):
            self.append(stream, new_events(3))
        self.client.delete_stream(deleted, current_version=ANY)
        self.client.tombstone_stream(ended, current_version=ANY)
        for stream, holding in (
            (present, (ANY, EXISTS, 2)),
            (deleted, (ANY, NO_STREAM)),
            (ended, (ANY, NO_STREAM)),
            (missing, (ANY, NO_STREAM)),
        ):
            for expected in (ANY, EXISTS, NO_STREAM, 2, 10):
                target = new_name()
                if expected in holding:
                    self.client.append_records([record(target)], [self.check(stream, expected)])
                    self.assertEqual(len(self.ids(target)), 1)
                else:
                    found = self.violations([record(target)], [self.check(stream, expected)])
                    self.assertEqual(found, [(0, stream)])
                    with self.assertRaises(NotFoundError):
                        self.client.get_stream(target)

    def test_all_violations_are_reported(self):
        present, missing, target = new_name(), new_name(), new_name()
        self.append(present, new_events(3))
        checks = [self.check(present, 2), self.check(missing, EXISTS), self.check(present, 9)]
        self.assertEqual(self.violations([record(target)], checks), [(1, missing), (2, present)])

    def test_written_stream_is_checked(self):
        stream = new_name()
        records = [record(stream), record(stream)]
        result = self.client.append_records(records, [self.check(stream, NO_STREAM)])
        again = self.client.append_records(records, [self.check(stream, NO_STREAM)])
        self.assertEqual(again, result)
        self.client.append_records([record(stream)], [self.check(stream, 1)])
        self.assertEqual(self.violations([record(stream)], [self.check(stream, 1)]), [(0, stream)])
        self.client.delete_stream(stream, current_version=ANY)
        self.client.append_records([record(stream)], [self.check(stream, NO_STREAM)])
        self.assertEqual(len(self.ids(stream)), 1)
        self.client.tombstone_stream(stream, current_version=ANY)
        with self.assertRaises(KurrentDBClientError):
            self.client.append_records([record(stream)], None)
