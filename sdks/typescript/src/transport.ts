/** Calls over an HTTP/2 connection. */

import { readFileSync } from "node:fs";
import { isIPv4 } from "node:net";

import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodStreaming,
  DescMethodUnary,
  MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { CallFailed, protocolError } from "./errors.js";

const DEFAULT_PORT = "50051";
const MAX_MESSAGE_BYTES = 96 * 1024 * 1024;
const SCHEMES: Readonly<Record<string, "http" | "https">> = {
  factum: "http",
  http: "http",
  factums: "https",
  https: "https",
};

/** The codes of Node.js for a connection that was not established. */
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

/** The codes with which the transport reports a lost connection. */
const LOST = new Set([
  Code.Aborted,
  Code.Canceled,
  Code.Internal,
  Code.InvalidArgument,
  Code.Unavailable,
  Code.Unknown,
]);

/** Credentials, which are sent with every call, over TLS or to a server on the same machine. */
export type Credentials =
  /** Sent as `authorization: Bearer TOKEN`. */
  | { readonly token: string }
  /** Sent as in RFC 7617. */
  | { readonly user: string; readonly password: string };

/** Certificates or a key in PEM format: the text or bytes, or `{ file: PATH }`. */
export type Pem = string | Uint8Array | { readonly file: string };

/** The settings of an encrypted connection. */
export interface Tls {
  /** The certificates of the trusted authorities; the default is the list of Node.js. */
  readonly ca?: Pem | undefined;
  /** The certificate of the client, for servers that ask for one. */
  readonly certificate?: Pem | undefined;
  /** The private key of the client's certificate. */
  readonly key?: Pem | undefined;
  /** The name in the certificate of the server, if it differs from the host of the address. */
  readonly serverName?: string | undefined;
}

/** A connection to a server. */
export class Connection {
  readonly #transport: Transport;
  readonly #sessions: Http2SessionManager;
  readonly #closed = new AbortController();

  constructor(address: string, credentials: Credentials | undefined, tls: Tls | undefined) {
    const baseUrl = parse(address, tls !== undefined);
    const authorization = credentials === undefined ? undefined : header(credentials, new URL(baseUrl));
    const authorize: Interceptor = (next) => (request) => {
      if (authorization !== undefined) {
        request.header.set("authorization", authorization);
      }
      return next(request);
    };
    const nodeOptions = {
      ...(tls?.ca === undefined ? {} : { ca: pem(tls.ca) }),
      ...(tls?.certificate === undefined ? {} : { cert: pem(tls.certificate) }),
      ...(tls?.key === undefined ? {} : { key: pem(tls.key) }),
      ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
    };
    this.#sessions = new Http2SessionManager(baseUrl, { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 }, nodeOptions);
    this.#transport = createGrpcTransport({
      baseUrl,
      sessionManager: this.#sessions,
      interceptors: [authorize],
      readMaxBytes: MAX_MESSAGE_BYTES,
      writeMaxBytes: MAX_MESSAGE_BYTES,
      acceptCompression: [],
    });
  }

  /** Sends a request, and waits for its answer. Throws {@link CallFailed}, or the reason of `signal`. */
  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<MessageShape<O>> {
    const aborted = this.#signal(signal);
    try {
      const init = request as Parameters<Transport["unary"]>[4] & MessageShape<I>;
      const answer = await this.#transport.unary(method, aborted, timeoutMs, undefined, init, createContextValues());
      return answer.message;
    } catch (error) {
      throw this.#failure(error, signal);
    }
  }

  /** Sends a request, and returns its answers, one after the other. */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageShape<I>,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    return this.#stream(method, single(request), timeoutMs, signal);
  }

  async *#stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    requests: AsyncIterable<MessageShape<I>>,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    const call = new AbortController();
    const aborted = AbortSignal.any([this.#signal(signal), call.signal]);
    try {
      const init = requests as Parameters<Transport["stream"]>[4] & AsyncIterable<MessageShape<I>>;
      const answer = await this.#transport.stream(method, aborted, timeoutMs, undefined, init, createContextValues());
      yield* answer.message;
    } catch (error) {
      throw this.#failure(error, signal);
    } finally {
      // The caller has stopped, or the call has ended.
      call.abort();
    }
  }

  /** Sends requests, and returns the answers, one after the other. */
  duplex<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    requests: AsyncIterable<MessageShape<I>>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    return this.#stream(method, requests, undefined, signal);
  }

  /** Cancels all calls, and closes the connection. */
  close(): void {
    this.#closed.abort(new Error("the client was closed"));
    this.#sessions.abort();
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal]);
  }

  #failure(error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) {
      return signal.reason;
    }
    if (this.#closed.signal.aborted) {
      return this.#closed.signal.reason;
    }
    const status = ConnectError.from(error);
    // A status of the server has this entry. All others are created by the transport.
    if (status.metadata.has("grpc-status")) {
      return new CallFailed(status, true);
    }
    if (status.rawMessage.startsWith("parse binary")) {
      return protocolError(`invalid message from the server: ${status.rawMessage}`);
    }
    if (!LOST.has(status.code)) {
      return new CallFailed(status, true);
    }
    const lost = new ConnectError(status.rawMessage, Code.Unavailable, undefined, undefined, status);
    return new CallFailed(lost, !wasRefused(error));
  }
}

async function* single<T>(request: T): AsyncGenerator<T> {
  yield request;
}

function wasRefused(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string" && NOT_CONNECTED.has(cause.code)) {
      return true;
    }
  }
  return false;
}

function parse(address: string, hasTls: boolean): string {
  const rule = "expected factum://HOST:PORT, or factums://HOST:PORT with TLS";
  const match = /^([a-z]+):\/\/([^/?#]+)\/?$/.exec(address);
  const scheme = SCHEMES[match?.[1] ?? ""];
  const authority = match?.[2];
  if (authority?.includes("@")) {
    throw new TypeError("invalid address with a user or a password; set credentials instead");
  }
  if (scheme === undefined || authority === undefined || !URL.canParse(`http://${authority}`)) {
    const shown = address.includes("@") ? "" : `: "${address}"`;
    throw new TypeError(`invalid address${shown}; ${rule}`);
  }
  if (hasTls && scheme === "http") {
    throw new TypeError(`invalid address: "${address}"; TLS needs factums://`);
  }
  const hasPort = /:\d+$/.test(authority);
  return `${scheme}://${authority}${hasPort ? "" : `:${DEFAULT_PORT}`}`;
}

/** Returns the header of each call. Credentials are sent over TLS, or to a server on the same machine. */
function header(credentials: Credentials, address: URL): string {
  const host = address.hostname.replace(/^\[|\]$/g, "");
  if (address.protocol === "http:" && !isThisMachine(host)) {
    throw new TypeError(`credentials for "${host}" would not be encrypted; use factums://HOST:PORT`);
  }
  if ("token" in credentials) {
    return `Bearer ${credentials.token}`;
  }
  const text = `${credentials.user}:${credentials.password}`;
  return `Basic ${Buffer.from(text, "utf8").toString("base64")}`;
}

/** Returns whether a host is `localhost` or a loopback address. */
function isThisMachine(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

function pem(source: Pem): string | Buffer {
  if (typeof source === "string") {
    return source;
  }
  return "file" in source ? readFileSync(source.file) : Buffer.from(source);
}
