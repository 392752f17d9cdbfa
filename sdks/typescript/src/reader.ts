/** Reads that resume after a lost connection. */

import { storedEvent } from "./convert.js";
import { CallFailed, toNumber } from "./errors.js";
import {
  Direction,
  EventStoreService,
  type ReadAllRequest,
  type ReadAllResponse,
  type ReadStreamRequest,
  type ReadStreamResponse,
} from "./generated/factum/store/v1/store_pb.js";
import type { StoredEvent } from "./model.js";
import { Deadline, Tries, type RetrySettings } from "./retry.js";
import type { Connection } from "./transport.js";

const READ_STREAM = "factum.store.v1.ReadStreamRequest";

/**
 * The events of a read, one after the other. It can be iterated once.
 *
 * A read whose connection is lost resumes after the last event. A loop that ends early cancels the call.
 */
export class EventReader implements AsyncIterable<StoredEvent> {
  #head: number | undefined;
  #more = false;
  readonly #events: AsyncGenerator<StoredEvent, void, undefined>;

  /** Called by the client. */
  constructor(
    private readonly connection: Connection,
    private readonly request: ReadStreamRequest | ReadAllRequest,
    private readonly timeoutMs: number | undefined,
    private readonly retry: RetrySettings,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#events = this.#read();
  }

  /**
   * The head of the log when the read began: the `after` of an append condition.
   *
   * @throws Error if the server has not answered yet; read to the end first.
   */
  get head(): number {
    if (this.#head === undefined) {
      throw new Error("the head of a read is not known before its first event");
    }
    return this.#head;
  }

  /** True after the end of a read that its limit ended, if there may be more events. */
  get more(): boolean {
    return this.#more;
  }

  [Symbol.asyncIterator](): AsyncGenerator<StoredEvent, void, undefined> {
    return this.#events;
  }

  /** Reads all events into an array. */
  async toArray(): Promise<StoredEvent[]> {
    const events = [];
    for await (const event of this) {
      events.push(event);
    }
    return events;
  }

  async *#read(): AsyncGenerator<StoredEvent, void, undefined> {
    const deadline = new Deadline(this.timeoutMs);
    const tries = new Tries(this.retry, deadline, undefined);
    const hasLimit = this.request.limit > 0n;
    for (;;) {
      try {
        for await (const answer of this.#answers(deadline.remainingMs())) {
          // The answer is checked as a whole before its first event is delivered.
          const events = answer.events.map(storedEvent);
          tries.reset();
          const head = (this.#head ??= toNumber("head", answer.head));
          this.#more = answer.more;
          for (const event of events) {
            if (event.position > head) {
              if (this.request.direction === Direction.BACKWARD) {
                // It was stored after the first answer, and the read began again before its first event.
                continue;
              }
              this.#more = false;
              return;
            }
            this.#advance(event, hasLimit);
            yield event;
          }
        }
        return;
      } catch (error) {
        if (!(error instanceof CallFailed)) {
          throw error;
        }
        if (hasLimit && this.request.limit === 0n) {
          this.#more = true;
          return;
        }
        await tries.pauseAfter(error, this.signal);
      }
    }
  }

  #answers(timeoutMs: number | undefined): AsyncIterable<ReadStreamResponse | ReadAllResponse> {
    const { readStream, readAll } = EventStoreService.method;
    return this.request.$typeName === READ_STREAM
      ? this.connection.stream(readStream, this.request, timeoutMs, this.signal)
      : this.connection.stream(readAll, this.request, timeoutMs, this.signal);
  }

  #advance(event: StoredEvent, hasLimit: boolean): void {
    const place = this.request.$typeName === READ_STREAM ? event.version : event.position;
    this.request.cursor = BigInt(place);
    if (hasLimit) {
      this.request.limit -= 1n;
    }
  }
}
