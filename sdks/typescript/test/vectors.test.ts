/** The test vectors that all SDKs share. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Client,
  StoreError,
  type DeadLetter,
  type Delivery,
  type GroupSettings,
  type Groups,
  type NewEvent,
  type ReadAllOptions,
  type StreamAppend,
} from "../src/index.js";
import { LIMIT, ScriptedServer } from "./scripted-server.js";
import { answer, argumentsOf, messageItem, options, plain, plainError, plainEvent } from "./vector-values.js";
import { credentials, missing, vectors, type Json, type Vector } from "./vector.js";

type Read = ReturnType<Client["readAll"]>;

/** Calls the operation of a vector, and fills the outcome. */
async function operate(client: Client, vector: Vector, signal: AbortSignal, outcome: Json): Promise<void> {
  const { operation, stream, events, streams, ...given } = argumentsOf(vector.call);
  const settings = { ...given, signal };
  switch (operation) {
    case "append": {
      const append = settings as unknown as Parameters<Client["append"]>[2];
      outcome["result"] = plain(await client.append(stream as string, events as NewEvent[], append));
      break;
    }
    case "append_streams":
      outcome["result"] = plain(await client.appendStreams(streams as StreamAppend[], settings));
      break;
    case "head":
      outcome["result"] = await client.head(settings);
      break;
    case "describe_stream":
      outcome["result"] = plain(await client.describeStream(stream as string, settings));
      break;
    case "server_info":
      outcome["result"] = plain(await client.serverInfo(settings));
      break;
    case "read_stream":
      await read(client.readStream(stream as string, settings), vector, outcome);
      break;
    case "read_all":
      await read(client.readAll({ ...settings, streams } as ReadAllOptions), vector, outcome);
      break;
    case "subscribe":
      await collect(client.subscribe(settings), messageItem, vector, outcome);
      break;
    case "list_streams":
      await collect(client.listStreams(settings), (summary) => ({ stream: plain(summary) }), vector, outcome);
      break;
    case "consume": {
      const { answers = [], group, ...consume } = settings as { answers?: unknown[]; group?: string };
      const deliveries = client.groups.consume(group ?? "", consume);
      const item = (delivery: Delivery, index: number) => {
        answer(delivery, answers[index]);
        return { delivery: { event: plainEvent(delivery.event), attempt: delivery.attempt } };
      };
      await collect(deliveries, item, vector, outcome);
      break;
    }
    default:
      await operateGroup(client.groups, vector, signal, outcome);
  }
}

/** Calls an operation of consumer groups, and fills the outcome. */
async function operateGroup(groups: Groups, vector: Vector, signal: AbortSignal, outcome: Json): Promise<void> {
  const { operation, name, settings = {}, group, positions, after, ...given } = argumentsOf(vector.call);
  const options = { ...given, signal };
  const [named, grouped] = [name as string, group as string];
  const list = positions as number[] | undefined;
  switch (operation) {
    case "create_group":
      outcome["result"] = plain(await groups.create(named, settings as GroupSettings, options));
      break;
    case "update_group":
      outcome["result"] = plain(await groups.update(named, settings as GroupSettings, options));
      break;
    case "describe_group":
      outcome["result"] = plain(await groups.describe(named, options));
      break;
    case "reset_group":
      outcome["result"] = plain(await groups.reset(named, after as number, options));
      break;
    case "resume_group":
      outcome["result"] = plain(await groups.resume(named, options));
      break;
    case "delete_group":
      await groups.delete(named, options);
      outcome["result"] = null;
      break;
    case "list_groups":
      await collect(groups.list(options), (found) => ({ group: plain(found) }), vector, outcome);
      break;
    case "list_dead_letters": {
      const item = ({ event, ...others }: DeadLetter) => ({
        dead_letter: { ...(plain(others) as Json), event: event && plainEvent(event) },
      });
      await collect(groups.listDeadLetters(grouped, options), item, vector, outcome);
      break;
    }
    case "retry_dead_letters":
      outcome["result"] = await groups.retryDeadLetters(grouped, list, options);
      break;
    case "discard_dead_letters":
      outcome["result"] = await groups.discardDeadLetters(grouped, list, options);
      break;
    default:
      assert.fail(`unknown operation: ${String(operation)}`);
  }
}

async function read(events: Read, vector: Vector, outcome: Json): Promise<void> {
  await collect(events, (event) => ({ event: plainEvent(event) }), vector, outcome);
  if (vector.cancel === undefined) {
    outcome["head"] = events.head;
    outcome["more"] = events.more;
  }
}

async function collect<T>(
  all: AsyncIterable<T>,
  item: (value: T, index: number) => Json,
  vector: Vector,
  outcome: Json,
): Promise<void> {
  const items: Json[] = [];
  outcome["items"] = items;
  for await (const value of all) {
    items.push(item(value, items.length));
    if (items.length === vector.cancel?.after_items) {
      break;
    }
  }
}

async function outcomeOf(vector: Vector, server: ScriptedServer): Promise<Json> {
  const outcome: Json = {};
  const cancel = new AbortController();
  const client = new Client(server.address, options(vector));
  try {
    if (vector.cancel?.after_call !== undefined) {
      void server.waitForCalls(vector.cancel.after_call).then(() => cancel.abort());
    }
    await operate(client, vector, cancel.signal, outcome);
  } catch (error) {
    if (error instanceof StoreError) {
      outcome["error"] = plainError(error);
    } else if (error === cancel.signal.reason) {
      outcome["cancelled"] = true;
    } else {
      throw error;
    }
  }
  // The call ends before the client does.
  await server.finish();
  client.close();
  return outcome;
}

for (const vector of vectors) {
  test(vector.name, { timeout: 2 * LIMIT }, async () => {
    const server = await ScriptedServer.start(vector.server);
    try {
      const outcome = await outcomeOf(vector, server);
      assert.deepEqual(server.problems, [], `${vector.rule} ${JSON.stringify(outcome)}`);
      for (const name of ["error", "cancelled"]) {
        assert.equal(name in outcome, name in vector.expect, JSON.stringify(outcome));
      }
      assert.equal(missing(vector.expect, outcome, ""), undefined, vector.rule);
    } finally {
      server.close();
    }
  });
}

test("credentials need encryption", () => {
  assert.ok(credentials.length >= 5);
  for (const { address, error } of credentials) {
    for (const given of [{ token: "secret" }, { user: "ann", password: "secret" }]) {
      const open = () => new Client(address, { credentials: given }).close();
      if (error === null) {
        assert.doesNotThrow(open, address);
      } else {
        assert.throws(open, { name: "TypeError", message: error });
      }
    }
  }
});
