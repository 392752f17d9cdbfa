"""The published client of UmaDB's protocol against the server."""

import itertools
import os
import threading
import unittest
import uuid

import umadb
from umadb import AppendCondition, Event, Query, QueryItem, TrackingInfo

URL = f"http://{os.environ['EVENT_STORE_ADDRESS']}"
names = (f"{os.getpid()}-{number}" for number in itertools.count())


def event(event_type="Weighed", data=b"\x00\xff", tags=(), **fields):
    return Event(event_type, data, list(tags), **fields)


def with_tags(*tags):
    return Query(items=[QueryItem(tags=list(tags))])


def positions(events):
    return [event.position for event in events]


def setUpModule():
    """Checks the empty log, before the tests append to it."""
    client = umadb.Client(URL)
    for outcome in [
        client.head(),
        *client.read().collect_with_head(),
        *client.read(backwards=True).collect_with_head(),
    ]:
        assert outcome in (None, []), outcome


class ClientTestCase(unittest.TestCase):
    def setUp(self):
        self.client = umadb.Client(URL)
        # Other tests append to the same log.
        self.tag = f"test:{next(names)}"
        self.query = with_tags(self.tag)

    def append(self, count=1, **fields):
        events = [event(tags=[self.tag], data=str(number).encode(), **fields) for number in range(count)]
        return self.client.append(events)


class Events(ClientTestCase):
    def test_event_is_read_as_it_was_appended(self):
        given = uuid.uuid4()
        metadata = {"b": "\x00é", "a": "1", "": "empty key"}
        tags = ["z", self.tag, "a", "z"]
        sent = event("Module:Class.é", bytes(range(256)), tags, uuid=given, metadata=metadata)
        position = self.client.append([sent])
        [read] = self.client.read(self.query)
        self.assertEqual(read.position, position)
        self.assertEqual(read.event.event_type, "Module:Class.é")
        self.assertEqual(read.event.data, bytes(range(256)))
        self.assertEqual(read.event.tags, tags)
        self.assertEqual(read.event.uuid, given)
        self.assertEqual(read.event.metadata, metadata)
        self.assertIsNone(read.tracking_info)

    def test_event_without_id_is_read_without_id(self):
        self.append()
        [read] = self.client.read(self.query)
        self.assertIsNone(read.event.uuid)
        self.assertEqual(read.event.metadata, {})

    def test_large_event_is_read_as_it_was_appended(self):
        data = os.urandom(3_000_000)
        self.client.append([event(tags=[self.tag], data=data), event(tags=[self.tag], data=data)])
        self.assertEqual([read.event.data for read in self.client.read(self.query)], [data, data])


class Reads(ClientTestCase):
    def test_read_has_start_limit_and_direction(self):
        last = self.append(5)
        first = last - 4
        for arguments, expected in [
            ({}, [first, first + 1, first + 2, first + 3, last]),
            ({"start": first + 1}, [first + 1, first + 2, first + 3, last]),
            ({"start": last + 1}, []),
            ({"limit": 2}, [first, first + 1]),
            ({"start": first + 1, "limit": 2}, [first + 1, first + 2]),
            ({"limit": 0}, []),
            ({"backwards": True}, [last, first + 3, first + 2, first + 1, first]),
            ({"backwards": True, "start": first + 1}, [first + 1, first]),
            ({"backwards": True, "start": last + 10, "limit": 1}, [last]),
            ({"backwards": True, "start": 0}, []),
        ]:
            with self.subTest(arguments):
                self.assertEqual(positions(self.client.read(self.query, **arguments)), expected)

    def test_head_of_a_read(self):
        last = self.append(3)
        for arguments, expected in [
            ({}, self.client.head()),
            ({"start": last + 1}, self.client.head()),
            ({"limit": 2}, last - 1),
            ({"backwards": True, "limit": 1}, last),
            ({"start": last + 1, "limit": 1}, None),
            ({"limit": 0}, None),
        ]:
            with self.subTest(arguments):
                _, head = self.client.read(self.query, **arguments).collect_with_head()
                self.assertEqual(head, expected)

    def test_batches_have_the_requested_size(self):
        last = self.append(5)
        client = umadb.Client(URL, batch_size=2)
        response = client.read(self.query)
        sizes = [len(response.next_batch()) for _ in range(4)]
        self.assertEqual(sizes, [2, 2, 1, 0])
        self.assertEqual(response.head(), last)

    def test_long_read_is_complete(self):
        last = self.append(2_500)
        self.assertEqual(positions(self.client.read(self.query)), list(range(last - 2_499, last + 1)))
        limited = self.client.read(self.query, limit=2_100)
        self.assertEqual(positions(limited), list(range(last - 2_499, last - 399)))

    def test_query_items_are_alternatives(self):
        self.client.append([
            event("A", tags=[self.tag, "x"]),
            event("B", tags=[self.tag, "x", "y"]),
            event("C", tags=[self.tag]),
        ])
        for items, expected in [
            ([([], [self.tag])], "ABC"),
            ([(["A", "C"], [self.tag])], "AC"),
            ([([], [self.tag, "x"])], "AB"),
            ([(["A"], [self.tag, "x", "y"])], ""),
            ([(["A"], [self.tag, "x"]), ([], [self.tag, "y"])], "AB"),
            ([(["A"], [self.tag]), (["A"], [self.tag])], "A"),
            ([([""], [self.tag])], ""),
            ([([], [self.tag, ""])], ""),
        ]:
            with self.subTest(items):
                query = Query(items=[QueryItem(types=types, tags=tags) for types, tags in items])
                read = "".join(read.event.event_type for read in self.client.read(query))
                self.assertEqual(read, expected)


