/** The repetition of calls: how often, after which pause, and which error remains. */

import { setTimeout as sleep } from "node:timers/promises";

import { CallFailed, StoreError, errorOf } from "./errors.js";

/** The number of tries of a call, and the pauses between them. */
export interface Retry {
  /** The maximum number of tries, from 1; `Infinity` for no limit. */
  readonly maxAttempts?: number | undefined;
  /** The pause before the second try in milliseconds; the default is 100. Each further pause is twice as long. */
  readonly firstPauseMs?: number | undefined;
  /** The longest pause in milliseconds; the default is 2,000. */
  readonly longestPauseMs?: number | undefined;
}

/** A call that failed and will be tried again. */
export interface RetryNotice {
  /** The failure. */
  readonly error: StoreError;
  /** The number of failed tries since the last answer of the server. */
  readonly failed: number;
  /** The pause before the next try in milliseconds. */
  readonly pauseMs: number;
}

/** The settings that all calls of a client share. */
export interface RetrySettings {
  readonly maxAttempts: number;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  readonly onRetry: ((notice: RetryNotice) => void) | undefined;
}

/** Checks the settings of the tries, and adds the defaults. */
export function retrySettings(
  retry: Retry | undefined,
  maxAttempts: number,
  onRetry: ((notice: RetryNotice) => void) | undefined,
): RetrySettings {
  const settings = {
    maxAttempts: retry?.maxAttempts ?? maxAttempts,
    firstPauseMs: retry?.firstPauseMs ?? 100,
    longestPauseMs: retry?.longestPauseMs ?? 2_000,
    onRetry,
  };
  if (!(settings.maxAttempts >= 1)) {
    throw new RangeError(`invalid maxAttempts: ${settings.maxAttempts}; expected at least 1`);
  }
  return settings;
}

/** The longest timeout in the metadata of a call in milliseconds: eight digits. */
const MAX_TIMEOUT_MS = 99_999_999;

/** The moment at which a call times out. */
export class Deadline {
  readonly #end: number | undefined;

  constructor(timeoutMs: number | undefined) {
    this.#end = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  }

  /** Returns the remaining time in whole milliseconds, from 1, or `undefined` without a limit. */
  remainingMs(): number | undefined {
    if (this.#end === undefined) {
      return undefined;
    }
    return Math.min(Math.max(Math.ceil(this.#end - performance.now()), 1), MAX_TIMEOUT_MS);
  }

  /** Returns whether time remains after a pause in milliseconds. */
  allows(pauseMs: number): boolean {
    return this.#end === undefined || performance.now() + pauseMs < this.#end;
  }
}

/** The tries of one call. */
export class Tries {
  #failed = 0;
  #unknown: StoreError | undefined;

  constructor(
    private readonly settings: RetrySettings,
    private readonly deadline: Deadline,
    private readonly write: { readonly hasKey: boolean } | undefined,
  ) {}

  /** Starts the count again, because the server has answered. */
  reset(): void {
    this.#failed = 0;
  }

  /** Waits before the next try. Throws the error of the call if there is none, and the reason of `signal`. */
  async pauseAfter(failed: CallFailed, signal: AbortSignal | undefined): Promise<void> {
    const error = errorOf(failed, this.write !== undefined);
    if (error.failure.kind === "interrupted") {
      this.#unknown = error;
    }
    this.#failed += 1;
    const pauseMs = this.#pause(error);
    const isLast = this.#failed >= this.settings.maxAttempts;
    if (!this.#isRepeatable(error) || isLast || !this.deadline.allows(pauseMs)) {
      // An earlier try may have been stored.
      throw error.failure.kind === "unavailable" && this.#unknown !== undefined ? this.#unknown : error;
    }
    this.settings.onRetry?.({ error, failed: this.#failed, pauseMs });
    try {
      await sleep(pauseMs, undefined, { signal });
    } catch (aborted) {
      signal?.throwIfAborted();
      throw aborted;
    }
  }

  #isRepeatable(error: StoreError): boolean {
    switch (error.failure.kind) {
      case "unavailable":
        return true;
      case "interrupted":
        return this.write === undefined || this.write.hasKey;
      case "resourceExhausted":
        return error.retryAfterMs !== undefined;
      default:
        return false;
    }
  }

  #pause(error: StoreError): number {
    const { firstPauseMs, longestPauseMs } = this.settings;
    const longest = Math.min(firstPauseMs * 2 ** Math.min(this.#failed - 1, 30), longestPauseMs);
    // Clients that lost the same server must not return at the same time.
    const pause = longest * (0.5 + Math.random() / 2);
    return Math.max(pause, error.retryAfterMs ?? 0);
  }
}
