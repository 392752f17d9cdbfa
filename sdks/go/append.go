package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"factum.example/store/internal/storev1"
)

// ExpectedVersion is the version that a stream must have before an append. Use [Any], [NoStream], [StreamExists] or [Exact].
type ExpectedVersion struct{ message *storev1.ExpectedVersion }

// The expected versions that are not an exact number.
var (
	// Any accepts every version, also 0.
	Any = ExpectedVersion{&storev1.ExpectedVersion{Kind: &storev1.ExpectedVersion_Any{Any: &storev1.Unit{}}}}
	// NoStream requires that the stream has no events.
	NoStream = ExpectedVersion{&storev1.ExpectedVersion{Kind: &storev1.ExpectedVersion_NoStream{NoStream: &storev1.Unit{}}}}
	// StreamExists requires that the stream has events.
	StreamExists = ExpectedVersion{&storev1.ExpectedVersion{
		Kind: &storev1.ExpectedVersion_StreamExists{StreamExists: &storev1.Unit{}},
	}}
)

// Exact requires exactly this version; 0 means a stream without events.
func Exact(version uint64) ExpectedVersion {
	return ExpectedVersion{&storev1.ExpectedVersion{Kind: &storev1.ExpectedVersion_Exact{Exact: version}}}
}

// Version returns the version of [Exact].
func (v ExpectedVersion) Version() (version uint64, isExact bool) {
	_, isExact = v.message.GetKind().(*storev1.ExpectedVersion_Exact)
	return v.message.GetExact(), isExact
}

// String returns the name of the expectation, or the exact version.
func (v ExpectedVersion) String() string {
	switch kind := v.message.GetKind().(type) {
	case *storev1.ExpectedVersion_Any:
		return "any"
	case *storev1.ExpectedVersion_NoStream:
		return "no_stream"
	case *storev1.ExpectedVersion_StreamExists:
		return "stream_exists"
	case *storev1.ExpectedVersion_Exact:
		return fmt.Sprint(kind.Exact)
	default:
		return "unknown"
	}
}

func expectedOf(message *storev1.ExpectedVersion) ExpectedVersion {
	return ExpectedVersion{message}
}

// StreamAppend is the events for one stream of an append. Without events, only the version is checked.
type StreamAppend struct {
	// Stream is the name of the stream: 1 to 512 bytes without control characters.
	Stream string
	// Expected is the expected version. It is required.
	Expected ExpectedVersion
	// Events are the events.
	Events []NewEvent
}

// Appended is the result of an append.
type Appended struct {
	// Position is the position of the last event; the head of the log if the append has no events.
	Position uint64
	// Count is the number of events. They have the positions up to Position, without a gap.
	Count uint64
	// Versions are the new versions of the streams that received events.
	Versions map[string]uint64
	// RecordedAt is the time at which the events were stored, in UTC.
	RecordedAt time.Time
	// Repeated is set if this is the first result of the idempotency key; nothing was stored this time.
	Repeated bool
}

// AppendOption changes an append.
type AppendOption func(*storev1.AppendRequest)

// WithCondition sets the append condition: no event after a position matches a query. The position is that up to which
// the caller has read, usually the head of a read.
func WithCondition(query Query, after uint64) AppendOption {
	return func(r *storev1.AppendRequest) {
		r.Condition = &storev1.AppendCondition{Query: query.message(), After: after}
	}
}

// WithRequiredEvents requires that the events with these UUIDs are stored.
func WithRequiredEvents(ids ...string) AppendOption {
	return func(r *storev1.AppendRequest) { r.RequiredEvents = append(r.RequiredEvents, ids...) }
}

// WithIdempotencyKey sets the idempotency key. A repeated append with the same key and content returns the first result.
func WithIdempotencyKey(key string) AppendOption {
	return func(r *storev1.AppendRequest) { r.IdempotencyKey = &storev1.IdempotencyKey{Key: key} }
}

// WithoutIdempotencyKey sends the append without a key. It is not repeated if its outcome is unknown.
func WithoutIdempotencyKey() AppendOption {
	return func(r *storev1.AppendRequest) { r.IdempotencyKey = nil }
}

// Append stores events in one stream.
func (c *Client) Append(
	ctx context.Context, stream string, expected ExpectedVersion, events []NewEvent, options ...AppendOption,
) (Appended, error) {
	return c.AppendStreams(ctx, []StreamAppend{{stream, expected, events}}, options...)
}

// AppendStreams stores events of several streams together or not at all.
//
// A stream may have several elements with the same expected version, so that the events of streams are mixed. The positions
// have the order of the elements.
//
// The append has a generated idempotency key unless an option sets one, so that it is repeated safely if the connection is
// lost.
func (c *Client) AppendStreams(
	ctx context.Context, streams []StreamAppend, options ...AppendOption,
) (Appended, error) {
	request := &storev1.AppendRequest{IdempotencyKey: &storev1.IdempotencyKey{Key: rand.Text()}}
	places := map[string]int{}
	for _, stream := range streams {
		index, isKnown := places[stream.Stream]
		switch {
		case !isKnown:
			index = len(request.Streams)
			places[stream.Stream] = index
			expected := &storev1.ExpectedStream{Stream: stream.Stream, Expected: stream.Expected.message}
			request.Streams = append(request.Streams, expected)
		case !proto.Equal(request.Streams[index].GetExpected(), stream.Expected.message):
			const rule = "give all of its parts the same one"
			return Appended{}, fmt.Errorf("two expected versions of the stream %q; %s", stream.Stream, rule)
		}
		for _, event := range stream.Events {
			message, err := event.message()
			if err != nil {
				return Appended{}, err
			}
			message.Stream = uint32(index)
			request.Events = append(request.Events, message)
		}
	}
	for _, option := range options {
		option(request)
	}
	t := c.tries(c.settings.retry)
	t.isWrite, t.hasKey = true, request.GetIdempotencyKey() != nil
	answer, err := call(ctx, c, t, request, c.calls.Append)
	if err != nil {
		return Appended{}, err
	}
	return appendedOf(answer)
}

func appendedOf(message *storev1.AppendResponse) (Appended, error) {
	recordedAt, err := timeOf("recorded_at", message.GetRecordedAt())
	if err != nil {
		return Appended{}, err
	}
	versions := make(map[string]uint64, len(message.GetStreams()))
	for _, stream := range message.GetStreams() {
		versions[stream.GetStream()] = stream.GetVersion()
	}
	return Appended{
		Position:   message.GetPosition(),
		Count:      message.GetCount(),
		Versions:   versions,
		RecordedAt: recordedAt,
		Repeated:   message.GetRepeated(),
	}, nil
}
