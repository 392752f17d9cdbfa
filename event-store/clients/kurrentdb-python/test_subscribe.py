"""Catch-up subscriptions: stored events, then new ones."""

from kurrentdbclient.events import CaughtUp, Checkpoint
from kurrentdbclient.exceptions import GrpcDeadlineExceededError
from support import LIMIT, ClientTest, new_events, new_name


class Subscribe(ClientTest):
    def take(self, subscription, count):
        return [next(subscription).id for _ in range(count)]

    def test_stream_from_each_start(self):
        stream, events = new_name(), new_events(6)
        self.append(stream, events[:3])
        ids = [event.id for event in events]
        subscriptions = [
            (self.client.subscribe_to_stream(stream, timeout=LIMIT), ids),
            (self.client.subscribe_to_stream(stream, stream_position=1, timeout=LIMIT), ids[2:]),
            (self.client.subscribe_to_stream(stream, from_end=True, timeout=LIMIT), ids[3:]),
        ]
        self.append(new_name(), new_events(3))
        self.append(stream, events[3:], 2)
        for subscription, expected in subscriptions:
            self.assertNotEqual(subscription.subscription_id, "")
            self.assertEqual(self.take(subscription, len(expected)), expected)
            subscription.stop()
            self.assertEqual(list(subscription), [])

    def test_stream_that_does_not_exist_yet(self):
        stream, events = new_name(), new_events(2)
        subscription = self.client.subscribe_to_stream(stream, include_caught_up=True, timeout=LIMIT)
        self.assertIsInstance(next(subscription), CaughtUp)
        self.append(stream, events)
        self.assertEqual(self.take(subscription, 2), [event.id for event in events])

    def test_log_from_each_start(self):
        stream, events = new_name(), new_events(6)
        ids = [event.id for event in events]
        position = self.append(stream, events[:1])
        self.append(stream, events[1:3])
        subscriptions = [
            (self.client.subscribe_to_all(commit_position=position, timeout=LIMIT), ids[1:]),
            (self.client.subscribe_to_all(from_end=True, timeout=LIMIT), ids[3:]),
        ]
        self.append(stream, events[3:])
        for subscription, expected in subscriptions:
            self.assertEqual(self.take(subscription, len(expected)), expected)
        everything = self.client.subscribe_to_all(timeout=LIMIT)
        seen = []
        while ids[-1] not in seen:
            seen.append(next(everything).id)
        self.assertEqual(seen[-6:], ids)

    def test_log_begins_with_an_event_of_the_server(self):
        subscription = self.client.subscribe_to_all(filter_exclude=[], timeout=LIMIT)
        self.assertTrue(next(subscription).type.startswith("$"))

    def test_filters_apply_to_stored_and_new_events(self):
        name, stream = new_name("rare").replace("-", ""), new_name()
        events = new_events(2, name=name)
        self.append(stream, events[:1])
        by_type = self.client.subscribe_to_all(filter_include=[name], timeout=LIMIT)
        by_stream = self.client.subscribe_to_all(filter_include=[stream], filter_by_stream_name=True, timeout=LIMIT)
        self.append(new_name(), new_events(3))
        self.append(stream, events[1:])
        for subscription in (by_type, by_stream):
            self.assertEqual(self.take(subscription, 2), [event.id for event in events])

    def test_filtered_subscription_reports_checkpoints(self):
        position = self.append(new_name(), new_events(10))
        subscription = self.client.subscribe_to_all(
            commit_position=position - 9,
            filter_exclude=[".*"],
            include_checkpoints=True,
            include_caught_up=True,
            window_size=2,
            checkpoint_interval_multiplier=2,
            timeout=LIMIT,
        )
        first = next(subscription)
        self.assertIsInstance(first, Checkpoint)
        self.assertGreater(first.commit_position, position - 9)
        self.assertLessEqual(first.commit_position, position)
        while not isinstance(next(subscription), CaughtUp):
            pass
        # A subscription that continues at a checkpoint loses nothing.
        events = new_events(1)
        later = self.append(new_name(), events)
        resumed = self.client.subscribe_to_all(commit_position=first.commit_position, timeout=LIMIT)
        while (event := next(resumed)).commit_position < later:
            pass
        self.assertEqual(event.id, events[0].id)

    def test_caught_up_is_reported_once(self):
        position = self.append(new_name(), new_events(2))
        subscription = self.client.subscribe_to_all(
            commit_position=position, include_caught_up=True, include_fell_behind=True, timeout=LIMIT
        )
        self.assertIsInstance(next(subscription), CaughtUp)
        events = new_events(3)
        self.append(new_name(), events)
        self.assertEqual(self.take(subscription, 3), [event.id for event in events])

    def test_long_log_is_replayed_without_a_gap(self):
        stream = new_name()
        events = new_events(3000)
        position = self.append(stream, events[:1000])
        self.append(stream, events[1000:2000])
        subscription = self.client.subscribe_to_all(commit_position=position - 1000, timeout=60)
        by_stream = self.client.subscribe_to_stream(stream, timeout=60)
        self.append(stream, events[2000:])
        expected = [event.id for event in events]
        self.assertEqual(self.take(by_stream, 3000), expected)
        seen = []
        while len(seen) < 3000:
            event = next(subscription)
            if event.stream_name == stream:
                seen.append(event.id)
        self.assertEqual(seen, expected)

    def test_deadline_ends_a_subscription(self):
        subscription = self.client.subscribe_to_all(timeout=1)
        with self.assertRaises(GrpcDeadlineExceededError):
            for _ in subscription:
                pass
