// Appends to several streams in one transaction.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ANY, AppendConsistencyViolationError, AppendRecordSizeExceededError, NO_STREAM, STREAM_EXISTS, STREAM_STATE,
  StreamTombstonedError, TransactionMaxSizeExceededError, WrongExpectedVersionError, jsonEvent,
} from "@kurrent/kurrentdb-client";
import { binary, client, collect, newEvents, newName } from "./support.mjs";

const record = (streamName, metadata) => ({ streamName, record: jsonEvent({ type: "weighed", data: {}, metadata }) });
const check = (streamName, expectedState) => ({ type: STREAM_STATE, streamName, expectedState });
const count = async (stream) => (await collect(client.readStream(stream))).length;

test("a session stores all streams or none", async () => {
  const [first, second] = [newName(), newName()];
  const request = (streamName, expectedState) => ({ streamName, events: newEvents(2), expectedState });
  const result = await client.multiStreamAppend([request(first, NO_STREAM), request(second, ANY)]);
  assert.deepEqual(result.responses.map(({ streamName, revision }) => [streamName, revision]), [[first, 1n], [second, 1n]]);
  const third = newName();
  await assert.rejects(client.multiStreamAppend([request(third, ANY), request(first, 5n)]), (error) => {
    assert(error instanceof WrongExpectedVersionError, error);
    assert.deepEqual([error.streamName, error.expectedState, error.actualState], [first, 5n, 1n]);
    return true;
  });
  await assert.rejects(count(third));
  await client.tombstoneStream(first);
  await assert.rejects(client.multiStreamAppend([request(first, ANY)]), StreamTombstonedError);
  const large = { streamName: third, events: [binary("photo", Buffer.alloc((16 << 20) + 1))], expectedState: ANY };
  await assert.rejects(client.multiStreamAppend([large]), AppendRecordSizeExceededError);
  const events = Array.from({ length: 5 }, () => binary("photo", Buffer.alloc(15 << 20)));
  const requests = events.map((event) => ({ streamName: newName(), events: [event], expectedState: ANY }));
  await assert.rejects(client.multiStreamAppend(requests), TransactionMaxSizeExceededError);
});

test("records of streams may alternate", async () => {
  const [first, second] = [newName(), newName()];
  const streams = [first, second, first, second, first];
  const result = await client.appendRecords(streams.map((stream) => record(stream, { user: "ada" })));
  assert.deepEqual(result.responses.map(({ streamName, revision }) => [streamName, revision]), [[first, 2n], [second, 1n]]);
  const [{ event }] = await collect(client.readStream(second));
  assert.deepEqual(event.metadata, { "$schema.format": "Json", "$schema.name": "weighed", user: "ada" });
});

test("checks may name other streams", async () => {
  const [present, missing] = [newName(), newName()];
  await client.appendRecords([record(present), record(present), record(present)]);
  const checks = [check(present, 2n), check(present, STREAM_EXISTS), check(missing, NO_STREAM)];
  const target = newName();
  await client.appendRecords([record(target)], checks);
  const failing = [check(present, 2n), check(missing, STREAM_EXISTS), check(target, 10n)];
  await assert.rejects(client.appendRecords([record(newName())], failing), (error) => {
    assert(error instanceof AppendConsistencyViolationError, error);
    const found = error.violations.map(({ checkIndex, streamName, actualState }) => [checkIndex, streamName, actualState]);
    assert.deepEqual(found, [[1, missing, NO_STREAM], [2, target, 0n]]);
    return true;
  });
  assert.equal(await count(target), 1);
});
