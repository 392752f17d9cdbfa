/** The types of consumer groups. */

import type { Query, StoredEvent } from "./model.js";

/** The key of an event within a group: events with the same key keep their order. */
export type PartitionKey = "stream" | "correlationId" | "tag" | "none";

/**
 * The consequence of an event that was not processed.
 *
 * `retry` delivers it again; after the maximum number of attempts it becomes a dead letter. `deadLetter` makes it one at once.
 * `skip` settles it. `stop` stops the group for all consumers, until it is resumed or reset.
 */
export type Action = "retry" | "deadLetter" | "skip" | "stop";

/** The reason why a group or a consumer has stopped; `unknown` if this client does not know it. */
export type StopReason =
  | "serverStopping"
  | "groupDeleted"
  | "consumerRequest"
  | "beyondHead"
  | "consumerSilent"
  | "consumerSlow"
  | "storeFailed"
  | "consumerLeft"
  | "invalidRequest"
  | "accessRevoked"
  | "unknown";

/** The settings of a group. The server has a default for each one that is missing. */
export interface GroupSettings {
  /** The events of the group; the default is all events. */
  readonly query?: Query | undefined;
  /** The position after which a new group starts; the default is the beginning of the log. */
  readonly after?: number | undefined;
  /** True to start a new group after the head of the log. */
  readonly liveOnly?: boolean | undefined;
  /** The number of partitions, 1 to 256. Each has at most one consumer at a time. */
  readonly partitions?: number | undefined;
  /** The partition key; the default is `stream`. */
  readonly partitionKey?: PartitionKey | undefined;
  /** The key of the tag, for the partition key `tag`. */
  readonly partitionTag?: string | undefined;
  /** The time in milliseconds in which a consumer must answer a delivery, 100 to 3,600,000. */
  readonly ackTimeoutMs?: number | undefined;
  /** The number of failed attempts after which an event becomes a dead letter, 1 to 1,000. */
  readonly maxAttempts?: number | undefined;
  /** The pause before the second attempt in milliseconds, 1 to 3,600,000. Each further pause is twice as long. */
  readonly minBackoffMs?: number | undefined;
  /** The longest pause in milliseconds, at most 86,400,000. */
  readonly maxBackoffMs?: number | undefined;
  /** The maximum number of unanswered deliveries of one consumer, 1 to 1,000. */
  readonly maxInFlight?: number | undefined;
  /** The maximum number of consumers on one server, 1 to 1,000. */
  readonly maxConsumers?: number | undefined;
}

/** A consumer that is connected. */
export interface GroupConsumer {
  /** The name that it chose. */
  readonly name: string;
  /** Its partitions. */
  readonly partitions: readonly number[];
  /** The number of unanswered deliveries. */
  readonly inFlight: number;
}

/** The reason why a group is stopped. */
export interface GroupStop {
  /** The reason. */
  readonly reason: StopReason;
  /** The reason, for people. */
  readonly message: string;
  /** The position of the group when it stopped. */
  readonly position: number;
}

/** The progress of a group. */
export interface GroupProgress {
  /** The position up to which every event was settled in every partition. */
  readonly position: number;
  /** The head of the log. */
  readonly head: number;
  /** The number of positions from `position` to `head`. */
  readonly lag: number;
  /** The number of dead letters. */
  readonly deadLetters: number;
}

/** A group with its progress. */
export interface Group extends GroupProgress {
  /** The name. */
  readonly name: string;
  /** The number of changes of the group, and of stops. */
  readonly generation: number;
  /** The consumers that are connected to the server that answers. */
  readonly consumers: readonly GroupConsumer[];
  /** The reason of a stop, or `null` if the group runs. */
  readonly stopped: GroupStop | null;
}

/** An event that failed permanently. */
export interface DeadLetter {
  /** The event, or `null` if the log does not have it any more. */
  readonly event: StoredEvent | null;
  /** The position of the event. */
  readonly position: number;
  /** The partition. */
  readonly partition: number;
  /** The number of failed attempts. */
  readonly attempts: number;
  /** The reason of the last failure. */
  readonly reason: string;
  /** The time of the last failure, in milliseconds. */
  readonly failedAt: Date;
  /** The same time in microseconds since 1970. */
  readonly failedAtMicros: bigint;
}

/** The settings of an event that was not processed. */
export interface NackOptions {
  /** The pause before the next attempt in milliseconds, at most 86,400,000; the default is that of the group. */
  readonly retryAfterMs?: number | undefined;
  /** The reason, for people. */
  readonly reason?: string | undefined;
}

/** An event for a consumer, which must answer with `ack` or `nack`. */
export interface Delivery {
  /** The event. */
  readonly event: StoredEvent;
  /** The number of failed attempts, and 1. */
  readonly attempt: number;
  /** The partition. */
  readonly partition: number;
  /**
   * Reports that the event was processed.
   *
   * Returns false if the answer was not sent: the event has an answer, or the connection was lost and the event is delivered
   * again.
   */
  ack(): boolean;
  /** Reports that the event was not processed; the default action is `retry`. Returns the same as `ack`. */
  nack(action?: Action, options?: NackOptions): boolean;
}
