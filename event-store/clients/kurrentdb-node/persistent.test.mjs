// Persistent subscriptions: groups of consumers whose position the server keeps.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import {
  END,
  PARK,
  PINNED,
  PINNED_BY_CORRELATION,
  PersistentSubscriptionDoesNotExistError,
  PersistentSubscriptionExistsError,
  RETRY,
  SKIP,
  START,
  persistentSubscriptionToAllSettingsFromDefaults as settingsOfAll,
  persistentSubscriptionToStreamSettingsFromDefaults as settings,
  streamNameFilter,
} from "@kurrent/kurrentdb-client";
import { client, newEvents, newName } from "./support.mjs";

const limit = { timeout: 60_000 };
const group = "group";

// Takes this number of events, and answers each.
async function consume(subscription, count, answer = (event) => subscription.ack(event)) {
  const found = [];
  for await (const event of subscription) {
    found.push(event.event.id);
    await answer(event);
    // The end of a loop over the events does not end the call.
    if (found.length === count) await subscription.unsubscribe();
  }
  return found;
}

const connect = (stream) => client.subscribeToPersistentSubscriptionToStream(stream, group);

async function parked(stream, count) {
  for (;;) {
    const info = await client.getPersistentSubscriptionToStreamInfo(stream, group);
    if (Number(info.stats.parkedMessageCount) === count) return;
    await new Promise((done) => setTimeout(done, 20));
  }
}

test("group on a stream from each start", limit, async () => {
  const starts = [[START, 0], [2n, 2], [END, 4]];
  for (const [startFrom, first] of starts) {
    const [stream, events] = [newName(), newEvents(6)];
    await client.appendToStream(stream, events.slice(0, 4));
    await client.createPersistentSubscriptionToStream(stream, group, settings({ startFrom }));
    await client.appendToStream(stream, events.slice(4));
    const expected = events.slice(first).map(({ id }) => id);
    assert.deepEqual(await consume(connect(stream), expected.length), expected);
  }
});

test("skipped and retried events", limit, async () => {
  const [stream, events] = [newName(), newEvents(2)];
  await client.appendToStream(stream, events);
  await client.createPersistentSubscriptionToStream(stream, group, settings({ startFrom: START }));
  const [skipped, retried] = events.map(({ id }) => id);
  let wasRetried = false;
  const subscription = connect(stream);
  const found = await consume(subscription, 3, async (event) => {
    if (event.event.id === skipped) return subscription.nack(SKIP, "test", event);
    if (wasRetried) return subscription.ack(event);
    wasRetried = true;
    return subscription.nack(RETRY, "test", event);
  });
  assert.deepEqual(found.toSorted(), [skipped, retried, retried].toSorted());
});

test("some parked events are replayed", limit, async () => {
  const [stream, events] = [newName("ทดสอบ/0️⃣"), newEvents(5)];
  await client.createPersistentSubscriptionToStream(stream, group, settings({ startFrom: START }));
  await client.appendToStream(stream, events);
  const first = connect(stream);
  let count = 0;
  await consume(first, 5, async (event) => {
    await first.nack(PARK, "test", event);
    count += 1;
    // The connection ends after the last event, with all answers that are not sent yet.
    await parked(stream, count);
  });
  await client.replayParkedMessagesToStream(stream, group, { stopAt: 3 });
  const expected = events.slice(0, 3).map(({ id }) => id);
  assert.deepEqual(await consume(connect(stream), 3), expected);
  await parked(stream, 2);
});

test("settings of a group on a stream are changed", limit, async () => {
  const stream = newName();
  const pinned = settings({ consumerStrategyName: PINNED_BY_CORRELATION, startFrom: START });
  await client.createPersistentSubscriptionToStream(stream, group, pinned);
  const described = () => client.getPersistentSubscriptionToStreamInfo(stream, group);
  assert.equal((await described()).settings.consumerStrategyName, PINNED_BY_CORRELATION);
  const changed = settings({ consumerStrategyName: PINNED, maxRetryCount: 3, startFrom: 2n });
  await client.updatePersistentSubscriptionToStream(stream, group, changed);
  const { consumerStrategyName, maxRetryCount, startFrom } = (await described()).settings;
  assert.deepEqual([consumerStrategyName, Number(maxRetryCount), startFrom], [PINNED, 3, 2n]);
});

test("group on all streams with a filter", limit, async () => {
  const [stream, name, events] = [newName(), newName("group"), newEvents(3)];
  const filter = streamNameFilter({ prefixes: [stream] });
  await client.createPersistentSubscriptionToAll(name, settingsOfAll({ startFrom: START }), { filter });
  await client.appendToStream(newName(), newEvents(2));
  await client.appendToStream(stream, events);
  const subscription = client.subscribeToPersistentSubscriptionToAll(name);
  assert.deepEqual(await consume(subscription, 3), events.map(({ id }) => id));
});

test("errors name the group", limit, async () => {
  const stream = newName();
  const calls = [
    () => client.replayParkedMessagesToStream(stream, group),
    () => client.deletePersistentSubscriptionToStream(stream, group),
    () => client.getPersistentSubscriptionToStreamInfo(stream, group),
    () => client.updatePersistentSubscriptionToStream(stream, group, settings()),
  ];
  for (const call of calls) {
    await assert.rejects(call(), (error) => {
      assert(error instanceof PersistentSubscriptionDoesNotExistError, error);
      assert.deepEqual([error.streamName, error.groupName], [stream, group]);
      return true;
    });
  }
  await client.createPersistentSubscriptionToStream(stream, group, settings());
  const again = client.createPersistentSubscriptionToStream(stream, group, settings());
  await assert.rejects(again, PersistentSubscriptionExistsError);
});

test("subscription ends when the group is deleted", limit, async () => {
  const stream = newName();
  await client.createPersistentSubscriptionToStream(stream, group, settings());
  const subscription = connect(stream);
  subscription.on("data", () => {});
  await once(subscription, "confirmation");
  const ended = once(subscription, "error");
  await client.deletePersistentSubscriptionToStream(stream, group);
  const [error] = await ended;
  assert(/was dropped/.test(error.message), error);
});
