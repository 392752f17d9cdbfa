/** The form of the test vectors, and comparisons. */

import { readRepositoryFile } from "./repository.js";

/** A JSON object. */
export type Json = Record<string, unknown>;

/** The status of a frame. */
export interface StatusFrame {
  code: string;
  message: string;
  reason?: string;
  domain?: string;
  facts?: Record<string, string>;
  fields?: { field: string; rule: string }[];
  retry_after_ms?: number;
  refusal?: Json;
}

/** An answer of the server. */
export type Frame =
  | { message: Json }
  | { status: StatusFrame }
  | { receive: Json }
  | { receive_end: true }
  | { hold: true };

/** A call that the server must receive, and its answers. */
export interface ScriptedCall {
  rpc: string;
  request: Json;
  metadata?: Record<string, string>;
  not_before_ms?: number;
  frames: Frame[];
}

/** A test vector. */
export interface Vector {
  name: string;
  rule: string;
  client?: { silence_ms?: number; credentials?: { token: string } | { user: string; password: string } };
  call: Json & { operation: string };
  server: ScriptedCall[];
  cancel?: { after_items?: number; after_call?: number };
  expect: Json;
}

const file = JSON.parse(readRepositoryFile("sdks/vectors.json")) as {
  vectors: Vector[];
  credentials: { address: string; error: string | null }[];
};

/** All test vectors. */
export const vectors = file.vectors;

/** Addresses for a client with credentials, and the errors. */
export const credentials = file.credentials;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the first difference. A text `$text:NAME` is the same text wherever it occurs. */
export function difference(
  expected: unknown,
  actual: unknown,
  texts: Map<string, string>,
  path: string,
): string | undefined {
  if (isObject(expected) && isObject(actual)) {
    const [wanted, found] = [Object.keys(expected).sort(), Object.keys(actual).sort()];
    if (wanted.join() !== found.join()) {
      return `${path} has the fields ${found.join()}, expected ${wanted.join()}`;
    }
    return first(wanted, (key) => difference(expected[key], actual[key], texts, `${path}.${key}`));
  }
  if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length) {
    return first([...expected.keys()], (index) =>
      difference(expected[index], actual[index], texts, `${path}[${index}]`),
    );
  }
  let wanted = expected;
  if (typeof expected === "string" && expected.startsWith("$text:") && typeof actual === "string" && actual !== "") {
    wanted = texts.get(expected) ?? actual;
    texts.set(expected, actual);
  }
  return unequal(wanted, actual, path);
}

/** Returns the first difference. Objects may have further fields. */
export function missing(expected: unknown, actual: unknown, path: string): string | undefined {
  if (isObject(expected) && isObject(actual) && !/\.(data|extra)$/.test(path)) {
    return first(Object.keys(expected), (key) => missing(expected[key], actual[key], `${path}.${key}`));
  }
  if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length) {
    return first([...expected.keys()], (index) => missing(expected[index], actual[index], `${path}[${index}]`));
  }
  return unequal(expected, actual, path);
}

function first<K>(keys: readonly K[], compare: (key: K) => string | undefined): string | undefined {
  return keys.map(compare).find((found) => found !== undefined);
}

function unequal(expected: unknown, actual: unknown, path: string): string | undefined {
  const [wanted, found] = [JSON.stringify(expected), JSON.stringify(actual)];
  return wanted === found ? undefined : `${path} is ${found}, expected ${wanted}`;
}
