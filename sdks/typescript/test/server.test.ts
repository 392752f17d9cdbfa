/** The client on the real server, whose address is in `EVENT_STORE_ADDRESS`. */

import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";

import { Client, isStoreError, type Credentials, type NewEvent, type Tls } from "../src/index.js";

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

test("events of several streams are mixed", async () => {
  const [first, second] = [name("account"), name("account")];
  const part = (stream: string, n: number) => ({ stream, expected: 0, events: [reading(n)] });
  const appended = await store.appendStreams([part(first, 0), part(second, 1), part(first, 2)]);
  assert.deepEqual(
    appended.versions,
    new Map([
      [first, 2],
      [second, 1],
    ]),
  );
  const events = await store.readAll({ streams: [first, second] }).toArray();
  assert.deepEqual(
    events.map((event) => event.json<{ n: number }>().n),
    [0, 1, 2],
  );
  const other = { stream: first, expected: 1, events: [] };
  await assert.rejects(store.appendStreams([part(first, 3), other]), /two expected versions/);
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

test("event types are listed", async () => {
  const types = [randomUUID(), randomUUID(), randomUUID()];
  const events = types.map((eventType) => ({ eventType, data: {} }));
  const { position } = await store.append(name("typed"), events, { expected: 0 });
  const listed = new Map<string, number>();
  for await (const found of store.listEventTypes({ pageSize: 2 })) {
    listed.set(found.eventType, found.position);
  }
  assert.deepEqual(
    types.map((eventType) => listed.get(eventType)),
    [position - 2, position - 1, position],
  );
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

test("group settles every event", async () => {
  const stream = name("order");
  await store.append(stream, [0, 1, 2, 3].map(reading), { expected: 0 });
  const group = await store.groups.create(name("billing"), { query: { streamPrefix: stream } });
  await assert.rejects(store.groups.create(group.name), (error) => isStoreError(error, "groupExists"));
  const seen: [number, number][] = [];
  for await (const delivery of store.groups.consume(group.name, { consumer: "test" })) {
    const { n } = delivery.event.json<{ n: number }>();
    seen.push([n, delivery.attempt]);
    if (n === 1 && delivery.attempt === 1) {
      delivery.nack("retry", { retryAfterMs: 1, reason: "again" });
    } else if (n === 2) {
      delivery.nack("deadLetter", { reason: "poison" });
    } else {
      delivery.ack();
    }
    if (n === 3) {
      break;
    }
  }
  assert.deepEqual(seen, [
    [0, 1],
    [1, 1],
    [1, 2],
    [2, 1],
    [3, 1],
  ]);
  // The server stores answers a little later.
  const end = performance.now() + 10_000;
  while ((await store.groups.describe(group.name)).deadLetters === 0) {
    assert.ok(performance.now() < end);
  }
  for await (const letter of store.groups.listDeadLetters(group.name)) {
    assert.deepEqual([letter.event?.json(), letter.attempts, letter.reason], [{ n: 2 }, 1, "poison"]);
    assert.equal(await store.groups.retryDeadLetters(group.name, [letter.position]), 1);
  }
  for await (const delivery of store.groups.consume(group.name)) {
    assert.deepEqual(delivery.event.json(), { n: 2 });
    assert.ok(delivery.ack());
    break;
  }
  await store.groups.delete(group.name);
  const gone = store.groups.consume(group.name)[Symbol.asyncIterator]().next();
  await assert.rejects(gone, (error) => isStoreError(error, "notFound"));
});

test("signal ends a consumer that waits", async () => {
  const group = await store.groups.create(name("idle"), { liveOnly: true });
  const consumer = store.groups.consume(group.name, { signal: AbortSignal.timeout(200) });
  await assert.rejects(consumer[Symbol.asyncIterator]().next(), { name: "TimeoutError" });
});

/** A server on a file, which is killed and started again on the same port. */
class Server {
  #process: ChildProcess | undefined;
  #address = "127.0.0.1:0";

  constructor(
    private readonly folder: string,
    private readonly options: readonly string[] = [],
  ) {}

  get address(): string {
    return `factum://${this.#address}`;
  }

  async start(): Promise<void> {
    const help = execFileSync(EVENT_STORE_BINARY, ["--help"], { encoding: "utf8" });
    const flags = help.includes("--insecure") ? ["--insecure"] : [];
    const options = ["--store", "sqlite:events.db", "--bind-addr", this.#address, ...flags, ...this.options];
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

test("credentials are checked", { skip }, async (t) => {
  const folder = mkdtempSync(join(CLIENT_SCRATCH, "users-"));
  const token = `factum_${"t".repeat(43)}`;
  const sha256 = createHash("sha256").update(token).digest("hex");
  const hash = execFileSync(EVENT_STORE_BINARY, ["hash-password"], { input: "pässword:1\n", encoding: "utf8" }).trim();
  const users = `
    [roles.shop]
    read = ["order-"]
    append = ["order-"]
    [users.shop]
    roles = ["shop"]
    password = "${hash}"
    tokens = [{ name = "ci", sha256 = "${sha256}" }]`;
  writeFileSync(join(folder, "users.toml"), users);
  const server = new Server(folder, ["--users", "users.toml"]);
  await server.start();
  t.after(() => server.kill());
  function connect(credentials?: Credentials): Client {
    const client = new Client(server.address, { credentials });
    t.after(() => client.close());
    return client;
  }
  for (const credentials of [{ token }, { user: "shop", password: "pässword:1" }]) {
    const client = connect(credentials);
    await client.append("order-1", reading(1), { expected: "any" });
    await assert.rejects(client.append("account-1", reading(1), { expected: "any" }), (error) => {
      assert.ok(isStoreError(error, "permissionDenied"));
      const { principal, permission, resource } = error.failure;
      assert.deepEqual([principal, permission, resource], ['user "shop"', "append", 'stream "account-1"']);
      return true;
    });
  }
  for (const wrong of [undefined, { token: `factum_${"u".repeat(43)}` }, { user: "shop", password: "guess" }]) {
    await assert.rejects(connect(wrong).head(), (error) => isStoreError(error, "unauthenticated"));
  }
});

/** Creates an authority, and certificates of a server and a client. */
function createCertificates(folder: string): void {
  const openssl = (...options: string[]) => execFileSync("openssl", options, { cwd: folder, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout"];
  openssl("req", "-x509", ...key, "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority");
  writeFileSync(join(folder, "names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  for (const owner of ["server", "client"]) {
    openssl("req", ...key, `${owner}.key`, "-out", `${owner}.csr`, "-subj", `/CN=${owner}`);
    const signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"];
    openssl("x509", "-req", "-in", `${owner}.csr`, "-out", `${owner}.pem`, ...signing);
  }
}

test("connection is encrypted", { skip }, async (t) => {
  const folder = mkdtempSync(join(CLIENT_SCRATCH, "tls-"));
  createCertificates(folder);
  const options = ["--tls-cert", "server.pem", "--tls-key", "server.key", "--tls-client-ca", "ca.pem"];
  const server = new Server(folder, options);
  await server.start();
  t.after(() => server.kill());
  const file = (name: string) => ({ file: join(folder, name) });
  function connect(scheme: string, tls?: Tls): Client {
    const address = server.address.replace("factum", scheme);
    const client = new Client(address, { tls, retry: { maxAttempts: 1 } });
    t.after(() => client.close());
    return client;
  }
  const key = readFileSync(join(folder, "client.key"));
  const client = connect("factums", { ca: file("ca.pem"), certificate: file("client.pem"), key });
  await client.append("order-1", reading(1), { expected: 0 });
  assert.equal(await client.head(), 1);
  const isUnavailable = (error: unknown) => isStoreError(error, "unavailable");
  for (const tls of [undefined, { ca: file("ca.pem") }, { ca: file("client.pem") }]) {
    await assert.rejects(connect("factums", tls).head(), isUnavailable);
  }
  await assert.rejects(connect("factum").head(), isUnavailable);
});
