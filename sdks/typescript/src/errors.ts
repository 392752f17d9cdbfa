/** The errors of calls, and their conversion from a gRPC status. */

import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";

import {
  RefusalSchema,
  type ExpectedVersion as ExpectedVersionMessage,
  type Refusal,
  type Violation as ViolationMessage,
} from "./generated/factum/store/v1/store_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./generated/google/rpc/error_details_pb.js";
import type { StopReason } from "./group-model.js";
import type { ExpectedVersion } from "./model.js";

const DOMAIN = "factum.store";

/** A violated expectation of an append. */
export type Violation =
  /** A stream does not have the expected version. */
  | {
      readonly kind: "version";
      readonly stream: string;
      /** `unknown` if this client does not know the kind of the expected version. */
      readonly expected: ExpectedVersion | "unknown";
      readonly actual: number;
    }
  /** An event after the position of the append condition matches its query; the newest one has the position `found`. */
  | { readonly kind: "condition"; readonly found: number }
  /** A document of the server does not have the expected revision; 0 means that it does not exist. */
  | { readonly kind: "document"; readonly key: string; readonly expected: number; readonly actual: number }
  /** The database rolled the append back because of a concurrent transaction. */
  | { readonly kind: "transaction"; readonly message: string }
  /** A required event is not stored. */
  | { readonly kind: "missingEvent"; readonly id: string }
  /** A violation of a kind that this client does not know. */
  | { readonly kind: "unknown" };

/** A field of a request that violates a rule. */
export interface InvalidField {
  /** The path of the field, for example `streams[0].expected`. */
  readonly field: string;
  /** The violated rule. */
  readonly rule: string;
}

/** The reason why a call failed, with its facts. */
export type Failure =
  /** The store does not meet the expectations of an append. `omitted` is the number of further violations. */
  | { readonly kind: "conflict"; readonly violations: readonly Violation[]; readonly omitted: number }
  /** The idempotency key was used for other content. */
  | { readonly kind: "keyReused"; readonly key: string }
  /** An event with the same id is stored already, at this position. */
  | { readonly kind: "eventIdReused"; readonly id: string; readonly position: number }
  /** A reader continues after a position that the log does not have, for example after a backup was restored. */
  | { readonly kind: "beyondHead"; readonly position: number; readonly head: number }
  /** The server rejected the request. */
  | { readonly kind: "invalidArgument"; readonly fields: readonly InvalidField[] }
  /** The caller does not have a permission. */
  | {
      readonly kind: "permissionDenied";
      readonly principal: string;
      readonly permission: string;
      readonly resource: string;
    }
  /** The consumer group is at another generation. */
  | { readonly kind: "groupChanged"; readonly expected: number; readonly actual: number }
  /** The consumer group delivers no further events to this consumer. */
  | { readonly kind: "groupStopped"; readonly reason: StopReason; readonly position: number }
  | { readonly kind: PlainKind };

/** The kinds of failures without facts. */
export type PlainKind =
  /** The stream has no events, or there is no consumer group of this name. */
  | "notFound"
  /** A consumer group of this name exists. */
  | "groupExists"
  /** An inline projection of the server rejected the append. */
  | "projectionRejected"
  /** The store of the server accepts no changes. */
  | "readOnly"
  /** The server does not have the operation. */
  | "unsupported"
  /** The data of the server is damaged. */
  | "corrupt"
  /** The credentials are missing or not valid. */
  | "unauthenticated"
  /** A limit of the server was reached. Nothing was stored. */
  | "resourceExhausted"
  /** The timeout of the call has passed. It is not known whether an append was stored. */
  | "deadlineExceeded"
  /** The server cannot be reached or cannot serve the call now. Nothing was stored. */
  | "unavailable"
  /** The connection was lost before the answer arrived. It is not known whether the append was stored. */
  | "interrupted"
  /** An answer of the server violates the protocol. */
  | "protocol"
  /** The server failed. */
  | "failed";

/** The name of a kind of failure. */
export type FailureKind = Failure["kind"];

/** A call failed. `failure` has the kind and the facts. */
export class StoreError<F extends Failure = Failure> extends Error {
  override readonly name = "StoreError";
  /** The kind of the failure, and its facts. */
  readonly failure: F;
  /** The time in milliseconds after which the server suggests to try again. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, failure: F, options?: { cause?: unknown; retryAfterMs?: number | undefined }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.failure = failure;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** Returns whether `error` is a {@link StoreError} of this kind, whose facts are then known to the compiler. */
export function isStoreError<K extends FailureKind>(
  error: unknown,
  kind: K,
): error is StoreError<Extract<Failure, { readonly kind: K }>> {
  return error instanceof StoreError && error.failure.kind === kind;
}

/** Creates the error for an answer that violates the protocol. */
export function protocolError(message: string): StoreError {
  return new StoreError(message, { kind: "protocol" });
}

/** Converts a 64-bit number of the protocol. */
export function toNumber(field: string, value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw protocolError(`invalid ${field} from the server: ${value}; expected at most ${Number.MAX_SAFE_INTEGER}`);
  }
  return Number(value);
}

/** A try of a call that failed. */
export class CallFailed extends Error {
  constructor(
    readonly status: ConnectError,
    /** False if no connection was established, so that the server did not receive the request. */
    readonly wasSent: boolean,
  ) {
    super(status.rawMessage);
  }
}

/** Creates the failure of a call whose connection was lost, or that the server has ended for a reason that passes. */
export function lost(message: string): CallFailed {
  return new CallFailed(new ConnectError(message, Code.Unavailable), true);
}

