/** Calls with one answer, and their repetition. */

import type { DescMessage, DescMethodUnary, MessageShape } from "@bufbuild/protobuf";

import { CallFailed } from "./errors.js";
import { Deadline, Tries, type RetrySettings } from "./retry.js";
import type { Connection } from "./transport.js";

/** The settings of one call. */
export interface CallOptions {
  /** The timeout in milliseconds instead of that of the client; `Infinity` means no limit. */
  readonly timeoutMs?: number | undefined;
  /** A signal that cancels the call. Its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** Sends requests, and sends them again if that is safe. */
export class Calls {
  constructor(
    readonly connection: Connection,
    readonly timeoutMs: number,
    readonly retry: RetrySettings,
    readonly reconnect: RetrySettings,
    readonly silenceMs: number,
  ) {}

  /** Sends a request that changes nothing, or a `write`, and waits for its answer. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    options: CallOptions,
    write?: { readonly hasKey: boolean },
  ): Promise<MessageShape<O>> {
    const deadline = new Deadline(finite(options.timeoutMs ?? this.timeoutMs));
    const tries = new Tries(this.retry, deadline, write);
    for (;;) {
      try {
        return await this.connection.unary(method, request, deadline.remainingMs(), options.signal);
      } catch (error) {
        if (!(error instanceof CallFailed)) {
          throw error;
        }
        await tries.pauseAfter(error, options.signal);
      }
    }
  }
}

/** Converts a timeout; `Infinity` means none. */
export function finite(timeoutMs: number | undefined): number | undefined {
  return timeoutMs === Infinity ? undefined : timeoutMs;
}
