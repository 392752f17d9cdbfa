// Appends, reads, deletions and metadata.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ANY, BACKWARDS, END, NO_STREAM, STREAM_EXISTS, START, MaxAppendSizeExceededError, StreamDeletedError,
  StreamNotFoundError, UnknownError, WrongExpectedVersionError, DeadlineExceededError, UnavailableError, eventTypeFilter,
  excludeSystemEvents, jsonEvent, streamNameFilter,
} from "@kurrent/kurrentdb-client";
import { binary, client, collect, discovering, ids, newEvents, newName } from "./support.mjs";

const admin = { username: "admin", password: "changeit" };

// With credentials, the client uses a call for each append; otherwise all appends share one.
for (const [kind, options] of [["batch append", {}], ["append", { credentials: admin }]]) {
  test(`${kind} checks the expected state`, async () => {
    const stream = newName();
    const append = (streamState, count = 2) =>
      client.appendToStream(stream, newEvents(count), { streamState, ...options });
    for (const streamState of [STREAM_EXISTS, 1n]) {
      await assert.rejects(append(streamState), (error) => {
        assert(error instanceof WrongExpectedVersionError, error);
        assert.deepEqual([error.streamName, error.expectedState, error.actualState], [stream, streamState, NO_STREAM]);
        return true;
      });
    }
    const first = await append(NO_STREAM);
    assert.deepEqual([first.success, first.nextExpectedRevision], [true, 1n]);
    for (const streamState of [NO_STREAM, 0n, 9n]) {
      await assert.rejects(append(streamState), (error) => {
        assert(error instanceof WrongExpectedVersionError, error);
        assert.deepEqual([error.streamName, error.expectedState, error.actualState], [stream, streamState, 1n]);
        return true;
      });
    }
    assert.equal((await append(1n)).nextExpectedRevision, 3n);
    assert.equal((await append(STREAM_EXISTS)).nextExpectedRevision, 5n);
    const last = await append(ANY);
    const [newest] = await collect(client.readStream(stream, { direction: BACKWARDS, fromRevision: END, maxCount: 1 }));
    assert.deepEqual(newest.event.position, last.position);
    assert.equal(newest.event.revision, 7n);
  });

  test(`${kind} is refused after a tombstone`, async () => {
    const stream = newName();
    await client.appendToStream(stream, newEvents(1), options);
    await client.tombstoneStream(stream);
    await assert.rejects(client.appendToStream(stream, newEvents(1), options), (error) => {
      assert(error instanceof StreamDeletedError, error);
      assert.equal(error.streamName, stream);
      return true;
    });
  });

  test(`${kind} with a repeated id returns the first result`, async () => {
    const stream = newName();
    const events = newEvents(3);
    const first = await client.appendToStream(stream, events, { streamState: NO_STREAM, ...options });
    const second = await client.appendToStream(stream, events, { streamState: NO_STREAM, ...options });
    assert.deepEqual(second, first);
    assert.equal((await collect(client.readStream(stream))).length, 3);
  });

  test(`${kind} of too many bytes is refused`, async () => {
    const large = Array.from({ length: 5 }, () => binary("weighed", Buffer.alloc(15 << 20)));
    await assert.rejects(client.appendToStream(newName(), large, options), (error) => {
      assert(error instanceof MaxAppendSizeExceededError, error);
      assert.equal(error.maxAppendSize, 64 << 20);
      return true;
    });
  });

  test(`${kind} ends at its deadline`, async () => {
    const late = client.appendToStream(newName(), newEvents(5000), { deadline: 1, ...options });
    await assert.rejects(late, (error) => error instanceof DeadlineExceededError);
  });
}

test("events may arrive in many small messages", async () => {
  const stream = newName();
  const result = await client.appendToStream(stream, newEvents(3000), { batchAppendSize: 512 });
  assert.equal(result.nextExpectedRevision, 2999n);
  assert.equal((await collect(client.readStream(stream))).length, 3000);
});

test("data and metadata return as they were sent", async () => {
  const stream = newName();
  const json = jsonEvent({ type: "weighed", data: "CC ‐ 1830", metadata: { user: "ada" } });
  await client.appendToStream(stream, [json, binary("photo", "\u0000\u00ff", Buffer.from("raw")), binary("plain", "x")]);
  const [first, second, third] = (await collect(client.readStream(stream))).map(({ event }) => event);
  assert.deepEqual([first.id, first.isJson, first.data, first.metadata], [json.id, true, "CC ‐ 1830", { user: "ada" }]);
  assert.deepEqual([second.isJson, Buffer.from(second.data)], [false, Buffer.from("\u0000\u00ff")]);
  assert.deepEqual(Buffer.from(second.metadata), Buffer.from("raw"));
  assert.equal(third.metadata, undefined);
  assert(Math.abs(first.created - new Date()) < 600_000);
});

