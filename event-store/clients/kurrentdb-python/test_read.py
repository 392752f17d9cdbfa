"""Reads of streams, of virtual streams with links, and of the log, with filters."""

from kurrentdbclient import NewEvent
from kurrentdbclient.client import DEFAULT_EXCLUDE_FILTER
from kurrentdbclient.exceptions import GrpcError, NotFoundError, KurrentDBClientError
from support import ANY, NO_STREAM, ClientTest, new_events, new_name

SYSTEM_EVENTS = DEFAULT_EXCLUDE_FILTER[0]


class ReadStream(ClientTest):
    def test_ranges_and_directions(self):
        stream, events = new_name(), new_events(3)
        self.append(stream, events)
        first, second, third = (event.id for event in events)
        for options, expected in (
            ({}, [first, second, third]),
            ({"backwards": True}, [third, second, first]),
            ({"stream_position": 1}, [second, third]),
            ({"stream_position": 3}, []),
            ({"stream_position": 1, "backwards": True}, [second, first]),
            ({"stream_position": 0, "backwards": True}, [first]),
            ({"stream_position": 9, "backwards": True}, [third, second, first]),
            ({"limit": 2}, [first, second]),
            ({"limit": 1, "backwards": True}, [third]),
            ({"stream_position": 1, "limit": 1}, [second]),
        ):
            self.assertEqual(self.ids(stream, **options), expected, options)

    def test_missing_stream_is_not_found(self):
        for options in ({}, {"backwards": True}, {"stream_position": 1}, {"limit": 3}):
            with self.assertRaises(NotFoundError):
                self.client.get_stream(new_name(), **options)

    def test_response_can_be_stopped(self):
        self.append(new_name(), new_events(3))
        response = self.client.read_all()
        response.stop()
        self.assertEqual(list(response), [])


class ReadAll(ClientTest):
    def read(self, position, **options):
        return list(self.client.read_all(commit_position=position, **options))

    def test_positions_and_directions(self):
        first, second, events = new_name(), new_name(), new_events(4)
        middle = self.append(first, events[:2])
        end = self.append(second, events[2:])
        ids = [event.id for event in events]
        everything = [event.id for event in self.client.read_all()]
        self.assertEqual(everything[-4:], ids)
        self.assertEqual([event.id for event in self.client.read_all(backwards=True)], everything[::-1])
        self.assertEqual([event.id for event in self.read(middle)], ids[1:])
        self.assertEqual([event.id for event in self.read(end)], ids[3:])
        # A backward read begins before the position.
        self.assertEqual([event.id for event in self.read(end, backwards=True, limit=2)], [ids[2], ids[1]])
        self.assertEqual([event.id for event in self.read(middle, limit=2)], ids[1:3])
        self.assertEqual(len(list(self.client.read_all(limit=3))), 3)

    def test_log_begins_with_an_event_of_the_server(self):
        first = next(iter(self.client.read_all(filter_exclude=[])))
        self.assertTrue(first.type.startswith("$"))
        last = list(self.client.read_all(filter_exclude=[], backwards=True))[-1]
        self.assertEqual(last.id, first.id)
        self.assertEqual(self.client.get_commit_position(filter_exclude=[".*"]), 0)

    def test_filters_of_event_types(self):
        names = ["OrderCreated", "OrderDeleted", "InvoiceCreated", "SomethingElse"]
        stream = new_name()
        self.append(stream, [NewEvent(type="Start", data=b"")])
        events = [NewEvent(type=name, data=b"{}") for name in names]
        position = self.append(stream, events) - len(events) + 1
        for options, expected in (
            ({"filter_include": "OrderCreated"}, {"OrderCreated"}),
            ({"filter_include": ["OrderCreated", "SomethingElse"]}, {"OrderCreated", "SomethingElse"}),
            ({"filter_include": "Order"}, set()),
            ({"filter_include": "Order.*"}, {"OrderCreated", "OrderDeleted"}),
            ({"filter_include": ".*Created"}, {"OrderCreated", "InvoiceCreated"}),
            ({"filter_include": ["Order", "Invoice"], "filter_by_prefix": True}, set(names[:3])),
            ({"filter_exclude": [SYSTEM_EVENTS, "OrderCreated"]}, set(names[1:])),
            ({"filter_exclude": [SYSTEM_EVENTS, "Order.*", ".*Else"]}, {"InvoiceCreated"}),
            ({"filter_exclude": [SYSTEM_EVENTS, "Order"]}, set(names)),
            ({"filter_include": ["OrderCreated"], "filter_exclude": ["OrderCreated"]}, {"OrderCreated"}),
        ):
            found = {event.type for event in self.read(position, **options)}
            self.assertEqual(found, expected, options)

    def test_filters_of_streams(self):
        prefix, other = new_name("a"), new_name("b")
        streams = [f"{prefix}-1", f"{prefix}-2", f"{other}-1"]
        positions = [self.append(stream, new_events(1)) for stream in streams]
        for options, expected in (
            ({"filter_include": [streams[0], streams[2]]}, {streams[0], streams[2]}),
            ({"filter_include": f"{prefix}.*"}, set(streams[:2])),
            ({"filter_include": [prefix], "filter_by_prefix": True}, set(streams[:2])),
            ({"filter_exclude": [SYSTEM_EVENTS, f"{prefix}.*"]}, {streams[2]}),
            ({"filter_exclude": [SYSTEM_EVENTS, prefix]}, set(streams)),
        ):
            events = self.read(positions[0], filter_by_stream_name=True, **options)
            self.assertEqual({event.stream_name for event in events}, expected, options)

    def test_filter_with_few_matches_in_a_long_log(self):
        name = new_name("rare").replace("-", "")
        self.append(new_name(), new_events(1, name=name))
        for _ in range(2):
            self.append(new_name(), new_events(1200))
        self.append(new_name(), new_events(1, name=name))
        found = list(self.client.read_all(filter_include=[name]))
        self.assertEqual(len(found), 2)
        backward = list(self.client.read_all(filter_include=[name], backwards=True, limit=2))
        self.assertEqual([event.id for event in backward], [event.id for event in reversed(found)])

    def test_invalid_filter_is_refused(self):
        with self.assertRaises((GrpcError, KurrentDBClientError)):
            list(self.client.read_all(filter_include=["("]))


