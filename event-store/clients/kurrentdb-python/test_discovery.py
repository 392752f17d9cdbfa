"""Connections: gossip, and services that the server does not have."""

import unittest

from kurrentdbclient import KurrentDBClient
from kurrentdbclient.exceptions import KurrentDBClientError
from kurrentdbclient.gossip import NODE_STATE_LEADER
from support import ADDRESS, ANY, ClientTest, new_events, new_name


class Discovery(unittest.TestCase):
    def test_every_scheme_connects(self):
        for scheme in ("esdb", "kurrentdb", "kdb", "esdb+discover", "kurrentdb+discover"):
            with KurrentDBClient(f"{scheme}://{ADDRESS}?tls=false") as client:
                stream = new_name()
                client.append_events(stream, current_version=ANY, events=new_events(1))
                self.assertEqual(len(client.get_stream(stream)), 1)

    def test_node_has_the_address_that_the_client_used(self):
        port = ADDRESS.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost"):
            with KurrentDBClient(f"kurrentdb://{host}:{port}?tls=false") as client:
                (member,) = client.read_gossip()
                self.assertEqual((member.state, member.address, member.port), (NODE_STATE_LEADER, host, int(port)))


class Unsupported(ClientTest):
    def test_projections_are_not_supported(self):
        with self.assertRaises(KurrentDBClientError):
            self.client.get_projection_statistics(name="hives")
