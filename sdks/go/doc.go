// Package store is a client of the Factum event store server.
//
// A [Client] appends events to streams, reads them, subscribes to them, and consumes them in groups. It connects at its
// first call, and again after a failure. Its methods can be called by several goroutines at the same time. A call ends when
// its context ends.
//
// Calls that fail return a [*CallError], which has a [Kind], or a type with facts that wraps one, for example a
// [*ConflictError].
package store
