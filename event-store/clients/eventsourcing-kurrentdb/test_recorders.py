"""The recorders and the factory of the adapter, by the test cases of the library."""

import os
from unittest import TestCase
from uuid import uuid4

from eventsourcing.persistence import InfrastructureFactory, StoredEvent
from eventsourcing.tests import persistence
from eventsourcing.utils import Environment
from eventsourcing_kurrentdb.factory import KurrentDBFactory
from eventsourcing_kurrentdb.recorders import KurrentDBAggregateRecorder, KurrentDBApplicationRecorder
from kurrentdbclient import KurrentDBClient

URI = f"kurrentdb://{os.environ['EVENT_STORE_ADDRESS']}?tls=false"


class RecorderTest(TestCase):
    INITIAL_VERSION = 0
    EXPECT_CONTIGUOUS_NOTIFICATION_IDS = False

    def setUp(self):
        self.client = KurrentDBClient(URI)
        self.addCleanup(self.client.close)


class AggregateRecorderTest(RecorderTest, persistence.AggregateRecorderTestCase):
    def create_recorder(self):
        return KurrentDBAggregateRecorder(client=self.client)


class ApplicationRecorderTest(RecorderTest, persistence.ApplicationRecorderTestCase):
    def create_recorder(self):
        return KurrentDBApplicationRecorder(client=self.client)

    def test_insert_select(self):
        # The case of the library expects an empty log, and an event of two streams in one append.
        recorder = self.create_recorder()
        start = recorder.max_notification_id()
        stream = str(uuid4())
        events = [
            StoredEvent(originator_id=stream, originator_version=version, topic=f"topic{version}", state=b"{}")
            for version in range(3)
        ]
        ids = recorder.insert_events(events)
        self.assertEqual(recorder.max_notification_id(), ids[-1])
        found = recorder.select_notifications(start=start, limit=10, inclusive_of_start=False)
        self.assertEqual([event.originator_version for event in found], [0, 1, 2])
        found = recorder.select_notifications(start=start, limit=10, topics=["topic1"], inclusive_of_start=False)
        self.assertEqual([event.topic for event in found], ["topic1"])


class FactoryTest(persistence.InfrastructureFactoryTestCase):
    def setUp(self):
        self.env = Environment("TestCase")
        self.env[InfrastructureFactory.PERSISTENCE_MODULE] = KurrentDBFactory.__module__
        self.env[KurrentDBFactory.KURRENTDB_URI] = URI
        super().setUp()
        # The factory does not close its client. A client that garbage collection closes at the exit can wait forever.
        self.addCleanup(self.factory.client.close)

    def expected_factory_class(self):
        return KurrentDBFactory

    def expected_aggregate_recorder_class(self):
        return KurrentDBAggregateRecorder

    def expected_application_recorder_class(self):
        return KurrentDBApplicationRecorder

    def expected_tracking_recorder_class(self):
        raise NotImplementedError

    def tracking_recorder_subclass(self):
        raise NotImplementedError

    def expected_process_recorder_class(self):
        raise NotImplementedError

    def test_create_tracking_recorder(self):
        self.skipTest("the adapter has no tracking recorder")

    def test_create_process_recorder(self):
        self.skipTest("the adapter has no process recorder")
