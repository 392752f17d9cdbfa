// The client of a test, and events.

import { randomUUID } from "node:crypto";
import { after } from "node:test";
import { KurrentDBClient, binaryEvent, jsonEvent } from "@kurrent/kurrentdb-client";

const address = process.env.EVENT_STORE_ADDRESS;

export const client = KurrentDBClient.connectionString(`kurrentdb://${address}?tls=false`);
after(() => client.dispose());

export const discovering = () => KurrentDBClient.connectionString(`kurrentdb+discover://${address}?tls=false`);

export const newName = (category = "hive") => `${category}-${randomUUID()}`;

export const newEvents = (count, type = "weighed") =>
  Array.from({ length: count }, (_, number) => jsonEvent({ type, data: { number } }));

export const binary = (type, data, metadata) => binaryEvent({ type, data: Buffer.from(data), metadata });

export async function collect(events) {
  const found = [];
  for await (const event of events) found.push(event);
  return found;
}

export const ids = async (events) => (await collect(events)).map(({ event }) => event.id);

// Takes events until one has this type.
export async function takeUntil(subscription, type) {
  const found = [];
  for await (const { event } of subscription) {
    found.push(event);
    if (event.type === type) return found;
  }
  throw new Error("the subscription ended");
}