test("ranges and directions of a read", async () => {
  const stream = newName();
  const events = newEvents(4);
  await client.appendToStream(stream, events);
  const all = events.map(({ id }) => id);
  assert.deepEqual(await ids(client.readStream(stream)), all);
  assert.deepEqual(await ids(client.readStream(stream, { fromRevision: 1n })), all.slice(1));
  assert.deepEqual(await ids(client.readStream(stream, { maxCount: 2 })), all.slice(0, 2));
  assert.deepEqual(await ids(client.readStream(stream, { direction: BACKWARDS, fromRevision: END })), all.toReversed());
  assert.deepEqual(await ids(client.readStream(stream, { direction: BACKWARDS, fromRevision: 1n })), [all[1], all[0]]);
  await assert.rejects(collect(client.readStream(newName())), StreamNotFoundError);
});

test("the log is read in both directions and with filters", async () => {
  const [stream, type] = [newName("log"), newName("type")];
  const events = newEvents(3, type);
  const { position } = await client.appendToStream(stream, events);
  const expected = events.map(({ id }) => id);
  const byType = { filter: eventTypeFilter({ prefixes: [type] }) };
  assert.deepEqual(await ids(client.readAll(byType)), expected);
  assert.deepEqual(await ids(client.readAll({ filter: streamNameFilter({ regex: `^${stream}$` }) })), expected);
  const backward = client.readAll({ ...byType, direction: BACKWARDS, fromPosition: END });
  assert.deepEqual(await ids(backward), expected.toReversed());
  assert.deepEqual(await ids(client.readAll({ fromPosition: position, maxCount: 1 })), expected.slice(2));
  const found = await collect(client.readAll({ fromPosition: START, filter: excludeSystemEvents() }));
  assert(found.every(({ event }) => !event.type.startsWith("$")));
  const [first] = await collect(client.readAll({ maxCount: 1 }));
  assert(first.event.type.startsWith("$"));
});

test("links are resolved on request", async () => {
  const [target, source] = [newName(), newName()];
  await client.appendToStream(target, newEvents(3));
  await client.appendToStream(source, binary("$>", `2@${target}`));
  const [direct] = await collect(client.readStream(target, { fromRevision: 2n, maxCount: 1 }));
  assert.equal(direct.link, undefined);
  const [resolved] = await collect(client.readStream(source, { resolveLinkTos: true }));
  assert.deepEqual(resolved.event, direct.event);
  assert.equal(resolved.link.type, "$>");
  const category = newName("bee").replaceAll("-", "");
  const events = newEvents(2);
  await client.appendToStream(`${category}-1`, events);
  const links = await collect(client.readStream(`$ce-${category}`));
  assert.deepEqual(links.map(({ event }) => event.metadata.$causedBy), events.map(({ id }) => id));
  const found = await ids(client.readStream(`$ce-${category}`, { resolveLinkTos: true }));
  assert.deepEqual(found, events.map(({ id }) => id));
});

test("deleted streams continue, streams with a tombstone do not", async () => {
  const stream = newName();
  await assert.rejects(client.deleteStream(stream, { expectedRevision: NO_STREAM }), WrongExpectedVersionError);
  await client.appendToStream(stream, newEvents(4));
  for (const expectedRevision of [2n, NO_STREAM]) {
    await assert.rejects(client.deleteStream(stream, { expectedRevision }), (error) => {
      assert(error instanceof WrongExpectedVersionError, error);
      assert.deepEqual([error.streamName, error.actualState], [stream, 3n]);
      return true;
    });
    await assert.rejects(client.tombstoneStream(stream, { expectedRevision }), WrongExpectedVersionError);
  }
  assert((await client.deleteStream(stream, { expectedRevision: 3n })).position.commit > 0n);
  await assert.rejects(collect(client.readStream(stream)), StreamNotFoundError);
  assert.equal((await client.appendToStream(stream, newEvents(1))).nextExpectedRevision, 4n);
  await client.tombstoneStream(stream, { expectedRevision: 4n });
  await assert.rejects(collect(client.readStream(stream)), StreamDeletedError);
  const implicit = newName();
  await client.setStreamMetadata(implicit, { cacheControl: 10 });
  await client.deleteStream(implicit, { expectedRevision: NO_STREAM });
  const never = newName();
  await client.tombstoneStream(never, { expectedRevision: NO_STREAM });
  await assert.rejects(collect(client.readStream(never)), StreamDeletedError);
});

test("metadata of a stream return as they were written", async () => {
  const stream = newName();
  assert.equal((await client.getStreamMetadata(stream)).metadata, undefined);
  const metadata = { maxCount: 2, maxAge: 600, truncateBefore: 1, cacheControl: 3, acl: { readRoles: ["$all"] }, own: [1] };
  const result = await client.setStreamMetadata(stream, metadata);
  assert.equal(result.nextExpectedRevision, 0n);
  const found = await client.getStreamMetadata(stream);
  assert.deepEqual(found.metadata, metadata);
  await client.appendToStream(stream, newEvents(4));
  assert.equal((await collect(client.readStream(stream))).length, 2);
});

test("a client may discover the node", async () => {
  const found = discovering();
  const stream = newName();
  await found.appendToStream(stream, newEvents(1));
  assert.equal((await collect(found.readStream(stream))).length, 1);
  await found.dispose();
});

test("other services are not supported", async () => {
  await assert.rejects(client.listProjections(), (error) => error instanceof UnknownError || error instanceof UnavailableError);
});
