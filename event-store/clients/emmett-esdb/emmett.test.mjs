// Streams on the adapter: appends with expected versions, reads, and state that is folded from events.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";
import { CommandHandler } from "@event-driven-io/emmett";
import { getEventStoreDBEventStore } from "@event-driven-io/emmett-esdb";
import { EventStoreDBClient } from "@eventstore/db-client";

const client = EventStoreDBClient.connectionString(`esdb://${process.env.EVENT_STORE_ADDRESS}?tls=false`);
const store = getEventStoreDBEventStore(client);
after(() => client.dispose());

const weighed = (grams) => ({ type: "weighed", data: { grams } });
const evolve = (total, { data }) => total + data.grams;
const initialState = () => 0;

test("events are appended and read", async () => {
  const stream = `hive-${randomUUID()}`;
  const missing = await store.readStream(stream);
  assert.equal(missing.streamExists, false);
  const first = await store.appendToStream(stream, [weighed(1), weighed(2)], { expectedStreamVersion: "STREAM_DOES_NOT_EXIST" });
  assert.equal(first.nextExpectedStreamVersion, 1n);
  const second = await store.appendToStream(stream, [weighed(3)], { expectedStreamVersion: 1n });
  assert.equal(second.nextExpectedStreamVersion, 2n);
  const { events, currentStreamVersion, streamExists } = await store.readStream(stream);
  assert.deepEqual([events.map(({ data }) => data.grams), currentStreamVersion, streamExists], [[1, 2, 3], 2n, true]);
  const { state } = await store.aggregateStream(stream, { evolve, initialState });
  assert.equal(state, 6);
});

test("a conflict is reported", async () => {
  const stream = `hive-${randomUUID()}`;
  await store.appendToStream(stream, [weighed(1)]);
  for (const expectedStreamVersion of ["STREAM_DOES_NOT_EXIST", 7n]) {
    // The adapter contains a copy of the error class.
    const conflict = { message: `Expected version ${expectedStreamVersion} does not match current 0` };
    await assert.rejects(store.appendToStream(stream, [weighed(2)], { expectedStreamVersion }), conflict);
  }
  const { events } = await store.readStream(stream);
  assert.equal(events.length, 1);
});

test("a command handler decides on the folded state", async () => {
  const handle = CommandHandler({ evolve, initialState });
  const id = `hive-${randomUUID()}`;
  for (const expected of [1, 2, 4, 8]) {
    const { newState } = await handle(store, id, (total) => weighed(total === 0 ? 1 : total));
    assert.equal(newState, expected);
  }
});
