"""An application on the adapter: commands, snapshots, notifications and a subscription."""

import os
from decimal import Decimal
from unittest import TestCase
from uuid import uuid4

from eventsourcing.domain import Aggregate
from eventsourcing.projection import ApplicationSubscription
from eventsourcing.tests.application import BankAccounts

URI = f"kurrentdb://{os.environ['EVENT_STORE_ADDRESS']}?tls=false"


class ApplicationTest(TestCase):
    def setUp(self):
        initial_version = Aggregate.INITIAL_VERSION
        Aggregate.INITIAL_VERSION = 0
        self.addCleanup(setattr, Aggregate, "INITIAL_VERSION", initial_version)
        self.app = BankAccounts(
            env={
                "PERSISTENCE_MODULE": "eventsourcing_kurrentdb",
                "KURRENTDB_URI": URI,
                "IS_SNAPSHOTTING_ENABLED": "y",
            }
        )
        # The application does not close the client of its factory.
        self.addCleanup(self.app.factory.client.close)

    def test_accounts(self):
        app = self.app
        start = app.recorder.max_notification_id()
        with self.assertRaises(BankAccounts.AccountNotFoundError):
            app.get_account(uuid4())
        account = app.open_account(full_name="Ada", email_address="ada@example.com")
        for amount in ("10.00", "25.00", "30.00"):
            app.credit_account(account, Decimal(amount))
        self.assertEqual(app.get_balance(account), Decimal("65.00"))
        self.assertEqual(app.repository.get(account, version=1).balance, Decimal("10.00"))
        app.take_snapshot(account)
        app.take_snapshot(account, version=1)
        (snapshot,) = app.snapshots.get(account)
        self.assertEqual(snapshot.originator_version, 3)
        self.assertEqual(app.repository.get(account).balance, Decimal("65.00"))
        notifications = app.notification_log.select(start, 10, inclusive_of_start=False)
        self.assertEqual([found.originator_version for found in notifications], [0, 1, 2, 3])
        end = app.recorder.max_notification_id()
        self.assertEqual(notifications[-1].id, end)
        with ApplicationSubscription(app, gt=start) as subscription:
            for count, (_, tracking) in enumerate(subscription, start=1):
                if tracking.notification_id == end:
                    break
        self.assertEqual(count, 4)