class Conditions(ClientTestCase):
    def test_condition_rejects_a_matching_event(self):
        last = self.append()
        head = self.client.head()
        condition = AppendCondition(self.query)
        with self.assertRaises(umadb.IntegrityError) as raised:
            self.client.append([event(tags=[self.tag])], condition)
        self.assertIn(f"position {last} ", str(raised.exception))
        self.assertEqual(self.client.head(), head)

    def test_condition_ignores_events_up_to_its_position(self):
        last = self.append()
        accepted = self.client.append([event(tags=[self.tag])], AppendCondition(self.query, after=last))
        self.assertGreater(accepted, last)
        with self.assertRaises(umadb.IntegrityError):
            self.client.append([event(tags=[self.tag])], AppendCondition(self.query, after=last))

    def test_condition_without_items_matches_every_event(self):
        self.append()
        with self.assertRaises(umadb.IntegrityError):
            self.client.append([event()], AppendCondition(Query()))
        self.client.append([event()], AppendCondition(Query(), after=self.client.head()))

    def test_one_of_concurrent_appends_is_stored(self):
        outcomes = []
        barrier = threading.Barrier(8)

        def append():
            client = umadb.Client(URL)
            barrier.wait()
            try:
                client.append([event(tags=[self.tag])], AppendCondition(self.query))
                outcomes.append("stored")
            except umadb.IntegrityError:
                outcomes.append("rejected")

        threads = [threading.Thread(target=append) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(outcomes), ["rejected"] * 7 + ["stored"])
        self.assertEqual(len(list(self.client.read(self.query))), 1)

    def test_concurrent_appends_without_condition_are_all_stored(self):
        clients = [umadb.Client(URL) for _ in range(8)]

        def append(client):
            for _ in range(20):
                client.append([event(tags=[self.tag])])

        threads = [threading.Thread(target=append, args=[client]) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(list(self.client.read(self.query))), 160)


class Repetitions(ClientTestCase):
    def events(self, count=2):
        return [event(tags=[self.tag], uuid=uuid.uuid4()) for _ in range(count)]

    def test_repeated_conditional_append_returns_the_first_position(self):
        events, condition = self.events(), AppendCondition(self.query)
        first = self.client.append(events, condition)
        self.append()
        head = self.client.head()
        self.assertEqual(self.client.append(events, condition), first)
        self.assertEqual(self.client.head(), head)

    def test_repeated_unconditional_append_returns_the_first_position(self):
        events = self.events(3)
        first = self.client.append(events)
        head = self.client.head()
        self.assertEqual(self.client.append(events), first)
        self.assertEqual(self.client.head(), head)

    def test_long_append_is_recognized(self):
        events = self.events(1_500)
        first = self.client.append(events)
        self.assertEqual(self.client.append(events), first)

    def test_other_events_with_a_used_id_are_rejected(self):
        one, two = self.events()
        self.client.append([one, two])
        head = self.client.head()
        for events in [[two, one], [event(uuid=uuid.uuid4()), two], [one, two, *self.events(1)], [one, event()]]:
            with self.assertRaises(umadb.IntegrityError):
                self.client.append(events)
        self.assertEqual(self.client.head(), head)

    def test_append_without_ids_is_not_recognized(self):
        self.assertLess(self.append(), self.append())


