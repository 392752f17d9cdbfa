/** The settings of a client, and values that it rejects before a call. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, isStoreError, type ClientOptions } from "../src/index.js";

/** An address at which no server listens. */
const NOWHERE = "factum://127.0.0.1:1";

/** Tries a call twice, quickly. */
const QUICK: ClientOptions = { retry: { maxAttempts: 2, firstPauseMs: 1 } };

test("address is checked, and does not show a password", () => {
  for (const address of ["localhost:50051", "esdb://localhost", "factum://", "factum://ann:secret@a", "factum://a/b"]) {
    assert.throws(
      () => new Client(address),
      (error) =>
        error instanceof TypeError && /^invalid address/.test(error.message) && !error.message.includes("secret"),
    );
  }
});

test("settings are checked", () => {
  assert.throws(() => new Client("factum://localhost", { tls: {} }), /TLS needs factums:\/\//);
  assert.throws(() => new Client(NOWHERE, { retry: { maxAttempts: 0 } }), /invalid maxAttempts: 0/);
  assert.throws(() => new Client(NOWHERE, { silenceMs: 0 }), /invalid silenceMs: 0/);
});

test("mistakes are reported before the call", async (t) => {
  const client = new Client(NOWHERE);
  t.after(() => client.close());
  assert.throws(() => client.readStream("a-1", { limit: 0 }), /invalid limit: 0/);
  assert.throws(() => client.readStream("a-1", { cursor: -1 }), /invalid cursor: -1/);
  assert.throws(() => client.readAll({ query: [], streams: ["a-1"] }), /not both/);
  assert.throws(() => client.subscribe({ after: 3, liveOnly: true }), /not both/);
  const event = { eventType: "a", data: undefined };
  await assert.rejects(client.append("a-1", event, { expected: 0 }), /not a JSON value/);
  await assert.rejects(client.append("a-1", { eventType: "a", data: {} }, { expected: 0.5 }), /invalid expected: 0.5/);
  const photo = { eventType: "photo.taken", data: {}, contentType: "image/jpeg" };
  await assert.rejects(client.append("photo-1", photo, { expected: 0 }), /must be bytes/);
});

test("server that cannot be reached stored nothing", async (t) => {
  let notices = 0;
  const client = new Client(NOWHERE, { ...QUICK, onRetry: () => notices++ });
  t.after(() => client.close());
  const appended = client.append("a-1", { eventType: "a", data: {} }, { expected: 0, idempotencyKey: null });
  await assert.rejects(appended, (error) => isStoreError(error, "unavailable"));
  assert.equal(notices, 1);
});

test("signal that is aborted already ends the call", async (t) => {
  const client = new Client(NOWHERE);
  t.after(() => client.close());
  const reason = new Error("too late");
  await assert.rejects(client.head({ signal: AbortSignal.abort(reason) }), reason);
});

test("signal ends the pause between two tries", async (t) => {
  const cancel = new AbortController();
  const reason = new Error("enough");
  const client = new Client(NOWHERE, {
    retry: { firstPauseMs: 60_000, longestPauseMs: 60_000 },
    onRetry: () => cancel.abort(reason),
    timeoutMs: Infinity,
  });
  t.after(() => client.close());
  await assert.rejects(client.head({ signal: cancel.signal }), reason);
});
