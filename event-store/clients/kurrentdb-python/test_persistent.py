"""Persistent subscriptions: groups of consumers whose position the server keeps."""

import time

from kurrentdbclient import NewEvent
from kurrentdbclient.exceptions import (
    AlreadyExistsError,
    InternalError,
    KurrentDBClientError,
    MaximumSubscriptionsReachedError,
    NotFoundError,
)
from support import LIMIT, ClientTest, new_events, new_name


class Persistent(ClientTest):
    def consume(self, group, stream, count, answer=lambda subscription, event: subscription.ack(event)):
        """Returns the next events of a group, after an answer to each."""
        if stream is None:
            subscription = self.client.read_subscription_to_all(group, timeout=LIMIT)
        else:
            subscription = self.client.read_subscription_to_stream(group, stream, timeout=LIMIT)
        events = []
        with subscription:
            for event in subscription:
                events.append(event)
                answer(subscription, event)
                if len(events) == count:
                    break
        return events

    def info(self, group, stream, **expected):
        """Waits until the description of a group has the expected values."""
        deadline = time.monotonic() + LIMIT
        while True:
            info = self.client.get_subscription_info(group, stream)
            if all(getattr(info, name) == value for name, value in expected.items()):
                return info
            self.assertLess(time.monotonic(), deadline, info)
            time.sleep(0.05)

    def test_stream_from_each_start(self):
        stream, events = new_name(), new_events(6)
        ids = [event.id for event in events]
        self.append(stream, events[:3])
        self.client.create_subscription_to_stream("first", stream)
        self.client.create_subscription_to_stream("second", stream, stream_position=1)
        self.client.create_subscription_to_stream("end", stream, from_end=True)
        self.append(new_name(), new_events(2))
        self.append(stream, events[3:], 2)
        for group, expected in [("first", ids), ("second", ids[1:]), ("end", ids[3:])]:
            consumed = self.consume(group, stream, len(expected))
            self.assertEqual([event.id for event in consumed], expected)
            self.info(group, stream, last_checkpointed_event_position="5", last_known_event_position="5")

    def test_acknowledged_events_are_not_delivered_again(self):
        stream, events = new_name(), new_events(4)
        self.client.create_subscription_to_stream("group", stream)
        self.append(stream, events[:2])
        self.assertEqual(len(self.consume("group", stream, 2)), 2)
        self.info("group", stream, last_checkpointed_event_position="1")
        self.append(stream, events[2:])
        consumed = self.consume("group", stream, 2)
        self.assertEqual([event.id for event in consumed], [event.id for event in events[2:]])

    def test_refused_events_are_delivered_again_then_parked(self):
        stream, events = new_name(), new_events(1)
        self.client.create_subscription_to_stream("group", stream, max_retry_count=2)
        self.append(stream, events)

        def retry(subscription, event):
            subscription.nack(event, "retry")

        consumed = self.consume("group", stream, 3, retry)
        self.assertEqual([event.retry_count for event in consumed], [0, 1, 2])
        self.info("group", stream, parked_message_count=1)
        self.client.replay_parked_events("group", stream)
        self.assertEqual(self.consume("group", stream, 1)[0].id, events[0].id)
        self.info("group", stream, parked_message_count=0)

    def test_unanswered_events_are_delivered_again(self):
        stream = new_name()
        self.client.create_subscription_to_stream("group", stream, message_timeout=0.2)
        self.append(stream, new_events(1))

        def answer(subscription, event):
            if event.retry_count == 1:
                subscription.ack(event)

        consumed = self.consume("group", stream, 2, answer)
        self.assertEqual([event.retry_count for event in consumed], [0, 1])

    def test_skipped_and_parked_events(self):
        stream, events = new_name(), new_events(3)
        self.client.create_subscription_to_stream("group", stream)
        self.append(stream, events)
        actions = {events[0].id: "skip", events[1].id: "park", events[2].id: "park"}
        self.consume("group", stream, 3, lambda subscription, event: subscription.nack(event, actions[event.id]))
        self.info("group", stream, parked_message_count=2, last_checkpointed_event_position="2")

    def test_filter_of_all_streams(self):
        group, name = new_name("group"), new_name("type").replace("-", "")
        self.client.create_subscription_to_all(group, filter_include=[f"{name}.*"], from_end=True)
        events = [NewEvent(type=kind, data=b"{}") for kind in (f"{name}A", "other", f"{name}B")]
        self.append(new_name(), events)
        consumed = self.consume(group, None, 2)
        self.assertEqual([event.id for event in consumed], [events[0].id, events[2].id])
        self.assertEqual(self.client.get_subscription_info(group).start_from, "C:-1/P:-1")

    def test_links_of_a_category(self):
        category = new_name("hive").replace("-", "")
        events = new_events(2)
        self.client.create_subscription_to_stream("group", f"$ce-{category}", resolve_links=True)
        for number, event in enumerate(events):
            self.append(f"{category}-{number}", [event])
        consumed = self.consume("group", f"$ce-{category}", 2)
        self.assertEqual([event.id for event in consumed], [event.id for event in events])
        consumed = self.info("group", f"$ce-{category}", total_in_flight_messages=0)
        self.assertEqual(consumed.parked_message_count, 0)

    def test_strategies_deliver_all_events(self):
        for strategy in ("DispatchToSingle", "RoundRobin", "Pinned", "PinnedByCorrelation"):
            stream, events = new_name(), new_events(4)
            self.client.create_subscription_to_stream("group", stream, consumer_strategy=strategy)
            self.append(stream, events)
            self.assertEqual(len(self.consume("group", stream, 4)), 4)
            info = self.client.get_subscription_info("group", stream)
            self.assertEqual(info.consumer_strategy, strategy)

    def test_settings_are_described_and_changed(self):
        stream = new_name()
        self.client.create_subscription_to_stream("group", stream, max_retry_count=7, live_buffer_size=20)
        info = self.client.get_subscription_info("group", stream)
        self.assertEqual((info.max_retry_count, info.live_buffer_size, info.start_from), (7, 20, "0"))
        self.client.update_subscription_to_stream("group", stream, max_subscriber_count=1)
        info = self.client.get_subscription_info("group", stream)
        self.assertEqual((info.max_retry_count, info.max_subscriber_count), (7, 1))
        with self.client.read_subscription_to_stream("group", stream):
            with self.assertRaises(MaximumSubscriptionsReachedError):
                self.client.read_subscription_to_stream("group", stream)
        self.assertEqual([info.group_name for info in self.client.list_subscriptions_to_stream(stream)], ["group"])
        self.assertIn((stream, "group"), [(info.event_source, info.group_name) for info in self.client.list_subscriptions()])

    def test_settings_that_are_not_valid(self):
        stream = new_name()
        wrong = [{"history_buffer_size": 100, "read_batch_size": 200}, {"consumer_strategy": "Unknown"}]
        for settings in wrong:
            with self.assertRaises(InternalError):
                self.client.create_subscription_to_stream("group", stream, **settings)
        self.client.create_subscription_to_stream("group", stream)
        with self.assertRaises(InternalError):
            self.client.update_subscription_to_stream("group", stream, **wrong[0])

    def test_collected_acknowledgements_are_in_time(self):
        stream = new_name()
        self.client.create_subscription_to_stream("group", stream, message_timeout=0.1)
        self.append(stream, new_events(2))
        with self.client.read_subscription_to_stream("group", stream, max_ack_delay=0.3, timeout=LIMIT) as subscription:
            for _ in range(2):
                event = next(subscription)
                self.assertEqual(event.retry_count, 0)
                subscription.ack(event)
                # The client sends acknowledgements together after its delay.
                self.info("group", stream, last_checkpointed_event_position=str(event.stream_position))

    def test_consumers_take_turns(self):
        stream, events = new_name(), new_events(4)
        self.client.create_subscription_to_stream("group", stream, consumer_strategy="RoundRobin")
        consumers = [self.client.read_subscription_to_stream("group", stream, timeout=LIMIT) for _ in range(2)]
        self.append(stream, events)
        found = []
        for number in range(4):
            event = next(consumers[number % 2])
            consumers[number % 2].ack(event)
            found.append(event.id)
        self.assertEqual(found, [event.id for event in events])
        for consumer in consumers:
            consumer.stop()

    def test_errors_of_groups(self):
        stream = new_name()
        self.client.create_subscription_to_stream("group", stream)
        with self.assertRaises(AlreadyExistsError):
            self.client.create_subscription_to_stream("group", stream)
        subscription = self.client.read_subscription_to_stream("group", stream, timeout=LIMIT)
        self.client.delete_subscription("group", stream)
        with self.assertRaises(KurrentDBClientError):
            next(subscription)
        for call in (
            lambda: self.client.get_subscription_info("group", stream),
            lambda: self.client.delete_subscription("group", stream),
            lambda: self.client.replay_parked_events("group", stream),
            lambda: self.client.update_subscription_to_stream("group", stream),
            lambda: self.client.read_subscription_to_stream("group", stream),
        ):
            with self.assertRaises(NotFoundError):
                call()
        self.assertEqual(list(self.client.list_subscriptions_to_stream(stream)), [])
