/** Subscriptions that resume after a lost connection. */

import { storedEvent } from "./convert.js";
import { CallFailed, lost, protocolError, toNumber } from "./errors.js";
import {
  EventStoreService,
  type EventBatch,
  type SubscribeRequest,
  type SubscribeResponse,
} from "./generated/factum/store/v1/store_pb.js";
import type { Message, StoredEvent } from "./model.js";
import { Deadline, Tries, type RetrySettings } from "./retry.js";
import { heard } from "./silence.js";
import type { Connection } from "./transport.js";

/**
 * The messages of a subscription, without end. It can be iterated once.
 *
 * A subscription whose connection is lost connects again and resumes after the last message, without a gap and without a
 * duplicate. It ends when the loop ends, or when the signal of the call is aborted, whose reason is then thrown.
 */
export class Subscription implements AsyncIterable<Message> {
  #received: number;
  #position: number;
  readonly #messages: AsyncGenerator<Message, void, undefined>;

  /** Called by the client. */
  constructor(
    private readonly connection: Connection,
    private readonly request: SubscribeRequest,
    private readonly retry: RetrySettings,
    private readonly silenceMs: number,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#received = request.start.case === "after" ? Number(request.start.value) : 0;
    this.#position = this.#received;
    this.#messages = this.#follow();
  }

  /** The position of the last message that was delivered, from which another subscription can start. */
  get position(): number {
    return this.#position;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    return this.#messages;
  }

  /** Returns the events only. */
  async *events(): AsyncGenerator<StoredEvent, void, undefined> {
    for await (const message of this) {
      if (message.kind === "event") {
        yield message.event;
      }
    }
  }

  async *#follow(): AsyncGenerator<Message, void, undefined> {
    const tries = new Tries(this.retry, new Deadline(undefined), undefined);
    for (;;) {
      try {
        for await (const answer of this.#answers()) {
          tries.reset();
          for (const message of this.#convert(answer)) {
            this.#position = message.position;
            yield message;
          }
        }
        throw lost("the server ended the call");
      } catch (error) {
        if (!(error instanceof CallFailed)) {
          throw error;
        }
        await tries.pauseAfter(error, this.signal);
      }
    }
  }

  /** Returns the answers of one call, which fails if the server is silent while the caller waits. */
  async *#answers(): AsyncGenerator<SubscribeResponse, void, undefined> {
    const call = new AbortController();
    const signal = this.signal === undefined ? call.signal : AbortSignal.any([this.signal, call.signal]);
    const answers = this.connection.stream(EventStoreService.method.subscribe, this.request, undefined, signal);
    try {
      for (;;) {
        const next = await heard(answers, call, this.silenceMs);
        if (next.done) {
          return;
        }
        yield next.value;
      }
    } finally {
      call.abort();
      await answers.return();
    }
  }

  #convert({ message }: SubscribeResponse): Message[] {
    switch (message.case) {
      case "events":
        return this.#batch(message.value);
      case "fellBehind": {
        const position = this.#advance(message.value.position);
        return [{ kind: "fellBehind", position, head: toNumber("head", message.value.head) }];
      }
      case "caughtUp":
      case "checkpoint":
        return [{ kind: message.case, position: this.#advance(message.value.position) }];
      default:
        // A kind of message of a newer server.
        return [];
    }
  }

  #batch(batch: EventBatch): Message[] {
    const events = batch.events.map(storedEvent);
    let position = this.#received;
    for (const event of events) {
      if (event.position <= position) {
        throw protocolError(`the server sent the event at position ${event.position} after position ${position}`);
      }
      position = event.position;
    }
    const examined = toNumber("position", batch.position);
    if (examined < position) {
      throw protocolError(`the server sent a batch with position ${examined} and an event at ${position}`);
    }
    const messages: Message[] = events.map((event) => ({ kind: "event", position: event.position, event }));
    if (examined > position || events.length === 0) {
      messages.push({ kind: "checkpoint", position: examined });
    }
    this.#advance(batch.position);
    return messages;
  }

  #advance(position: bigint): number {
    this.#received = toNumber("position", position);
    // A restart resumes here, also if it was to begin with new events.
    this.request.start = { case: "after", value: position };
    return this.#received;
  }
}