const KINDS: Readonly<Record<string, FailureKind>> = {
  CONFLICT: "conflict",
  KEY_REUSED: "keyReused",
  EVENT_ID_REUSED: "eventIdReused",
  BEYOND_HEAD: "beyondHead",
  INVALID_ARGUMENT: "invalidArgument",
  NOT_FOUND: "notFound",
  PROJECTION_REJECTED: "projectionRejected",
  READ_ONLY: "readOnly",
  UNAUTHENTICATED: "unauthenticated",
  PERMISSION_DENIED: "permissionDenied",
  TOO_MANY_FAILED_ATTEMPTS: "resourceExhausted",
  UNSUPPORTED: "unsupported",
  CORRUPT: "corrupt",
  UNAVAILABLE: "unavailable",
  CLOSED: "unavailable",
  INTERRUPTED: "interrupted",
  FAILED: "failed",
  GROUP_NOT_FOUND: "notFound",
  GROUP_EXISTS: "groupExists",
  GROUP_OTHER_GENERATION: "groupChanged",
  GROUP_STOPPED: "groupStopped",
  GROUP_LIMIT: "resourceExhausted",
  GROUP_BUSY: "unavailable",
};

/** Converts the status of a call into its error. */
export function errorOf(failed: CallFailed, isWrite: boolean): StoreError {
  const status = failed.status;
  const info = findDetail(status, ErrorInfoSchema);
  const reason = info?.domain === DOMAIN ? info.reason : "";
  const kind = KINDS[reason] ?? kindOfCode(status.code, isWrite && failed.wasSent);
  const retry = findDetail(status, RetryInfoSchema)?.retryDelay;
  const retryAfterMs = retry === undefined ? undefined : durationMs(retry);
  return new StoreError(status.rawMessage, withFacts(kind, status), { cause: status, retryAfterMs });
}

function findDetail<D extends DescMessage>(status: ConnectError, type: D): MessageShape<D> | undefined {
  for (const detail of status.details) {
    if ("type" in detail && detail.type === type.typeName) {
      try {
        return fromBinary(type, detail.value);
      } catch {
        return undefined;
      }
    }
  }
  return undefined;
}

function kindOfCode(code: Code, mayBeStored: boolean): FailureKind {
  switch (code) {
    case Code.Unavailable:
    case Code.Unknown:
    case Code.Canceled:
      return mayBeStored ? "interrupted" : "unavailable";
    case Code.InvalidArgument:
      return "invalidArgument";
    case Code.NotFound:
      return "notFound";
    case Code.Unimplemented:
      return "unsupported";
    case Code.DataLoss:
      return "corrupt";
    case Code.Unauthenticated:
      return "unauthenticated";
    case Code.PermissionDenied:
      return "permissionDenied";
    case Code.ResourceExhausted:
      return "resourceExhausted";
    case Code.DeadlineExceeded:
      return "deadlineExceeded";
    default:
      return "failed";
  }
}

function withFacts(kind: FailureKind, status: ConnectError): Failure {
  const refusal: Refusal["kind"] = findDetail(status, RefusalSchema)?.kind ?? { case: undefined };
  switch (kind) {
    case "conflict": {
      const conflict = refusal.case === "conflict" ? refusal.value : undefined;
      return { kind, violations: (conflict?.violations ?? []).map(violation), omitted: conflict?.omitted ?? 0 };
    }
    case "keyReused":
      return { kind, key: refusal.case === "keyReused" ? refusal.value.key : "" };
    case "eventIdReused": {
      const { id, position } = refusal.case === "eventIdReused" ? refusal.value : { id: "", position: 0n };
      return { kind, id, position: Number(position) };
    }
    case "beyondHead": {
      const { position, head } = refusal.case === "beyondHead" ? refusal.value : { position: 0n, head: 0n };
      return { kind, position: Number(position), head: Number(head) };
    }
    case "permissionDenied": {
      const none = { principal: "", permission: "", resource: "" };
      const { principal, permission, resource } = refusal.case === "denied" ? refusal.value : none;
      return { kind, principal, permission, resource };
    }
    case "groupChanged":
      return { kind, expected: fact(status, "expected"), actual: fact(status, "actual") };
    case "groupStopped":
      return { kind, reason: "unknown", position: fact(status, "position") };
    case "invalidArgument": {
      const violations = findDetail(status, BadRequestSchema)?.fieldViolations ?? [];
      return { kind, fields: violations.map((part) => ({ field: part.field, rule: part.description })) };
    }
    default:
      return { kind };
  }
}

/** Returns a number among the facts of the reason, or 0. */
function fact(status: ConnectError, name: string): number {
  const text = findDetail(status, ErrorInfoSchema)?.metadata[name] ?? "";
  return /^\d+$/.test(text) ? Number(text) : 0;
}

function violation({ kind }: ViolationMessage): Violation {
  switch (kind.case) {
    case "version": {
      const { stream, expected, actual } = kind.value;
      return { kind: "version", stream, expected: expectedVersion(expected), actual: Number(actual) };
    }
    case "condition":
      return { kind: "condition", found: Number(kind.value.found) };
    case "document": {
      const { key, expectedRevision, actualRevision } = kind.value;
      return { kind: "document", key, expected: Number(expectedRevision), actual: Number(actualRevision) };
    }
    case "transaction":
      return { kind: "transaction", message: kind.value };
    case "missingEvent":
      return { kind: "missingEvent", id: kind.value };
    default:
      return { kind: "unknown" };
  }
}

function expectedVersion(message: ExpectedVersionMessage | undefined): ExpectedVersion | "unknown" {
  switch (message?.kind.case) {
    case "exact":
      return Number(message.kind.value);
    case "any":
    case "noStream":
    case "streamExists":
      return message.kind.case;
    default:
      return "unknown";
  }
}
