package store

import (
	"context"
	"errors"
	"io"
	"iter"

	"factum.example/store/internal/storev1"
	"google.golang.org/grpc"
)

// reading is a read of one stream or of the log.
type reading struct {
	ctx    context.Context
	client *Client
	// stream is set for a read of one stream, and log for a read of the log.
	stream *storev1.ReadStreamRequest
	log    *storev1.ReadAllRequest
}

// StreamReadOption changes a read of one stream.
type StreamReadOption interface {
	changeStreamRead(*storev1.ReadStreamRequest)
}

// LogReadOption changes a read of the log.
type LogReadOption interface{ changeLogRead(*storev1.ReadAllRequest) }

// ReadOption changes a read of one stream or of the log.
type ReadOption interface {
	StreamReadOption
	LogReadOption
}

// readOption sets the fields that both reads have.
type readOption struct {
	direction storev1.Direction
	cursor    *uint64
	limit     uint64
}

func (o readOption) changeStreamRead(r *storev1.ReadStreamRequest) {
	if o.direction != storev1.Direction_DIRECTION_UNSPECIFIED {
		r.Direction = o.direction
	}
	if o.cursor != nil {
		r.Cursor = o.cursor
	}
	if o.limit > 0 {
		r.Limit = o.limit
	}
}

func (o readOption) changeLogRead(r *storev1.ReadAllRequest) {
	if o.direction != storev1.Direction_DIRECTION_UNSPECIFIED {
		r.Direction = o.direction
	}
	if o.cursor != nil {
		r.Cursor = o.cursor
	}
	if o.limit > 0 {
		r.Limit = o.limit
	}
}

// Backward reads backward: the newest event is first.
func Backward() ReadOption { return readOption{direction: storev1.Direction_DIRECTION_BACKWARD} }

// Before reads backward, and begins before this version of a stream, or this position of the log.
func Before(cursor uint64) ReadOption {
	return readOption{direction: storev1.Direction_DIRECTION_BACKWARD, cursor: &cursor}
}

// Limit sets the maximum number of events; the default is no limit.
func Limit(events uint64) ReadOption { return readOption{limit: events} }

// mustExist requires that a stream has events.
type mustExist struct{}

func (mustExist) changeStreamRead(r *storev1.ReadStreamRequest) { r.MustExist = true }

// MustExist requires that the stream has events: otherwise the kind of the error is [NotFound].
func MustExist() StreamReadOption { return mustExist{} }

// inStreams selects streams.
type inStreams []string

func (o inStreams) changeLogRead(r *storev1.ReadAllRequest) {
	r.Scope = &storev1.ReadAllRequest_Streams{Streams: &storev1.StreamNames{Names: o}}
}

// InStreams reads only the events of these streams, at most 10,000, in the order of the log.
func InStreams(streams ...string) LogReadOption { return inStreams(streams) }

// ReadStream reads the events of one stream. The read begins when [Reader.Events] is used.
func (c *Client) ReadStream(ctx context.Context, stream string, options ...StreamReadOption) *Reader {
	request := &storev1.ReadStreamRequest{Stream: stream, Direction: storev1.Direction_DIRECTION_FORWARD}
	for _, option := range options {
		option.changeStreamRead(request)
	}
	return &Reader{reading: reading{ctx: ctx, client: c, stream: request}}
}

// ReadAll reads the events of the log, of a query, or of several streams. The read begins when [Reader.Events] is used.
func (c *Client) ReadAll(ctx context.Context, options ...LogReadOption) *Reader {
	request := &storev1.ReadAllRequest{Direction: storev1.Direction_DIRECTION_FORWARD}
	for _, option := range options {
		option.changeLogRead(request)
	}
	return &Reader{reading: reading{ctx: ctx, client: c, log: request}}
}

// Reader is a read. A read whose connection is lost resumes after the last event. It ends at the head that the log had at
// the first answer.
type Reader struct {
	reading reading
	head    uint64
	more    bool
}

// Head returns the head of the log at the first answer; 0 before it. After the end of a read, it is the position for an
// append condition.
func (r *Reader) Head() uint64 { return r.head }

// More returns whether the read ended at its limit, and there may be more events.
func (r *Reader) More() bool { return r.more }

// Collect reads all events into memory.
func (r *Reader) Collect() ([]Event, error) {
	var events []Event
	for event, err := range r.Events() {
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

// Events reads the events. An error is the last item. Use it once. A loop that ends early cancels the call.
func (r *Reader) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		t := r.reading.client.tries(r.reading.client.settings.retry)
		limit := r.reading.limit()
		remaining := limit
		isFirst := true
		for {
			answers, cancel, err := r.reading.open()
			for err == nil {
				var answer readAnswer
				answer, err = answers()
				if err != nil {
					break
				}
				events, invalid := eventsOf(answer.GetEvents())
				if invalid != nil {
					cancel()
					yield(Event{}, invalid)
					return
				}
				t.reset()
				if isFirst {
					r.head = answer.GetHead()
					isFirst = false
				}
				r.more = answer.GetMore()
				for _, event := range events {
					if event.Position > r.head {
						if r.reading.isBackward() {
							// It was stored after the first answer.
							continue
						}
						r.more = false
						cancel()
						return
					}
					remaining--
					r.reading.resumeAfter(event, remaining, limit > 0)
					if !yield(event, nil) {
						cancel()
						return
					}
				}
			}
			cancel()
			if errors.Is(err, io.EOF) {
				return
			}
			if limit > 0 && remaining == 0 {
				// Whether there are more events is not known.
				r.more = true
				return
			}
			if err := t.pause(r.reading.ctx, failure{err, true}); err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

// readAnswer is a message of a read.
type readAnswer interface {
	GetEvents() []*storev1.Event
	GetHead() uint64
	GetMore() bool
}

// open starts the call, and returns a function for its answers and one that ends it.
func (r *reading) open() (func() (readAnswer, error), context.CancelFunc, error) {
	ctx, cancel := context.WithCancel(r.ctx)
	if r.stream != nil {
		answers, err := r.client.calls.ReadStream(ctx, r.stream)
		return receiver(answers), cancel, err
	}
	answers, err := r.client.calls.ReadAll(ctx, r.log)
	return receiver(answers), cancel, err
}

func receiver[A any, P interface {
	*A
	readAnswer
}](answers grpc.ServerStreamingClient[A]) func() (readAnswer, error) {
	return func() (readAnswer, error) {
		answer, err := answers.Recv()
		return P(answer), err
	}
}

func (r *reading) limit() uint64 {
	if r.stream != nil {
		return r.stream.GetLimit()
	}
	return r.log.GetLimit()
}

func (r *reading) isBackward() bool {
	direction := r.log.GetDirection()
	if r.stream != nil {
		direction = r.stream.GetDirection()
	}
	return direction == storev1.Direction_DIRECTION_BACKWARD
}

// resumeAfter changes the request so that it begins after an event.
func (r *reading) resumeAfter(event Event, remaining uint64, hasLimit bool) {
	if r.stream != nil {
		r.stream.Cursor = &event.Version
		if hasLimit {
			r.stream.Limit = remaining
		}
		return
	}
	r.log.Cursor = &event.Position
	if hasLimit {
		r.log.Limit = remaining
	}
}
