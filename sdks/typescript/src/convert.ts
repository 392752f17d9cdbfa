/** The conversion between messages of the protocol and the types of callers. */

import { randomUUID } from "node:crypto";

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";

import { protocolError, toNumber } from "./errors.js";
import {
  AppendRequestSchema,
  type AppendConditionSchema,
  Direction as DirectionMessage,
  type AppendRequest,
  type AppendResponse,
  type DescribeStreamResponse,
  type Event as EventMessage,
  type EventTypeSummary as EventTypeSummaryMessage,
  type ExpectedVersionSchema,
  type GetServerInfoResponse,
  type Metadata as MetadataMessage,
  type MetadataSchema,
  type NewEventSchema,
  type QuerySchema,
  type StreamSummary as StreamSummaryMessage,
} from "./generated/factum/store/v1/store_pb.js";
import type {
  AppendCondition,
  Appended,
  Direction,
  EventTypeSummary,
  ExpectedVersion,
  JsonValue,
  Metadata,
  NewEvent,
  Query,
  QueryItem,
  ServerInfo,
  StoredEvent,
  StoredEventFields,
  StreamAppend,
  StreamDescription,
  StreamSummary,
} from "./model.js";

const JSON_TYPE = "application/json";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Creates the request of an append. Without a key, one is generated; `null` means none. */
export function appendRequest(
  streams: readonly StreamAppend[],
  condition: AppendCondition | undefined,
  requiredEvents: readonly string[],
  idempotencyKey: string | null | undefined,
): AppendRequest {
  return create(AppendRequestSchema, {
    ...partsMessage(streams),
    requiredEvents: [...requiredEvents],
    ...(idempotencyKey === null ? {} : { idempotencyKey: { key: idempotencyKey ?? randomUUID() } }),
    ...(condition === undefined ? {} : { condition: conditionMessage(condition) }),
  });
}

function conditionMessage({ query, after }: AppendCondition): MessageInitShape<typeof AppendConditionSchema> {
  return { query: queryMessage(query), after: uint64("after", after) };
}

/** Returns the fields that have a value. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function expectedMessage(expected: ExpectedVersion): MessageInitShape<typeof ExpectedVersionSchema> {
  switch (expected) {
    case "any":
    case "noStream":
    case "streamExists":
      return { kind: { case: expected, value: {} } };
    default:
      return { kind: { case: "exact", value: uint64("expected", expected) } };
  }
}

/** Converts the parts of an append, which may be several for one stream. */
function partsMessage(parts: readonly StreamAppend[]) {
  const expectations = new Map<string, ExpectedVersion>();
  for (const { stream, expected } of parts) {
    if ((expectations.get(stream) ?? expected) !== expected) {
      throw new TypeError(`two expected versions of the stream "${stream}"; give all of its parts the same one`);
    }
    expectations.set(stream, expected);
  }
  const places = new Map([...expectations.keys()].map((stream, place) => [stream, place]));
  return {
    streams: [...expectations].map(([stream, expected]) => ({ stream, expected: expectedMessage(expected) })),
    events: parts.flatMap(({ stream, events }) => events.map((event) => newEvent(event, places.get(stream) ?? 0))),
  };
}

/** Converts a number, which must be an integer from 0. */
export function uint64(name: string, value: number): bigint {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`invalid ${name}: ${String(value)}; expected an integer from 0`);
  }
  return BigInt(value);
}

function encode(value: JsonValue): Uint8Array {
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) {
    throw new TypeError("the data of an event is not a JSON value; use null for no data");
  }
  return encoder.encode(text);
}

function newEvent(event: NewEvent, stream: number): MessageInitShape<typeof NewEventSchema> {
  const { data, contentType } = event;
  const isBytes = data instanceof Uint8Array;
  if (!isBytes && contentType !== undefined && contentType !== JSON_TYPE) {
    throw new TypeError(`data of the content type "${contentType}" must be bytes`);
  }
  return {
    id: event.id ?? "",
    eventType: event.eventType,
    // The version 1 is the default of the protocol.
    schemaVersion: event.schemaVersion === 1 ? 0 : (event.schemaVersion ?? 0),
    contentType: contentType ?? (isBytes ? "application/octet-stream" : ""),
    data: isBytes ? data : encode(data),
    tags: [...(event.tags ?? [])],
    ...(event.metadata === undefined ? {} : { metadata: metadataMessage(event.metadata) }),
    stream,
  };
}

function metadataMessage(metadata: Metadata): MessageInitShape<typeof MetadataSchema> {
  const { extra, foreign, ...texts } = metadata;
  const hasExtra = extra !== undefined && Object.keys(extra).length > 0;
  return {
    ...defined(texts),
    extra: hasExtra ? encode(extra) : new Uint8Array(),
    foreign: foreign ?? new Uint8Array(),
  };
}

/** Converts a query. */
export function queryMessage(query: Query): MessageInitShape<typeof QuerySchema> {
  const items = isList(query) ? query : [query];
  return {
    items: items.map(({ category, streamPrefix, eventTypes = [], tags = [] }) => ({
      ...defined({ category, streamPrefix }),
      eventTypes: [...eventTypes],
      tags: [...tags],
    })),
  };
}

