/** A gRPC server that plays the script of a test vector, and checks the calls that it receives. */

import { once } from "node:events";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";

import {
  create,
  fromJson,
  toJson,
  type DescMessage,
  type DescMethod,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import { ConsumerGroupService } from "../src/generated/factum/store/v1/groups_pb.js";
import { EventStoreService, RefusalSchema } from "../src/generated/factum/store/v1/store_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../src/generated/google/rpc/error_details_pb.js";
import { difference, type Frame, type Json, type ScriptedCall, type StatusFrame } from "./vector.js";

/** The time limit of a vector in milliseconds. */
export const LIMIT = 10_000;

/** The server. */
export class ScriptedServer {
  /** The differences from the script. */
  readonly problems: string[] = [];
  readonly #script: readonly ScriptedCall[];
  readonly #texts = new Map<string, string>();
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #server: http2.Http2Server;
  #received = 0;
  #running = 0;
  #endedAt = performance.now();
  #changed: (() => void)[] = [];

  private constructor(script: readonly ScriptedCall[]) {
    this.#script = script;
    this.#server = http2.createServer(connectNodeAdapter({ routes: (router) => this.#routes(router) }));
    this.#server.on("session", (session) => this.#sessions.add(session));
  }

  /** Starts a server on a free port. */
  static async start(script: readonly ScriptedCall[]): Promise<ScriptedServer> {
    const server = new ScriptedServer(script);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  /** The address for clients. */
  get address(): string {
    return `factum://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Waits until the server has received a number of calls. */
  async waitForCalls(count: number): Promise<void> {
    await this.#wait(() => this.#received >= count, `the server did not receive ${count} calls`);
  }

  /** Waits for the end of all calls, and checks that the script was played to its end. */
  async finish(): Promise<void> {
    await this.#wait(() => this.#running === 0, "a call was not cancelled");
    if (this.#received < this.#script.length) {
      this.problems.push(`the server received ${this.#received} calls, expected ${this.#script.length}`);
    }
  }

  /** Ends the server with its connections. */
  close(): void {
    this.#server.close();
    for (const session of this.#sessions) {
      session.destroy();
    }
  }

  async #wait(condition: () => boolean, problem: string): Promise<void> {
    const end = performance.now() + LIMIT;
    while (!condition()) {
      if (performance.now() > end) {
        this.problems.push(problem);
        return;
      }
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
        timer = setTimeout(resolve, end - performance.now());
      });
      clearTimeout(timer);
    }
  }

  #notify(): void {
    const waiting = this.#changed;
    this.#changed = [];
    waiting.forEach((resolve) => resolve());
  }

  #routes(router: ConnectRouter): void {
    for (const service of [EventStoreService, ConsumerGroupService]) {
      const handlers: Record<string, unknown> = {};
      for (const method of service.methods) {
        handlers[method.localName] = this.#handler(method);
      }
      router.service(service, handlers as Partial<ServiceImpl<typeof service>>);
    }
  }

  #handler(method: DescMethod): unknown {
    const play = (request: Message, context: HandlerContext) => this.#play(method, single(request), context);
    switch (method.methodKind) {
      case "unary":
        return async (request: Message, context: HandlerContext) => {
          for await (const answer of play(request, context)) {
            return answer;
          }
          throw new ConnectError("the script has no answer", Code.Internal);
        };
      case "server_streaming":
        return play;
      default:
        return (all: AsyncIterable<Message>, context: HandlerContext) => this.#play(method, all, context);
    }
  }

  async *#play(method: DescMethod, all: AsyncIterable<Message>, context: HandlerContext): AsyncGenerator<Message> {
    const number = this.#received;
    this.#received += 1;
    this.#running += 1;
    this.#notify();
    try {
      const call = this.#script[number];
      if (call === undefined) {
        this.problems.push(`unexpected call ${number + 1}: ${method.name}`);
        throw new ConnectError("unexpected call", Code.Internal);
      }
      const requests = all[Symbol.asyncIterator]();
      const first = (await requests.next()) as IteratorYieldResult<Message>;
      this.#check(call, number + 1, method, first.value, context);
      for (const frame of call.frames) {
        if ("receive" in frame || "receive_end" in frame) {
          await this.#receive("receive" in frame ? frame.receive : undefined, method, requests, number + 1);
        } else {
          yield* this.#answer(frame, method.output, context, number + 1);
        }
      }
    } finally {
      this.#endedAt = performance.now();
      this.#running -= 1;
      this.#notify();
    }
  }

  /** Waits for the next request, or for the end of the requests. */
  async #receive(
    expected: Json | undefined,
    method: DescMethod,
    requests: AsyncIterator<Message>,
    number: number,
  ): Promise<void> {
    for (;;) {
      const next = await requests.next();
      const actual = next.done ? undefined : toJson(method.input, next.value);
      const problem = difference(expected, actual, this.#texts, `call ${number}: request`);
      if (problem !== undefined && JSON.stringify(actual) === '{"heartbeat":{}}') {
        continue;
      }
      if (problem !== undefined) {
        this.problems.push(problem);
      }
      return;
    }
  }

  async *#answer(
    frame: Exclude<Frame, { receive: Json } | { receive_end: true }>,
    type: DescMessage,
    context: HandlerContext,
    number: number,
  ): AsyncGenerator<Message> {
    if ("message" in frame) {
      yield fromJson(type, frame.message as JsonValue);
    } else if ("status" in frame) {
      throw statusError(frame.status);
    } else if (!context.signal.aborted) {
      const timer = setTimeout(() => this.problems.push(`call ${number} was not cancelled`), LIMIT);
      await once(context.signal, "abort");
      clearTimeout(timer);
      context.signal.throwIfAborted();
    }
  }

  #check(call: ScriptedCall, number: number, method: DescMethod, request: Message, context: HandlerContext): void {
    if (method.name !== call.rpc) {
      this.problems.push(`call ${number} is ${method.name}, expected ${call.rpc}`);
      return;
    }
    const problem = difference(call.request, toJson(method.input, request), this.#texts, "request");
    if (problem !== undefined) {
      this.problems.push(`call ${number}: ${problem}`);
    }
    for (const [key, value] of Object.entries(call.metadata ?? {})) {
      if (context.requestHeader.get(key) !== value) {
        this.problems.push(`call ${number}: ${key} is ${context.requestHeader.get(key)}, expected ${value}`);
      }
    }
    const pause = performance.now() - this.#endedAt;
    if (pause < (call.not_before_ms ?? 0)) {
      this.problems.push(`call ${number} came after ${pause} ms`);
    }
  }
}

async function* single(request: Message): AsyncGenerator<Message> {
  yield request;
}

function statusError(status: StatusFrame): ConnectError {
  const name = status.code.toLowerCase().replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase());
  const code = Code[(name === "Cancelled" ? "Canceled" : name) as keyof typeof Code];
  const error = new ConnectError(status.message, code);
  if (status.reason !== undefined) {
    const value = { reason: status.reason, domain: status.domain ?? "factum.store", metadata: status.facts ?? {} };
    error.details.push({ desc: ErrorInfoSchema, value });
  }
  if (status.fields !== undefined) {
    const fieldViolations = status.fields.map(({ field, rule }) => ({ field, description: rule }));
    error.details.push({ desc: BadRequestSchema, value: { fieldViolations } });
  }
  if (status.retry_after_ms !== undefined) {
    const value = create(RetryInfoSchema, { retryDelay: durationFromMs(status.retry_after_ms) });
    error.details.push({ desc: RetryInfoSchema, value });
  }
  if (status.refusal !== undefined) {
    const value = fromJson(RefusalSchema, status.refusal as JsonValue);
    error.details.push({ desc: RefusalSchema, value });
  }
  return error;
}
