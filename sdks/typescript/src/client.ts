/** The client. */

import { create, type MessageShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";

import { Calls, finite, type CallOptions } from "./calls.js";
import * as convert from "./convert.js";
import {
  DescribeStreamRequestSchema,
  EventStoreService,
  GetHeadRequestSchema,
  GetServerInfoRequestSchema,
  ListEventTypesRequestSchema,
  ListStreamsRequestSchema,
  ReadAllRequestSchema,
  ReadStreamRequestSchema,
  SubscribeRequestSchema,
} from "./generated/factum/store/v1/store_pb.js";
import type {
  AppendCondition,
  Appended,
  Direction,
  EventTypeSummary,
  ExpectedVersion,
  NewEvent,
  Query,
  ServerInfo,
  StreamAppend,
  StreamDescription,
  StreamSummary,
} from "./model.js";
import { Groups } from "./groups.js";
import { EventReader } from "./reader.js";
import { retrySettings, type Retry, type RetryNotice } from "./retry.js";
import { Subscription } from "./subscription.js";
import { Connection, type Credentials, type Tls } from "./transport.js";

const RPC = EventStoreService.method;

/** The settings of a client. */
export interface ClientOptions {
  /** The credentials, which are sent with every call. */
  readonly credentials?: Credentials | undefined;
  /** The settings of an encrypted connection. */
  readonly tls?: Tls | undefined;
  /**
   * The timeout of a call in milliseconds, with all of its tries; the default is 30,000, and `Infinity` means no limit.
   * Reads and subscriptions have no timeout unless the call sets one.
   */
  readonly timeoutMs?: number | undefined;
  /** The tries of calls and reads, 8 by default. An append is repeated only if this cannot store it twice. */
  readonly retry?: Retry | undefined;
  /** The tries of a subscription between two messages. The default has no limit. */
  readonly reconnect?: Retry | undefined;
  /**
   * The time in milliseconds after which the connection of a subscription without a message is considered lost; the default
   * is 15,000. It must be longer than the heartbeat, which is at most 5,000.
   */
  readonly silenceMs?: number | undefined;
  /** Called before each repetition of a call, for example to log it. */
  readonly onRetry?: ((notice: RetryNotice) => void) | undefined;
}

/** The settings of an append. */
export interface AppendOptions extends CallOptions {
  /** The append condition. */
  readonly condition?: AppendCondition | undefined;
  /** The UUIDs of events that must be stored. */
  readonly requiredEvents?: readonly string[] | undefined;
  /**
   * The caller's id of the append, 1 to 256 bytes. A repeated append with the same key and content returns the first result.
   *
   * By default, each call has a generated key, so that it can be repeated safely after a lost connection. `null` means no
   * key: the append is not repeated if its outcome is unknown.
   */
  readonly idempotencyKey?: string | null | undefined;
}

/** The settings of a read. */
export interface ReadOptions extends CallOptions {
  /** The order of the events; the default is `forward`. */
  readonly direction?: Direction | undefined;
  /** The version or position after which a forward read begins, or before which a backward read begins. */
  readonly cursor?: number | undefined;
  /** The maximum number of events, from 1; the default is no limit. */
  readonly limit?: number | undefined;
}

/** The settings of a read of one stream. */
export interface ReadStreamOptions extends ReadOptions {
  /** True to get a `notFound` failure if the stream has no events. */
  readonly mustExist?: boolean | undefined;
}

/** The settings of a read of the log. */
export interface ReadAllOptions extends ReadOptions {
  /** The events to read; the default is all events. */
  readonly query?: Query | undefined;
  /** The names of streams to read, instead of a query. */
  readonly streams?: readonly string[] | undefined;
}

/** The settings of a subscription. */
export interface SubscribeOptions {
  /** The events to read; the default is all events. */
  readonly query?: Query | undefined;
  /** The position after which the subscription starts; the default is the beginning of the log. */
  readonly after?: number | undefined;
  /** True to start after the head of the log. */
  readonly liveOnly?: boolean | undefined;
  /** The longest time between two messages of the server in milliseconds, 100 to 5,000; the default is 5,000. */
  readonly heartbeatMs?: number | undefined;
  /** The maximum number of events in a message of the server, 1 to 1,000; the default is 1,000. */
  readonly maxBatch?: number | undefined;
  /** A signal that ends the subscription. Its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A client of an event store server.
 *
 * One client serves any number of concurrent calls over one connection, which is established for the first call and
 * restored after a failure.
 */
export class Client {
  readonly #calls: Calls;
  /** The operations of consumer groups. */
  readonly groups: Groups;

  /**
   * Creates a client.
   *
   * @param address - `factum://HOST:PORT`, or `factums://HOST:PORT` with TLS. The port is 50051 if it is missing. `http` and
   *   `https` have the same meaning.
   * @throws TypeError or RangeError if the address or a setting is not valid.
   */
  constructor(address: string, options: ClientOptions = {}) {
    const { timeoutMs = 30_000, silenceMs = 15_000, onRetry } = options;
    if (!(silenceMs > 0)) {
      throw new RangeError(`invalid silenceMs: ${silenceMs}; expected a time in milliseconds above 0`);
    }
    const retry = retrySettings(options.retry, 8, onRetry);
    const reconnect = retrySettings(options.reconnect, Infinity, onRetry);
    const connection = new Connection(address, options.credentials, options.tls);
    this.#calls = new Calls(connection, timeoutMs, retry, reconnect, silenceMs);
    this.groups = new Groups(this.#calls);
  }

  /** Cancels all calls, and closes the connection. */
  close(): void {
    this.#calls.connection.close();
  }

  /**
   * Stores events of one stream together or not at all. Returns after the events are durable.
   *
   * @throws StoreError: `conflict` if the store does not meet the expected version, the condition or the required events;
   *   `interrupted` if it is not known whether the events were stored.
   */
  async append(
    stream: string,
    events: NewEvent | readonly NewEvent[],
    options: AppendOptions & { readonly expected: ExpectedVersion },
  ): Promise<Appended> {
    const several: readonly NewEvent[] = isList(events) ? events : [events];
    return this.appendStreams([{ stream, expected: options.expected, events: several }], options);
  }

  /**
   * Stores events of any number of streams together or not at all. Returns after the events are durable.
   *
   * @param streams - The streams, with their expected versions and events, in the order of their positions.
   * @throws StoreError as {@link append}, and TypeError if two parts of a stream have different expected versions.
   */
  async appendStreams(streams: readonly StreamAppend[], options: AppendOptions = {}): Promise<Appended> {
    const { condition, requiredEvents = [], idempotencyKey } = options;
    const request = convert.appendRequest(streams, condition, requiredEvents, idempotencyKey);
    return convert.appended(await this.#calls.call(RPC.append, request, options, { hasKey: idempotencyKey !== null }));
  }

  /** Reads one stream up to its end at the time of the first answer. */
  readStream(stream: string, options: ReadStreamOptions = {}): EventReader {
    const request = create(ReadStreamRequestSchema, {
      stream,
      direction: convert.directionMessage(options.direction),
      mustExist: options.mustExist ?? false,
    });
    return this.#read(request, options);
  }

  /** Reads the log, the events that match a query, or several streams, up to the head at the first answer. */
  readAll(options: ReadAllOptions = {}): EventReader {
    const { query, streams } = options;
    if (query !== undefined && streams !== undefined) {
      throw new TypeError("a read has a query or streams, not both");
    }
    const request = create(ReadAllRequestSchema, {
      direction: convert.directionMessage(options.direction),
      ...(query === undefined ? {} : { scope: { case: "query", value: convert.queryMessage(query) } }),
      ...(streams === undefined ? {} : { scope: { case: "streams", value: { names: [...streams] } } }),
    });
    return this.#read(request, options);
  }

  /** Reads the stored events, then new ones, without a gap and without a duplicate. */
  subscribe(options: SubscribeOptions = {}): Subscription {
    const { query, after, liveOnly = false, heartbeatMs, maxBatch = 0, signal } = options;
    if (liveOnly && after !== undefined) {
      throw new TypeError("a subscription starts after a position or with new events, not both");
    }
    const request = create(SubscribeRequestSchema, {
      maxBatch,
      ...(query === undefined ? {} : { query: convert.queryMessage(query) }),
      ...(after === undefined ? {} : { start: { case: "after", value: convert.uint64("after", after) } }),
      ...(liveOnly ? { start: { case: "liveOnly", value: {} } } : {}),
      ...(heartbeatMs === undefined ? {} : { heartbeat: durationFromMs(heartbeatMs) }),
    });
    const { connection, reconnect, silenceMs } = this.#calls;
    return new Subscription(connection, request, reconnect, silenceMs, signal);
  }

  /** Returns the position of the last event; 0 if the log is empty. */
  async head(options: CallOptions = {}): Promise<number> {
    const answer = await this.#calls.call(RPC.getHead, create(GetHeadRequestSchema), options);
    return Number(answer.position);
  }

  /**
   * Lists streams in the byte order of their names. Each page is one call.
   *
   * @param options - The category, by default all streams, and the number of streams in a page, 1 to 1,000 (the default).
   */
  async *listStreams(
    options: CallOptions & { readonly category?: string | undefined; readonly pageSize?: number | undefined } = {},
  ): AsyncGenerator<StreamSummary, void, undefined> {
    const { category, pageSize = 0 } = options;
    const request = create(ListStreamsRequestSchema, { pageSize, ...(category === undefined ? {} : { category }) });
    do {
      const page = await this.#calls.call(RPC.listStreams, request, options);
      yield* page.streams.map(convert.summary);
      request.pageToken = page.nextPageToken;
    } while (request.pageToken !== "");
  }

  /**
   * Lists the event types of the log in the byte order of their names. Each page is one call.
   *
   * @param options - The number of event types in a page, 1 to 1,000 (the default).
   */
  async *listEventTypes(
    options: CallOptions & { readonly pageSize?: number | undefined } = {},
  ): AsyncGenerator<EventTypeSummary, void, undefined> {
    const request = create(ListEventTypesRequestSchema, { pageSize: options.pageSize ?? 0 });
    do {
      const page = await this.#calls.call(RPC.listEventTypes, request, options);
      yield* page.eventTypes.map(convert.eventType);
      request.pageToken = page.nextPageToken;
    } while (request.pageToken !== "");
  }

  /**
   * Returns the version of a stream, and the position and time of its last event.
   *
   * @throws StoreError: `notFound` if the stream has no events.
   */
  async describeStream(stream: string, options: CallOptions = {}): Promise<StreamDescription> {
    const request = create(DescribeStreamRequestSchema, { stream });
    return convert.description(await this.#calls.call(RPC.describeStream, request, options));
  }

  /** Returns the version, the backend, the features and the limits of the server. */
  async serverInfo(options: CallOptions = {}): Promise<ServerInfo> {
    return convert.serverInfo(await this.#calls.call(RPC.getServerInfo, create(GetServerInfoRequestSchema), options));
  }

  #read(
    request: MessageShape<typeof ReadStreamRequestSchema> | MessageShape<typeof ReadAllRequestSchema>,
    { cursor, limit, timeoutMs, signal }: ReadOptions,
  ): EventReader {
    if (cursor !== undefined) {
      request.cursor = convert.uint64("cursor", cursor);
    }
    if (limit !== undefined) {
      if (limit < 1) {
        throw new RangeError(`invalid limit: ${limit}; expected at least 1, or none for no limit`);
      }
      request.limit = convert.uint64("limit", limit);
    }
    return new EventReader(this.#calls.connection, request, finite(timeoutMs), this.#calls.retry, signal);
  }
}

function isList(events: NewEvent | readonly NewEvent[]): events is readonly NewEvent[] {
  return Array.isArray(events);
}