class Tracking(ClientTestCase):
    def setUp(self):
        super().setUp()
        self.source = f"source-é-{self.tag}"

    def track(self, position, condition=None, **fields):
        events = [event(tags=[self.tag], **fields)]
        return self.client.append(events, condition, TrackingInfo(self.source, position))

    def test_position_is_recorded_with_the_event(self):
        self.assertIsNone(self.client.get_tracking_info(self.source))
        self.track(5)
        self.assertEqual(self.client.get_tracking_info(self.source), 5)
        self.track(2**64 - 1)
        self.assertEqual(self.client.get_tracking_info(self.source), 2**64 - 1)
        read = [read.tracking_info for read in self.client.read(self.query)]
        self.assertEqual(read, [TrackingInfo(self.source, 5), TrackingInfo(self.source, 2**64 - 1)])

    def test_position_must_increase(self):
        self.track(5)
        head = self.client.head()
        for position in [5, 4, 0]:
            with self.assertRaises(umadb.IntegrityError) as raised:
                self.track(position)
            self.assertIn("non-increasing tracking position", str(raised.exception))
        self.assertEqual(self.client.head(), head)
        self.assertEqual(self.client.get_tracking_info(self.source), 5)

    def test_position_is_not_recorded_if_the_condition_fails(self):
        self.track(5)
        with self.assertRaises(umadb.IntegrityError):
            self.track(6, AppendCondition(self.query))
        self.assertEqual(self.client.get_tracking_info(self.source), 5)

    def test_repeated_append_returns_the_first_position(self):
        given, condition = uuid.uuid4(), AppendCondition(self.query)
        first = self.track(5, condition, uuid=given)
        self.assertEqual(self.track(5, condition, uuid=given), first)

    def test_position_is_recorded_without_events(self):
        head = self.client.head()
        self.assertEqual(self.client.append([], None, TrackingInfo(self.source, 7)), 0)
        self.assertEqual(self.client.get_tracking_info(self.source), 7)
        self.assertEqual(self.client.head(), head)

    def test_concurrent_positions_are_recorded_once(self):
        stored = []

        def track(client):
            for position in range(1, 21):
                try:
                    events = [event(tags=[self.tag], data=str(position).encode())]
                    client.append(events, None, TrackingInfo(self.source, position))
                    stored.append(position)
                except umadb.IntegrityError:
                    pass

        threads = [threading.Thread(target=track, args=[umadb.Client(URL)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.client.get_tracking_info(self.source), 20)
        read = [int(read.event.data) for read in self.client.read(self.query)]
        self.assertEqual(sorted(stored), read)
        self.assertEqual(len(set(read)), len(read))


class Subscriptions(ClientTestCase):
    def test_subscription_replays_then_follows(self):
        last = self.append(3)
        subscription = self.client.subscribe(self.query)
        self.assertEqual([next(subscription).position for _ in range(3)], [last - 2, last - 1, last])
        received = []
        thread = threading.Thread(target=lambda: received.extend(next(subscription) for _ in range(2)))
        thread.start()
        self.client.append([event(tags=["another"])])
        expected = [self.append(), self.append()]
        thread.join(20)
        self.assertEqual(positions(received), expected)
        subscription.cancel()

    def test_subscription_begins_after_a_position(self):
        last = self.append(3)
        subscription = self.client.subscribe(self.query, after=last - 1)
        self.assertEqual(next(subscription).position, last)

    def test_subscription_from_the_head_waits(self):
        self.append()
        subscription = self.client.subscribe(after=self.client.head())
        expected = self.append()
        self.assertEqual(next(subscription).position, expected)

    def test_batches_have_the_requested_size(self):
        self.append(5)
        client = umadb.Client(URL, batch_size=2)
        subscription = client.subscribe(self.query)
        self.assertEqual([len(subscription.next_batch()) for _ in range(3)], [2, 2, 1])

    def test_subscription_after_the_last_possible_position_ends(self):
        self.assertEqual(list(self.client.subscribe(after=2**64 - 1)), [])

    def test_subscription_beyond_the_head_is_rejected(self):
        with self.assertRaises(ValueError) as raised:
            next(self.client.subscribe(after=self.client.head() + 1_000_000))
        self.assertIn("beyond the head", str(raised.exception))


class Errors(ClientTestCase):
    def test_invalid_events_store_nothing(self):
        self.append()
        head = self.client.head()
        for invalid in [
            event(""),
            event("t" * 256),
            event("a\nb"),
            event(tags=[""]),
            event(tags=["t" * 513]),
            event(tags=["a\x00"]),
            event(tags=[str(number) for number in range(1_001)]),
            event(data=b"{", metadata={"content-type": "application/json"}, tags=["\x01"]),
            event(metadata={"a": "v" * 300_000}),
        ]:
            with self.assertRaises(ValueError) as raised:
                self.client.append([event(), invalid])
            self.assertNotIsInstance(raised.exception, umadb.IntegrityError)
        for tracking in [TrackingInfo("s" * 256, 1), TrackingInfo("a\x00", 1)]:
            with self.assertRaises(ValueError):
                self.client.append([event()], None, tracking)
        with self.assertRaises(ValueError):
            self.client.append([event() for _ in range(10_001)])
        self.assertEqual(self.client.head(), head)

    def test_health_of_the_service(self):
        self.assertEqual(self.client.check_health(), umadb.ServingStatus.SERVING)
        self.assertEqual(self.client.check_health("umadb.v1.DCB"), umadb.ServingStatus.SERVING)


if __name__ == "__main__":
    unittest.main()
