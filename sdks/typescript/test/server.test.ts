/** The client on the real server, whose address is in `EVENT_STORE_ADDRESS`. */

import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";

import { Client, isStoreError, type NewEvent } from "../src/index.js";

const { EVENT_STORE_ADDRESS, EVENT_STORE_BACKEND, EVENT_STORE_BINARY = "", CLIENT_SCRATCH = "." } = process.env;

const store = new Client(`factum://${EVENT_STORE_ADDRESS}`);
after(() => store.close());

/** Returns the name of a stream that no other test uses. */
function name(category: string): string {
  return `${category}-${randomUUID()}`;
}

function reading(n: number): NewEvent {
  return { eventType: "meter.read", data: { n } };
}

test("event returns as it was stored", async () => {
  const metadata = {
    actor: "ann",
    reason: "a test",
    correlationId: randomUUID(),
    causationId: randomUUID(),
    tenant: "north",
    traceParent: undefined,
    extra: { app: { version: 2 } },
  };
  const data = { owner: "Änn", n: [1, null] };
  const [id, stream] = [randomUUID(), name("account")];
  const opened = { eventType: "account.opened", data, id, schemaVersion: 3, tags: ["owner:ann", "vip"], metadata };
  const photo = { eventType: "photo.taken", data: new Uint8Array([255, 216, 0]), contentType: "image/jpeg" };
  const appended = await store.append(stream, [opened, photo], { expected: "noStream" });
  assert.deepEqual([appended.count, appended.versions, appended.repeated], [2, new Map([[stream, 2]]), false]);

  const [first, second] = await store.readStream(stream).toArray();
  assert.ok(first && second);
  assert.deepEqual([first.id, first.eventType, first.schemaVersion], [id, "account.opened", 3]);
  assert.deepEqual(first.json(), data);
  assert.deepEqual(first.metadata, metadata);
  assert.deepEqual([...first.tags].sort(), ["owner:ann", "vip"]);
  assert.equal(first.recordedAtMicros, appended.recordedAtMicros);
  assert.deepEqual([new Uint8Array(second.data), second.contentType], [photo.data, "image/jpeg"]);
  assert.equal(second.position, appended.position);
});

test("conflict has its facts", async () => {
  const stream = name("account");
  const appended = await store.append(stream, reading(1), { expected: 0 });
  await assert.rejects(store.append(stream, reading(2), { expected: "noStream" }), (error) => {
    assert.ok(isStoreError(error, "conflict"));
    const violation = { kind: "version", stream, expected: "noStream", actual: 1 };
    assert.deepEqual(error.failure.violations, [violation]);
    return true;
  });
  const condition = { query: { streamPrefix: stream }, after: appended.position - 1 };
  await assert.rejects(store.append(stream, reading(2), { expected: 1, condition }), (error) => {
    assert.ok(isStoreError(error, "conflict"));
    assert.deepEqual(error.failure.violations, [{ kind: "condition", found: appended.position }]);
    return true;
  });
});

test("key returns the first result", async () => {
  const [stream, idempotencyKey] = [name("order"), randomUUID()];
  const first = await store.append(stream, reading(1), { expected: "any", idempotencyKey });
  const second = await store.append(stream, reading(1), { expected: "any", idempotencyKey });
  assert.deepEqual([second.position, second.repeated], [first.position, true]);
  const reused = store.append(stream, reading(2), { expected: "any", idempotencyKey });
  await assert.rejects(reused, (error) => isStoreError(error, "keyReused") && error.failure.key === idempotencyKey);
  assert.equal((await store.readStream(stream).toArray()).length, 1);
});

test("invalid request names its field", async () => {
  await assert.rejects(store.append("a\n", reading(1), { expected: 0 }), (error) => {
    assert.ok(isStoreError(error, "invalidArgument"));
    assert.deepEqual(
      error.failure.fields.map(({ field }) => field),
      ["streams[0].stream"],
    );
    return true;
  });
});

test("missing stream is empty, or an error if it must exist", async () => {
  assert.deepEqual(await store.readStream(name("none")).toArray(), []);
  const isNotFound = (error: unknown) => isStoreError(error, "notFound");
  await assert.rejects(store.readStream(name("none"), { mustExist: true }).toArray(), isNotFound);
  await assert.rejects(store.describeStream(name("none")), isNotFound);
});