function isList(query: Query): query is readonly QueryItem[] {
  return Array.isArray(query);
}

/** Converts the direction of a read. */
export function directionMessage(direction: Direction | undefined): DirectionMessage {
  return direction === "backward" ? DirectionMessage.BACKWARD : DirectionMessage.FORWARD;
}

/** Converts the result of an append. */
export function appended(message: AppendResponse): Appended {
  const versions = message.streams.map(({ stream, version }) => [stream, toNumber("version", version)] as const);
  const recorded = time("recorded_at", message.recordedAt);
  return {
    position: toNumber("position", message.position),
    count: toNumber("count", message.count),
    versions: new Map(versions),
    recordedAt: recorded.date,
    recordedAtMicros: recorded.micros,
    repeated: message.repeated,
  };
}

class Recorded implements StoredEvent {
  declare readonly position: number;
  declare readonly stream: string;
  declare readonly version: number;
  declare readonly id: string;
  declare readonly eventType: string;
  declare readonly schemaVersion: number;
  declare readonly contentType: string;
  declare readonly data: Uint8Array;
  declare readonly tags: readonly string[];
  declare readonly metadata: StoredEvent["metadata"];
  declare readonly recordedAt: Date;
  declare readonly recordedAtMicros: bigint;

  constructor(fields: StoredEventFields) {
    Object.assign(this, fields);
  }

  json<T = JsonValue>(): T {
    return JSON.parse(decoder.decode(this.data)) as T;
  }
}

/** Converts a stored event. */
export function storedEvent(message: EventMessage): StoredEvent {
  const recorded = time("recorded_at", message.recordedAt);
  return new Recorded({
    position: toNumber("position", message.position),
    stream: message.stream,
    version: toNumber("version", message.version),
    id: uuid("id", message.id),
    eventType: message.eventType,
    schemaVersion: message.schemaVersion,
    contentType: message.contentType || JSON_TYPE,
    data: message.data,
    tags: message.tags,
    metadata: metadata(message.metadata),
    recordedAt: recorded.date,
    recordedAtMicros: recorded.micros,
  });
}

function metadata(message: MetadataMessage | undefined): StoredEvent["metadata"] {
  if (message === undefined) {
    return { extra: {} };
  }
  const { actor, reason, correlationId, causationId, tenant, traceParent, foreign } = message;
  return {
    actor,
    reason,
    correlationId: correlationId === undefined ? undefined : uuid("correlation_id", correlationId),
    causationId: causationId === undefined ? undefined : uuid("causation_id", causationId),
    tenant,
    traceParent,
    extra: extra(message.extra),
    ...(foreign.length > 0 ? { foreign } : {}),
  };
}

function extra(encoded: Uint8Array): Record<string, JsonValue> {
  if (encoded.length === 0) {
    return {};
  }
  let value: JsonValue;
  try {
    value = JSON.parse(decoder.decode(encoded));
  } catch (error) {
    throw protocolError(`invalid metadata.extra from the server: ${String(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw protocolError("invalid metadata.extra from the server; expected a JSON object");
  }
  return value as Record<string, JsonValue>;
}

function uuid(field: string, text: string): string {
  if (!UUID.test(text)) {
    throw protocolError(`invalid ${field} from the server: "${text}"; expected a UUID`);
  }
  return text;
}

/** Converts a time, which is required. */
export function time(field: string, message: Timestamp | undefined): { date: Date; micros: bigint } {
  if (message === undefined) {
    throw protocolError(`missing ${field} from the server`);
  }
  const micros = message.seconds * 1_000_000n + BigInt(Math.floor(message.nanos / 1_000));
  return { date: new Date(Number(message.seconds) * 1_000 + Math.floor(message.nanos / 1_000_000)), micros };
}

/** Converts a stream of a list. */
export function summary(message: StreamSummaryMessage): StreamSummary {
  return {
    stream: message.stream,
    version: toNumber("version", message.version),
    position: toNumber("position", message.position),
  };
}

/** Converts an event type of a list. */
export function eventType(message: EventTypeSummaryMessage): EventTypeSummary {
  return { eventType: message.eventType, position: toNumber("position", message.position) };
}

/** Converts the description of a stream. */
export function description(message: DescribeStreamResponse): StreamDescription {
  if (message.stream === undefined) {
    throw protocolError("missing stream from the server");
  }
  const changed = time("changed_at", message.changedAt);
  return { ...summary(message.stream), changedAt: changed.date, changedAtMicros: changed.micros };
}

/** Converts the description of a server. */
export function serverInfo(message: GetServerInfoResponse): ServerInfo {
  return {
    version: message.version,
    backend: message.backend,
    features: message.features,
    maxAppendEvents: toNumber("max_append_events", message.maxAppendEvents),
    maxMessageBytes: toNumber("max_message_bytes", message.maxMessageBytes),
  };
}
