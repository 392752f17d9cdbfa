/** A client of the Factum event store. */

export type { CallOptions } from "./calls.js";
export * from "./client.js";
export type { Consumer } from "./consumer.js";
export {
  StoreError,
  isStoreError,
  type Failure,
  type FailureKind,
  type InvalidField,
  type PlainKind,
  type Violation,
} from "./errors.js";
export type * from "./group-model.js";
export type { ConsumeOptions, Groups, PageOptions } from "./groups.js";
export type * from "./model.js";
export type { EventReader } from "./reader.js";
export type { Retry, RetryNotice } from "./retry.js";
export type { Subscription } from "./subscription.js";
export type { Credentials, Pem, Tls } from "./transport.js";
