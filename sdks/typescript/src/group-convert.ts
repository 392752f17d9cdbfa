/** The conversion of messages about consumer groups. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";

import { queryMessage, storedEvent, time, uint64 } from "./convert.js";
import { protocolError, toNumber } from "./errors.js";
import {
  ConsumeRequest_Action as ActionMessage,
  ConsumeRequestSchema,
  PartitionKey as PartitionKeyMessage,
  StopReason as StopReasonMessage,
  type ConsumeRequest,
  type ConsumeResponse_Delivery,
  type Group as GroupMessage,
  type GroupCheckpoint,
  type GroupDeadLetter,
  type GroupSettingsSchema,
  type Stopped,
} from "./generated/factum/store/v1/groups_pb.js";
import type {
  Action,
  DeadLetter,
  Delivery,
  Group,
  GroupProgress,
  GroupSettings,
  GroupStop,
  NackOptions,
  PartitionKey,
  StopReason,
} from "./group-model.js";

const PARTITION_KEYS: Readonly<Record<PartitionKey, PartitionKeyMessage>> = {
  stream: PartitionKeyMessage.STREAM,
  correlationId: PartitionKeyMessage.CORRELATION_ID,
  tag: PartitionKeyMessage.TAG,
  none: PartitionKeyMessage.NONE,
};

const ACTIONS: Readonly<Record<Action, ActionMessage>> = {
  retry: ActionMessage.RETRY,
  deadLetter: ActionMessage.DEAD_LETTER,
  skip: ActionMessage.SKIP,
  stop: ActionMessage.STOP,
};

const STOP_REASONS: Readonly<Record<StopReasonMessage, StopReason>> = {
  [StopReasonMessage.UNSPECIFIED]: "unknown",
  [StopReasonMessage.SERVER_STOPPING]: "serverStopping",
  [StopReasonMessage.GROUP_DELETED]: "groupDeleted",
  [StopReasonMessage.CONSUMER_REQUEST]: "consumerRequest",
  [StopReasonMessage.BEYOND_HEAD]: "beyondHead",
  [StopReasonMessage.CONSUMER_SILENT]: "consumerSilent",
  [StopReasonMessage.CONSUMER_SLOW]: "consumerSlow",
  [StopReasonMessage.STORE_FAILED]: "storeFailed",
  [StopReasonMessage.CONSUMER_LEFT]: "consumerLeft",
  [StopReasonMessage.INVALID_REQUEST]: "invalidRequest",
  [StopReasonMessage.ACCESS_REVOKED]: "accessRevoked",
};

/** The reasons of a stop after which a consumer joins again. */
export const TEMPORARY: ReadonlySet<StopReason> = new Set<StopReason>([
  "serverStopping",
  "storeFailed",
  "consumerSilent",
  "consumerSlow",
]);

/** Converts the settings of a group. */
export function settingsMessage(settings: GroupSettings): MessageInitShape<typeof GroupSettingsSchema> {
  const { query, after, liveOnly = false, partitionKey, ackTimeoutMs, minBackoffMs, maxBackoffMs } = settings;
  if (liveOnly && after !== undefined) {
    throw new TypeError("a group starts after a position or with new events, not both");
  }
  return {
    partitions: settings.partitions ?? 0,
    partitionTag: settings.partitionTag ?? "",
    maxAttempts: settings.maxAttempts ?? 0,
    maxInFlight: settings.maxInFlight ?? 0,
    maxConsumers: settings.maxConsumers ?? 0,
    ...(partitionKey === undefined ? {} : { partitionKey: PARTITION_KEYS[partitionKey] }),
    ...(query === undefined ? {} : { query: queryMessage(query) }),
    ...(after === undefined ? {} : { start: { case: "after", value: uint64("after", after) } }),
    ...(liveOnly ? { start: { case: "liveOnly", value: {} } } : {}),
    ...(ackTimeoutMs === undefined ? {} : { ackTimeout: durationFromMs(ackTimeoutMs) }),
    ...(minBackoffMs === undefined ? {} : { minBackoff: durationFromMs(minBackoffMs) }),
    ...(maxBackoffMs === undefined ? {} : { maxBackoff: durationFromMs(maxBackoffMs) }),
  };
}

/** Converts a group, which is required in an answer. */
export function group(message: GroupMessage | undefined): Group {
  if (message === undefined) {
    throw protocolError("missing group from the server");
  }
  return {
    name: message.name,
    generation: toNumber("generation", message.generation),
    ...progress(message),
    consumers: message.consumers.map(({ name, partitions, inFlight }) => ({ name, partitions, inFlight })),
    stopped: message.stopped === undefined ? null : stop(message.stopped),
  };
}

/** Converts the reason of a stop. */
export function stop(message: Stopped): GroupStop {
  // A newer server may have more reasons.
  const reason: StopReason = STOP_REASONS[message.reason] ?? "unknown";
  return { reason, message: message.message, position: toNumber("position", message.position) };
}

/** Converts the progress of a group. */
export function progress(message: GroupCheckpoint | GroupMessage): GroupProgress {
  return {
    position: toNumber("position", message.position),
    head: toNumber("head", message.head),
    lag: toNumber("lag", message.lag),
    deadLetters: toNumber("dead_letters", message.deadLetters),
  };
}

/** Converts a dead letter. */
export function deadLetter(message: GroupDeadLetter): DeadLetter {
  const failed = time("failed_at", message.failedAt);
  return {
    event: message.event === undefined ? null : storedEvent(message.event),
    position: toNumber("position", message.position),
    partition: message.partition,
    attempts: message.attempts,
    reason: message.reason,
    failedAt: failed.date,
    failedAtMicros: failed.micros,
  };
}

/** Converts a delivery, whose answers go to `send`. */
export function delivery(message: ConsumeResponse_Delivery, send: (request: ConsumeRequest) => boolean): Delivery {
  if (message.event === undefined) {
    throw protocolError("missing event in a delivery from the server");
  }
  const { partition, fence } = message;
  const position = message.event.position;
  let isAnswered = false;
  function answer(request: MessageInitShape<typeof ConsumeRequestSchema>): boolean {
    if (isAnswered) {
      return false;
    }
    isAnswered = true;
    const credit = create(ConsumeRequestSchema, { message: { case: "credit", value: { events: 1 } } });
    return send(create(ConsumeRequestSchema, request)) && send(credit);
  }
  return {
    event: storedEvent(message.event),
    attempt: message.attempt,
    partition,
    ack: () => answer({ message: { case: "ack", value: { partition, fence, positions: [position] } } }),
    nack(action: Action = "retry", { retryAfterMs, reason = "" }: NackOptions = {}): boolean {
      const retryAfter = retryAfterMs === undefined ? {} : { retryAfter: durationFromMs(retryAfterMs) };
      const value = { partition, fence, position, action: ACTIONS[action], reason, ...retryAfter };
      return answer({ message: { case: "nack", value } });
    },
  };
}