test("streams are listed and described", async () => {
  const category = `list${randomUUID().replaceAll("-", "")}`;
  const streams = [0, 1, 2, 3, 4].map((number) => `${category}-${number}`);
  for (const stream of streams) {
    await store.append(stream, reading(0), { expected: 0 });
  }
  const listed: string[] = [];
  for await (const { stream } of store.listStreams({ category, pageSize: 2 })) {
    listed.push(stream);
  }
  assert.deepEqual(listed, streams);
  const { version, position } = await store.describeStream(streams[4] ?? "");
  assert.equal(version, 1);
  assert.ok((await store.head()) >= position);
});

test("read has a head and a limit", async () => {
  const stream = name("meter");
  const appended = await store.append(stream, [1, 2, 3, 4, 5].map(reading), { expected: 0 });
  const read = store.readStream(stream, { direction: "backward", limit: 2 });
  assert.deepEqual(
    (await read.toArray()).map(({ version }) => version),
    [5, 4],
  );
  assert.ok(read.more && read.head >= appended.position);
});

test("server describes itself", async () => {
  assert.equal((await store.serverInfo()).backend, EVENT_STORE_BACKEND);
});

test("subscription replays, then follows", async () => {
  const stream = name("live");
  await store.append(stream, [1, 2, 3].map(reading), { expected: 0 });
  const seen: number[] = [];
  for await (const message of store.subscribe({ query: { streamPrefix: stream } })) {
    if (message.kind === "event") {
      seen.push(message.event.version);
    } else if (message.kind === "caughtUp" && seen.length === 3) {
      await store.append(stream, [4, 5].map(reading), { expected: 3 });
    }
    if (seen.length === 5) {
      break;
    }
  }
  assert.deepEqual(seen, [1, 2, 3, 4, 5]);
});

/** A server on a file, which is killed and started again on the same port. */
class Server {
  #process: ChildProcess | undefined;
  #address = "127.0.0.1:0";

  constructor(private readonly folder: string) {}

  get address(): string {
    return `factum://${this.#address}`;
  }

  async start(): Promise<void> {
    const help = execFileSync(EVENT_STORE_BINARY, ["--help"], { encoding: "utf8" });
    const flags = help.includes("--insecure") ? ["--insecure"] : [];
    const options = ["--store", "sqlite:events.db", "--bind-addr", this.#address, ...flags];
    this.#process = spawn(EVENT_STORE_BINARY, options, { cwd: this.folder, stdio: ["ignore", "pipe", "ignore"] });
    assert.ok(this.#process.stdout);
    for await (const line of createInterface(this.#process.stdout)) {
      const found = /gRPC API on https?:\/\/(\S+)/.exec(line);
      if (found?.[1] !== undefined) {
        this.#address = found[1];
        return;
      }
    }
    assert.fail("the server did not start");
  }

  async kill(): Promise<void> {
    assert.ok(this.#process);
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }
}

// The restarted server needs a file.
const skip = EVENT_STORE_BACKEND === "sqlite" ? false : "this test runs with the backend sqlite";

test("killed server causes no gap and no duplicate", { skip, timeout: 60_000 }, async (t) => {
  const server = new Server(mkdtempSync(join(CLIENT_SCRATCH, "restarted-")));
  await server.start();
  const tries = { maxAttempts: Infinity, firstPauseMs: 10, longestPauseMs: 100 };
  const client = new Client(server.address, { retry: tries, reconnect: tries });
  t.after(() => client.close());
  const count = 300;
  const seen: number[] = [];
  async function follow(): Promise<void> {
    for await (const event of client.subscribe().events()) {
      seen.push(event.json<{ n: number }>().n);
      if (seen.length === count) {
        return;
      }
    }
  }
  const followed = follow();
  for (let n = 0; n < count; n++) {
    const restarted = n % 100 === 50 ? server.restart() : undefined;
    await client.append("meter-1", reading(n), { expected: "any" });
    await restarted;
  }
  await followed;
  await server.kill();
  assert.deepEqual(seen, [...Array(count).keys()]);
});
