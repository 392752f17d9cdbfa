"""Applications on aggregates and on decisions.

The packaged test cases of projections are left out. The subscriptions of this version of the extension do not end while
they wait for an event, so that a projection cannot be stopped, with any server.
"""

import unittest
from decimal import Decimal
from uuid import uuid4

from eventsourcing.dcb.application import DCBApplication
from eventsourcing.dcb.persistence import NotFoundError
from eventsourcing.persistence import IntegrityError
from eventsourcing.tests.application import BankAccounts
from eventsourcing.tests.projection import DCBSpannerThrown, Thing
from eventsourcing.utils import get_topic
from server import URL

ENVIRONMENT = {
    "PERSISTENCE_MODULE": "eventsourcing_umadb",
    "UMADB_URI": URL,
}
MAPPER = {"MAPPER_TOPIC": "eventsourcing.dcb.msgpack:MessagePackMapper"}


class Accounts(unittest.TestCase):
    def test_account_is_read_as_it_was_changed(self):
        # The extension has no snapshots.
        BankAccounts.is_snapshotting_enabled = False
        app = BankAccounts(env=ENVIRONMENT)
        self.assertEqual(get_topic(type(app.factory)), "eventsourcing_umadb.factory:Factory")
        with self.assertRaises(BankAccounts.AccountNotFoundError):
            app.get_account(uuid4())
        account = app.open_account(full_name="Ada", email_address="ada@example.com")
        for amount in ["10.00", "25.00", "30.00"]:
            app.credit_account(account, Decimal(amount))
        self.assertEqual(app.get_balance(account), Decimal("65.00"))
        reopened = BankAccounts(env=ENVIRONMENT)
        self.assertEqual(reopened.get_balance(account), Decimal("65.00"))

    def test_stale_account_is_not_saved(self):
        BankAccounts.is_snapshotting_enabled = False
        app = BankAccounts(env=ENVIRONMENT)
        account = app.open_account(full_name="Ada", email_address="ada@example.com")
        one, two = app.get_account(account), app.get_account(account)
        for copy in [one, two]:
            copy.append_transaction(Decimal("1.00"))
        app.save(one)
        with self.assertRaises(IntegrityError):
            app.save(two)


class Decisions(unittest.TestCase):
    def setUp(self):
        self.repository = DCBApplication(env=ENVIRONMENT | MAPPER).repository

    def test_decisions_are_read_as_they_were_saved(self):
        thing = Thing()
        thing.trigger_event(DCBSpannerThrown, a="first")
        position = self.repository.save(thing)
        self.assertEqual(self.repository.get(thing.id).id, thing.id)
        self.assertGreater(position, 1)
        with self.assertRaises(NotFoundError):
            self.repository.get("missing")

    def test_stale_decision_is_not_saved(self):
        thing = Thing()
        self.repository.save(thing)
        one, two = self.repository.get(thing.id), self.repository.get(thing.id)
        for copy in [one, two]:
            copy.trigger_event(DCBSpannerThrown, a="")
        self.repository.save(one)
        with self.assertRaises(IntegrityError):
            self.repository.save(two)
