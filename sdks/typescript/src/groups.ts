/** The operations of consumer groups. */

import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";

import type { CallOptions, Calls } from "./calls.js";
import { Consumer } from "./consumer.js";
import { uint64 } from "./convert.js";
import {
  ConsumeRequestSchema,
  ConsumerGroupService,
  CreateGroupRequestSchema,
  DeleteGroupRequestSchema,
  DescribeGroupRequestSchema,
  DiscardDeadLettersRequestSchema,
  ListDeadLettersRequestSchema,
  ListGroupsRequestSchema,
  ResetGroupRequestSchema,
  ResumeGroupRequestSchema,
  RetryDeadLettersRequestSchema,
  UpdateGroupRequestSchema,
} from "./generated/factum/store/v1/groups_pb.js";
import * as convert from "./group-convert.js";
import type { DeadLetter, Group, GroupSettings } from "./group-model.js";

const RPC = ConsumerGroupService.method;

/** The default of the server in milliseconds. */
const SESSION_TIMEOUT_MS = 15_000;

/** A change that is not repeated if it may have been made. */
const WRITE = { hasKey: false };

/** The settings of a consumer. */
export interface ConsumeOptions {
  /** A name of this consumer for people, at most 200 bytes. */
  readonly consumer?: string | undefined;
  /** The number of events that the server sends before one of them is answered, from 1; the default is 10. */
  readonly credit?: number | undefined;
  /**
   * The time in milliseconds after which the server considers a silent consumer dead, 1,000 to 60,000; the default is 15,000.
   * The client sends heartbeats.
   */
  readonly sessionTimeoutMs?: number | undefined;
  /** The longest time between two messages of the server in milliseconds, 100 to 5,000; the default is 5,000. */
  readonly heartbeatMs?: number | undefined;
  /** A signal that ends the consumer. Its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** The settings of a list. */
export interface PageOptions extends CallOptions {
  /** The number of elements in a page, 1 to 100; the default is 100. */
  readonly pageSize?: number | undefined;
}

/**
 * The operations of consumer groups. A client has it as `groups`.
 *
 * The server keeps the position of a group. Its consumers share the events: those with the same partition key are delivered in
 * their order, one after the other.
 */
export class Groups {
  readonly #calls: Calls;

  /** Called by the client. */
  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Joins a group, and returns its deliveries. */
  consume(group: string, options: ConsumeOptions = {}): Consumer {
    const { consumer = "", credit = 10, sessionTimeoutMs, heartbeatMs, signal } = options;
    if (!(credit >= 1)) {
      throw new RangeError(`invalid credit: ${credit}; expected at least 1`);
    }
    const value = {
      group,
      consumer,
      credit,
      ...(sessionTimeoutMs === undefined ? {} : { sessionTimeout: durationFromMs(sessionTimeoutMs) }),
      ...(heartbeatMs === undefined ? {} : { heartbeat: durationFromMs(heartbeatMs) }),
    };
    const start = create(ConsumeRequestSchema, { message: { case: "start", value } });
    const intervalMs = (sessionTimeoutMs ?? SESSION_TIMEOUT_MS) / 3;
    const { connection, reconnect, silenceMs } = this.#calls;
    return new Consumer(connection, start, intervalMs, reconnect, silenceMs, signal);
  }

