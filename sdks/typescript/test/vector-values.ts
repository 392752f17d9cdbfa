/** The values of test vectors: arguments for the client, and results in the form of the vectors. */

import assert from "node:assert/strict";

import {
  StoreError,
  type Action,
  type Delivery,
  type ClientOptions,
  type ExpectedVersion,
  type Message,
  type NewEvent,
  type StoredEvent,
} from "../src/index.js";
import type { Json, Vector } from "./vector.js";

/** Changes names with underscores into those of JavaScript. */
function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Changes names of JavaScript into those with underscores. */
function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Returns the settings of a client. */
export function options(vector: Vector): ClientOptions {
  const tries = { maxAttempts: 3, firstPauseMs: 1, longestPauseMs: 5 };
  const { silence_ms: silenceMs = 60_000, credentials } = vector.client ?? {};
  return { retry: tries, reconnect: tries, silenceMs, credentials };
}

/** Returns the arguments of an operation as options with the names of the client. */
export function argumentsOf(call: Json): Json {
  return Object.fromEntries(Object.entries(call).map(([name, value]) => [camel(name), argument(name, value)]));
}

function argument(name: string, value: unknown): unknown {
  switch (name) {
    case "expected":
      return expected(value);
    case "events":
      return (value as Json[]).map(newEvent);
    case "streams":
      return (value as unknown[]).map((part) => (typeof part === "string" ? part : argumentsOf(part as Json)));
    case "query":
      return (value as Json[]).map(argumentsOf);
    case "condition":
    case "settings":
      return argumentsOf(value as Json);
    case "partition_key":
    case "action":
      return camel(value as string);
    default:
      return value;
  }
}

function expected(value: unknown): ExpectedVersion {
  return (typeof value === "string" ? camel(value) : value) as ExpectedVersion;
}

function bytes(base64: unknown): Uint8Array {
  return new Uint8Array(Buffer.from(base64 as string, "base64"));
}

function newEvent(given: Json): NewEvent {
  const { data_base64: data, metadata, ...others } = given;
  const event = argumentsOf(others);
  if (data !== undefined) {
    event["data"] = bytes(data);
  }
  if (metadata !== undefined) {
    const { foreign_base64: foreign, ...entries } = metadata as Json;
    event["metadata"] = { ...argumentsOf(entries), foreign: bytes(foreign) };
  }
  return event as unknown as NewEvent;
}

/** Converts a message of a subscription. */
export function messageItem(message: Message): Json {
  const { kind, ...facts } = message;
  return { [snake(kind)]: "event" in facts ? plainEvent(facts.event) : plain(facts) };
}

/** Converts a stored event. */
export function plainEvent(event: StoredEvent): Json {
  const { data, metadata, ...others } = event;
  const { foreign = new Uint8Array(), ...entries } = metadata;
  const none = {
    actor: null,
    reason: null,
    correlation_id: null,
    causation_id: null,
    tenant: null,
    trace_parent: null,
  };
  return {
    ...(plain(others) as Json),
    data_base64: Buffer.from(data).toString("base64"),
    ...(event.contentType === "application/json" ? { data: event.json() } : {}),
    metadata: {
      ...none,
      ...(plain(entries) as Json),
      extra: metadata.extra,
      foreign_base64: Buffer.from(foreign).toString("base64"),
    },
  };
}

/** Answers a delivery. */
export function answer(delivery: Delivery, given: unknown): void {
  if (given === "ack") {
    assert.ok(delivery.ack());
  } else if (given !== null && given !== undefined) {
    const { action, ...options } = argumentsOf(given as Json);
    assert.ok(delivery.nack(action as Action, options));
  } else {
    return;
  }
  assert.ok(!delivery.ack(), "a second answer is ignored");
}

/** Converts an error. */
export function plainError(error: StoreError): Json {
  const { kind, ...facts } = error.failure;
  return { kind: snake(kind), message: error.message, ...(plain(facts) as Json) };
}

/** Converts a value of the client into the form of the vectors. */
export function plain(value: unknown): unknown {
  if (value instanceof Map) {
    return Object.fromEntries(value);
  }
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  const fields: Json = {};
  for (const [name, part] of Object.entries(value)) {
    if (part instanceof Date) {
      continue;
    }
    if (typeof part === "bigint") {
      fields[snake(name.replace("Micros", ""))] = time(part);
    } else if (["expected", "kind", "reason"].includes(name) && typeof part === "string") {
      fields[name] = snake(part);
    } else if (part !== undefined) {
      fields[snake(name)] = plain(part);
    }
  }
  return fields;
}

function time(micros: bigint): string {
  const fraction = (micros % 1_000n).toString().padStart(3, "0");
  return new Date(Number(micros / 1_000n)).toISOString().replace("Z", `${fraction}Z`);
}
