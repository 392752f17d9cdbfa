"""The packaged test cases of recorders, and of the factory that creates them."""

import unittest

from eventsourcing.dcb.tests import DCBRecorderTestCase
from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.tests import persistence
from eventsourcing.utils import Environment
from eventsourcing_umadb.factory import Factory
from eventsourcing_umadb.recorders import UmaDBAggregateRecorder, UmaDBApplicationRecorder, UmaDBDCBRecorder
from server import URL, EmptyServer
from umadb import Client


class AggregateRecorder(persistence.AggregateRecorderTestCase):
    def create_recorder(self):
        return UmaDBAggregateRecorder(Client(URL))


class ApplicationRecorder(persistence.ApplicationRecorderTestCase):
    INITIAL_VERSION = 0

    def create_recorder(self):
        return UmaDBApplicationRecorder(Client(URL))

    def test_insert_select(self):
        # The case expects an empty log.
        server = EmptyServer()
        self.addCleanup(server.stop)
        self.create_recorder = lambda: UmaDBApplicationRecorder(Client(server.url))
        super().test_insert_select()

    def test_insert_subscribe(self):
        self.optional_test_insert_subscribe(initial_position=Client(URL).head() or 0)


class NonInterleavingNotificationIDs(persistence.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self):
        return UmaDBApplicationRecorder(Client(URL))


class DCBRecorder(DCBRecorderTestCase):
    def setUp(self):
        client = Client(URL)
        self.recorder = UmaDBDCBRecorder(client)
        self.head = client.head() or 0

    def test_append_read(self):
        self._test_append_read(self.recorder, initial_position=self.head)

    def test_append_read_in_an_empty_log(self):
        server = EmptyServer()
        self.addCleanup(server.stop)
        self._test_append_read(UmaDBDCBRecorder(Client(server.url)))

    def test_append_subscribe(self):
        self._test_append_subscribe(self.recorder, initial_position=self.head)


class RecorderFactory(persistence.InfrastructureFactoryTestCase):
    def setUp(self):
        self.env = Environment("TestCase")
        self.env[InfrastructureFactory.PERSISTENCE_MODULE] = Factory.__module__
        self.env[Factory.UMADB_URI] = URL
        super().setUp()

    def expected_factory_class(self):
        return Factory

    def expected_aggregate_recorder_class(self):
        return UmaDBAggregateRecorder

    def expected_application_recorder_class(self):
        return UmaDBApplicationRecorder

    def expected_process_recorder_class(self):
        raise NotImplementedError

    def expected_tracking_recorder_class(self):
        raise NotImplementedError

    def tracking_recorder_subclass(self):
        raise NotImplementedError

    @unittest.skip("the extension has no process recorder")
    def test_create_process_recorder(self):
        pass

    @unittest.skip("the extension has no tracking recorder")
    def test_create_tracking_recorder(self):
        pass


# The imported cases are abstract.
del DCBRecorderTestCase
