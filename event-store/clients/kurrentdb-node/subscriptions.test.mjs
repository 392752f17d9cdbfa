// Catch-up subscriptions: stored events, then new ones.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { END, START, eventTypeFilter, excludeSystemEvents, streamNameFilter } from "@kurrent/kurrentdb-client";
import { client, newEvents, newName, takeUntil } from "./support.mjs";

const limit = { timeout: 60_000 };

test("subscription to the log from each start", limit, async () => {
  const [stream, last] = [newName(), newName("last")];
  const { position } = await client.appendToStream(stream, newEvents(4));
  const caughtUp = [];
  const subscribe = (fromPosition) => {
    const subscription = client.subscribeToAll({ fromPosition });
    subscription.on("caughtUp", () => caughtUp.push(fromPosition));
    return subscription;
  };
  const [fromStart, fromPosition, fromEnd] = [START, position, END].map(subscribe);
  // The client stops reading if nobody takes the events, so the first subscription may not have caught up.
  await Promise.all([fromPosition, fromEnd].map((subscription) => once(subscription, "caughtUp")));
  await client.appendToStream(stream, [...newEvents(3), ...newEvents(1, last)]);
  const everything = await takeUntil(fromStart, last);
  assert.equal(everything.filter(({ streamId }) => streamId === stream).length, 8);
  assert(everything[0].type.startsWith("$"));
  const ofStream = (events) => events.filter(({ streamId }) => streamId === stream).length;
  assert.equal(ofStream(await takeUntil(fromPosition, last)), 4);
  assert.equal(ofStream(await takeUntil(fromEnd, last)), 4);
  assert.equal(caughtUp.filter((start) => start !== START).length, 2);
});

test("subscription to a stream from each start", limit, async () => {
  const [stream, last] = [newName(), newName("last")];
  await client.appendToStream(stream, newEvents(4));
  const starts = [[START, 8], [1n, 6], [END, 4]];
  const subscriptions = starts.map(([fromRevision]) => client.subscribeToStream(stream, { fromRevision }));
  await Promise.all(subscriptions.map((subscription) => once(subscription, "caughtUp")));
  await client.appendToStream(newName(), newEvents(3));
  await client.appendToStream(stream, [...newEvents(3), ...newEvents(1, last)]);
  for (const [index, [, count]] of starts.entries()) {
    assert.equal((await takeUntil(subscriptions[index], last)).length, count);
  }
});

test("filters apply to stored and new events", limit, async () => {
  const [stream, type] = [newName("filtered"), newName("type")];
  const last = `${type}-last`;
  await client.appendToStream(stream, newEvents(8, type));
  const filters = [
    streamNameFilter({ prefixes: [stream] }),
    streamNameFilter({ regex: `^${stream}$` }),
    eventTypeFilter({ prefixes: [type] }),
    eventTypeFilter({ regex: `^${type}.*$` }),
  ];
  const subscriptions = filters.map((filter) => client.subscribeToAll({ fromPosition: START, filter }));
  await Promise.all(subscriptions.map((subscription) => once(subscription, "caughtUp")));
  await client.appendToStream(newName(), newEvents(3));
  await client.appendToStream(stream, newEvents(1, last));
  for (const subscription of subscriptions) {
    assert.equal((await takeUntil(subscription, last)).length, 9);
  }
});

test("filtered subscription reports checkpoints", limit, async () => {
  const [stream, last] = [newName(), newName("last")];
  const { position } = await client.appendToStream(stream, newEvents(1));
  const checkpoints = [];
  const checkpointReached = async (_, checkpoint) => checkpoints.push(checkpoint.commit);
  const filter = excludeSystemEvents({ checkpointInterval: 2, checkpointReached });
  const subscription = client.subscribeToAll({ fromPosition: position, filter });
  for (let part = 0; part < 8; part += 1) await client.appendToStream(stream, newEvents(20));
  await client.appendToStream(stream, newEvents(1, last));
  const events = await takeUntil(subscription, last);
  const end = events.at(-1).position.commit;
  assert(checkpoints.length >= 2, `${checkpoints}`);
  assert(checkpoints.every((checkpoint) => checkpoint > position.commit && checkpoint <= end), `${checkpoints}`);
  assert.deepEqual(checkpoints, checkpoints.toSorted((a, b) => Number(a - b)));
});

test("hidden events of a stream stay in the log", limit, async () => {
  const stream = newName("truncated");
  await client.appendToStream(stream, newEvents(25));
  await client.setStreamMetadata(stream, { truncateBefore: 20 });
  const inLog = client.subscribeToAll({ fromPosition: START, filter: streamNameFilter({ prefixes: [stream] }) });
  const inStream = client.subscribeToStream(stream, { fromRevision: START });
  const counts = await Promise.all([inLog, inStream].map(async (subscription) => {
    let count = 0;
    subscription.on("data", () => { count += 1; });
    await once(subscription, "caughtUp");
    await subscription.unsubscribe();
    return count;
  }));
  assert.deepEqual(counts, [25, 5]);
});