class Links(ClientTest):
    def test_category_and_event_type_are_streams_of_links(self):
        category = new_name("bee").replace("-", "")
        name = new_name("landed").replace("-", "")
        events = new_events(4, name=name)
        for number, event in enumerate(events):
            self.append(f"{category}-{number % 2}", [event])
        for stream in (f"$ce-{category}", f"$et-{name}"):
            resolved = self.client.get_stream(stream, resolve_links=True)
            self.assertEqual([event.id for event in resolved], [event.id for event in events])
            self.assertEqual({event.link.stream_name for event in resolved}, {stream})
            links = self.client.get_stream(stream)
            self.assertEqual({link.type for link in links}, {"$>"})
            self.assertEqual(links[2].data, b"1@%b" % f"{category}-0".encode())
            self.assertEqual([link.id for link in links], [event.link.id for event in resolved])
            revisions = [link.stream_position for link in links]
            self.assertEqual(revisions, sorted(set(revisions)))
            after = self.client.get_stream(stream, stream_position=revisions[2], resolve_links=True)
            self.assertEqual([event.id for event in after], [event.id for event in events[2:]])
            backward = self.client.get_stream(stream, backwards=True, limit=2, resolve_links=True)
            self.assertEqual([event.id for event in backward], [events[3].id, events[2].id])
            subscription = self.client.subscribe_to_stream(
                stream, stream_position=revisions[1], resolve_links=True, timeout=20
            )
            self.assertEqual([next(subscription).id for _ in range(2)], [event.id for event in events[2:]])
        with self.assertRaises(NotFoundError):
            self.client.get_stream(f"$ce-{new_name('none').replace('-', '')}")

    def test_stored_links_are_resolved(self):
        target, source, events = new_name(), new_name(), new_events(2)
        self.append(target, events)
        link = NewEvent(type="$>", data=f"1@{target}".encode(), content_type="application/octet-stream")
        missing = NewEvent(type="$>", data=f"9@{target}".encode(), content_type="application/octet-stream")
        self.append(source, [link, missing])
        (resolved,) = self.client.get_stream(source, resolve_links=True)
        self.assertEqual((resolved.id, resolved.link.id), (events[1].id, link.id))
        unresolved = self.client.get_stream(source)
        self.assertEqual([event.id for event in unresolved], [link.id, missing.id])
