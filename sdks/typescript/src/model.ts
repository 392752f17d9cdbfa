/** The types that callers pass and receive. Positions and versions are numbers up to `Number.MAX_SAFE_INTEGER`. */

/** A value that `JSON.stringify` encodes. */
export type JsonValue = unknown;

/** The order of a read: the oldest or the newest event is first. */
export type Direction = "forward" | "backward";

/** The version that a stream must have before an append. A number is exact, and 0 means a stream without events. */
export type ExpectedVersion = number | "any" | "noStream" | "streamExists";

/** The actor, the reason and the correlation of an event. */
export interface Metadata {
  /** The sender of the command. */
  readonly actor?: string | undefined;
  /** The reason, in the actor's words. */
  readonly reason?: string | undefined;
  /** The UUID that everything shares that follows from one request. */
  readonly correlationId?: string | undefined;
  /** The UUID of the event or message that caused this one. */
  readonly causationId?: string | undefined;
  /** The tenant of the application. */
  readonly tenant?: string | undefined;
  /** The W3C trace context. */
  readonly traceParent?: string | undefined;
  /** Further entries. */
  readonly extra?: Readonly<Record<string, JsonValue>> | undefined;
  /** The metadata that a client of another protocol has sent, byte for byte. */
  readonly foreign?: Uint8Array | undefined;
}

/** An event that is not stored yet. */
export interface NewEvent {
  /** The event type, for example `account.opened`. */
  readonly eventType: string;
  /** A JSON value, or bytes that are sent unchanged. */
  readonly data: JsonValue | Uint8Array;
  /** The media type; the default is `application/json`, and `application/octet-stream` for bytes. */
  readonly contentType?: string | undefined;
  /** The UUID of the event; without one, the server creates it. */
  readonly id?: string | undefined;
  /** The version of the event schema, from 1; the default is 1. */
  readonly schemaVersion?: number | undefined;
  /** The tags, by which queries find the event. */
  readonly tags?: readonly string[] | undefined;
  /** The metadata. */
  readonly metadata?: Metadata | undefined;
}

/** The fields of a stored event. */
export interface StoredEventFields {
  /** The position in the log, from 1, without gaps. */
  readonly position: number;
  /** The name of the stream. */
  readonly stream: string;
  /** The number of the event in its stream, from 1, without gaps. */
  readonly version: number;
  /** The UUID of the event. */
  readonly id: string;
  /** The event type. */
  readonly eventType: string;
  /** The version of the event schema, from 1. */
  readonly schemaVersion: number;
  /** The media type of the data. */
  readonly contentType: string;
  /** The data. {@link StoredEvent.json} decodes it. */
  readonly data: Uint8Array;
  /** The tags. */
  readonly tags: readonly string[];
  /** The metadata. */
  readonly metadata: Metadata & { readonly extra: Readonly<Record<string, JsonValue>> };
  /** The time at which the event was stored, in milliseconds. */
  readonly recordedAt: Date;
  /** The same time in microseconds since 1970. */
  readonly recordedAtMicros: bigint;
}

/** A stored event. */
export interface StoredEvent extends StoredEventFields {
  /**
   * Decodes the data as JSON.
   *
   * @throws SyntaxError if the data is not JSON.
   */
  json<T = JsonValue>(): T;
}

/** One alternative of a query. An event matches if it meets every criterion that is set. */
export interface QueryItem {
  /** The text of the stream's name before the first `-`, or the complete name. */
  readonly category?: string | undefined;
  /** The beginning of the stream's name. */
  readonly streamPrefix?: string | undefined;
  /** The event types, one of which the event must have. */
  readonly eventTypes?: readonly string[] | undefined;
  /** The tags that the event must have, all of them. */
  readonly tags?: readonly string[] | undefined;
}

/** A filter for events: an event matches if it matches one of the items. An empty list matches every event. */
export type Query = QueryItem | readonly QueryItem[];

/** A condition of an append: no event after a position matches a query. */
export interface AppendCondition {
  /** The query that no newer event may match. */
  readonly query: Query;
  /** The position up to which the caller has read, usually the `head` of a read. */
  readonly after: number;
}

/**
 * The events for one stream of an append.
 *
 * Events of several streams may be mixed: a stream may have several parts, which have the same expected version.
 */
export interface StreamAppend {
  /** The name of the stream: 1 to 512 bytes without control characters. */
  readonly stream: string;
  /** The expected version. */
  readonly expected: ExpectedVersion;
  /** The events; without events, only the version is checked. */
  readonly events: readonly NewEvent[];
}

/** The result of an append. */
export interface Appended {
  /** The position of the last event; the head of the log if the append has no events. */
  readonly position: number;
  /** The number of events. They have the positions up to `position`, without a gap. */
  readonly count: number;
  /** The new versions of the streams that received events. */
  readonly versions: ReadonlyMap<string, number>;
  /** The time at which the events were stored, in milliseconds. */
  readonly recordedAt: Date;
  /** The same time in microseconds since 1970. */
  readonly recordedAtMicros: bigint;
  /** True if this is the first result of the idempotency key; nothing was stored this time. */
  readonly repeated: boolean;
}

/** A message of a subscription. */
export type Message =
  /** An event. */
  | { readonly kind: "event"; readonly position: number; readonly event: StoredEvent }
  /** All stored events were delivered; new ones follow as they are stored. */
  | { readonly kind: "caughtUp"; readonly position: number }
  /** The reader is too slow for the new events; stored ones follow again. No event is missing. */
  | { readonly kind: "fellBehind"; readonly position: number; readonly head: number }
  /** The log was examined up to the position, and no further event matches. */
  | { readonly kind: "checkpoint"; readonly position: number };

/** A stream of a list. */
export interface StreamSummary {
  /** The name of the stream. */
  readonly stream: string;
  /** The number of events. */
  readonly version: number;
  /** The position of the last event. */
  readonly position: number;
}

/** An event type of a list. */
export interface EventTypeSummary {
  /** The event type. */
  readonly eventType: string;
  /** The position of its last event. */
  readonly position: number;
}

/** A stream and the time of its last event. */
export interface StreamDescription extends StreamSummary {
  /** The time of the last event, in milliseconds. */
  readonly changedAt: Date;
  /** The same time in microseconds since 1970. */
  readonly changedAtMicros: bigint;
}

/** The version, the backend, the features and the limits of a server. */
export interface ServerInfo {
  /** The version of the server. */
  readonly version: string;
  /** The backend: `memory`, `sqlite` or `postgres`. */
  readonly backend: string;
  /** The optional operations that the server has, for example `import`. */
  readonly features: readonly string[];
  /** The maximum number of events in one append. */
  readonly maxAppendEvents: number;
  /** The maximum size of a request message in bytes. */
  readonly maxMessageBytes: number;
}