  /**
   * Creates a group.
   *
   * @param name - The name: 1 to 200 bytes without control characters.
   * @param settings - The settings; the default is a group of all events.
   * @throws StoreError: `groupExists` if there is a group of this name.
   */
  async create(name: string, settings: GroupSettings = {}, options: CallOptions = {}): Promise<Group> {
    const request = create(CreateGroupRequestSchema, { name, settings: convert.settingsMessage(settings) });
    return convert.group((await this.#calls.call(RPC.createGroup, request, options, WRITE)).group);
  }

  /**
   * Replaces the settings of a group. The number of partitions and the partition key cannot change.
   *
   * @throws StoreError: `groupChanged` if the group does not have the generation `ifGeneration`.
   */
  async update(
    name: string,
    settings: GroupSettings,
    options: CallOptions & { readonly ifGeneration?: number | undefined } = {},
  ): Promise<Group> {
    const request = create(UpdateGroupRequestSchema, { name, settings: convert.settingsMessage(settings) });
    if (options.ifGeneration !== undefined) {
      request.ifGeneration = uint64("ifGeneration", options.ifGeneration);
    }
    return convert.group((await this.#calls.call(RPC.updateGroup, request, options, WRITE)).group);
  }

  /** Deletes a group with its positions and dead letters. Its consumers are stopped. */
  async delete(name: string, options: CallOptions = {}): Promise<void> {
    await this.#calls.call(RPC.deleteGroup, create(DeleteGroupRequestSchema, { name }), options, WRITE);
  }

  /**
   * Returns a group with its progress and its consumers.
   *
   * @throws StoreError: `notFound` if there is no group of this name.
   */
  async describe(name: string, options: CallOptions = {}): Promise<Group> {
    const request = create(DescribeGroupRequestSchema, { name });
    return convert.group((await this.#calls.call(RPC.describeGroup, request, options)).group);
  }

  /** Lists groups in the byte order of their names. Each page is one call. */
  async *list(options: PageOptions = {}): AsyncGenerator<Group, void, undefined> {
    const request = create(ListGroupsRequestSchema, { pageSize: options.pageSize ?? 0 });
    do {
      const page = await this.#calls.call(RPC.listGroups, request, options);
      yield* page.groups.map(convert.group);
      request.pageToken = page.nextPageToken;
    } while (request.pageToken !== "");
  }

  /**
   * Moves a group to a position, and lets it run if it was stopped. All later events are delivered again.
   *
   * @param after - The position after which the group continues; at most the head of the log.
   */
  async reset(name: string, after: number, options: CallOptions = {}): Promise<Group> {
    const request = create(ResetGroupRequestSchema, { name, after: uint64("after", after) });
    return convert.group((await this.#calls.call(RPC.resetGroup, request, options, WRITE)).group);
  }

  /** Lets a stopped group run again, at the position where it stopped. */
  async resume(name: string, options: CallOptions = {}): Promise<Group> {
    const request = create(ResumeGroupRequestSchema, { name });
    return convert.group((await this.#calls.call(RPC.resumeGroup, request, options, WRITE)).group);
  }

  /** Lists the dead letters of a group in the order of their positions. Each page is one call. */
  async *listDeadLetters(group: string, options: PageOptions = {}): AsyncGenerator<DeadLetter, void, undefined> {
    const request = create(ListDeadLettersRequestSchema, { group, pageSize: options.pageSize ?? 0 });
    do {
      const page = await this.#calls.call(RPC.listDeadLetters, request, options);
      yield* page.deadLetters.map(convert.deadLetter);
      request.pageToken = page.nextPageToken;
    } while (request.pageToken !== "");
  }

  /**
   * Removes dead letters, delivers their events again, and returns their number.
   *
   * @param positions - The positions of the events, at most 1,000; empty for all dead letters, at most 1,000 of them.
   */
  async retryDeadLetters(group: string, positions: readonly number[] = [], options: CallOptions = {}): Promise<number> {
    const list = positions.map((position) => uint64("position", position));
    const request = create(RetryDeadLettersRequestSchema, { group, positions: list });
    return Number((await this.#calls.call(RPC.retryDeadLetters, request, options, WRITE)).retried);
  }

  /**
   * Removes dead letters for good, and returns their number.
   *
   * @param positions - As for {@link retryDeadLetters}.
   */
  async discardDeadLetters(
    group: string,
    positions: readonly number[] = [],
    options: CallOptions = {},
  ): Promise<number> {
    const list = positions.map((position) => uint64("position", position));
    const request = create(DiscardDeadLettersRequestSchema, { group, positions: list });
    return Number((await this.#calls.call(RPC.discardDeadLetters, request, options, WRITE)).discarded);
  }
}
