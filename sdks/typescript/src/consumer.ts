/** Consumers of a group, which join again after a lost connection. */

import { create } from "@bufbuild/protobuf";

import { CallFailed, StoreError, lost } from "./errors.js";
import {
  ConsumerGroupService,
  ConsumeRequestSchema,
  type ConsumeRequest,
  type ConsumeResponse,
} from "./generated/factum/store/v1/groups_pb.js";
import * as convert from "./group-convert.js";
import type { Delivery, GroupProgress } from "./group-model.js";
import { Requests } from "./requests.js";
import { Deadline, Tries, type RetrySettings } from "./retry.js";
import { heard } from "./silence.js";
import type { Connection } from "./transport.js";

/** The time in milliseconds without a message after which a consumer that leaves cancels its call. */
const LEAVE_LIMIT_MS = 5_000;

/**
 * The deliveries of a group, without end. Answer each one with `ack` or `nack`. It can be iterated once.
 *
 * A consumer whose connection is lost joins again; the server delivers the events without an answer again. A loop that ends
 * leaves the group after all answers were sent. If the signal of the call is aborted, its reason is thrown at once.
 */
export class Consumer implements AsyncIterable<Delivery> {
  #progress: GroupProgress | undefined;
  readonly #deliveries: AsyncGenerator<Delivery, void, undefined>;

  /** Called by the client. */
  constructor(
    private readonly connection: Connection,
    private readonly start: ConsumeRequest,
    private readonly intervalMs: number,
    private readonly retry: RetrySettings,
    private readonly silenceMs: number,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#deliveries = this.#consume();
  }

  /** The last known progress of the group; `undefined` before the first message of the server. */
  get progress(): GroupProgress | undefined {
    return this.#progress;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Delivery, void, undefined> {
    return this.#deliveries;
  }

  async *#consume(): AsyncGenerator<Delivery, void, undefined> {
    const tries = new Tries(this.retry, new Deadline(undefined), undefined);
    for (;;) {
      try {
        yield* this.#join(tries);
      } catch (error) {
        if (!(error instanceof CallFailed)) {
          throw error;
        }
        await tries.pauseAfter(error, this.signal);
      }
    }
  }

  /** Returns the deliveries of one call. It ends with an error, or because the caller stops. */
  async *#join(tries: Tries): AsyncGenerator<Delivery, void, undefined> {
    const call = new AbortController();
    const heartbeat = create(ConsumeRequestSchema, { message: { case: "heartbeat", value: {} } });
    const requests = new Requests(this.start, heartbeat, this.intervalMs);
    const signal = this.signal === undefined ? call.signal : AbortSignal.any([this.signal, call.signal]);
    const answers = this.connection.duplex(ConsumerGroupService.method.consume, requests, signal);
    let isLeaving = true;
    try {
      for (;;) {
        let delivery: Delivery | undefined;
        try {
          const next = await heard(answers, call, this.silenceMs);
          if (next.done) {
            throw lost("the server ended the call");
          }
          delivery = this.#receive(next.value, requests, tries);
        } catch (error) {
          isLeaving = false;
          throw error;
        }
        if (delivery !== undefined) {
          yield delivery;
        }
      }
    } finally {
      requests.end();
      if (isLeaving) {
        await drain(answers, call);
      }
      call.abort();
      await answers.return();
    }
  }

  #receive({ message }: ConsumeResponse, requests: Requests<ConsumeRequest>, tries: Tries): Delivery | undefined {
    if (message.case === "stopped") {
      const { reason, position } = convert.stop(message.value);
      if (convert.TEMPORARY.has(reason)) {
        throw lost(message.value.message);
      }
      throw new StoreError(message.value.message, { kind: "groupStopped", reason, position });
    }
    tries.reset();
    if (message.case === "delivery") {
      return convert.delivery(message.value, (request) => requests.send(request));
    }
    if (message.case === "checkpoint") {
      this.#progress = convert.progress(message.value);
    }
    return undefined;
  }
}

/** Waits for the end of a call, so that the requests before arrive. */
async function drain(answers: AsyncGenerator<unknown, void, undefined>, call: AbortController): Promise<void> {
  try {
    while (!(await heard(answers, call, LEAVE_LIMIT_MS)).done) {
      // The server sends what it has.
    }
  } catch {
    // The connection was lost, or the server is silent. The events without an answer are delivered again.
  }
}
