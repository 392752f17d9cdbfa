package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"factum.example/store/internal/storev1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// MessageKind is the kind of a message of a subscription.
type MessageKind int

// The kinds of messages of a subscription.
const (
	// EventMessage is an event.
	EventMessage MessageKind = iota + 1
	// CaughtUp means that all stored events were delivered; new ones follow as they are stored.
	CaughtUp
	// FellBehind means that the reader is too slow for the new events; stored ones follow again. No event is missing.
	FellBehind
	// Checkpoint means that the log was examined up to a position, and no further event matches.
	Checkpoint
)

// Message is a message of a subscription.
type Message struct {
	// Kind is the kind of the message.
	Kind MessageKind
	// Position is the position after which a later subscription can start.
	Position uint64
	// Event is the event of an [EventMessage], and nil otherwise.
	Event *Event
	// Head is the head of the log in a [FellBehind] message.
	Head uint64
}

// SubscribeOption changes a subscription.
type SubscribeOption interface {
	changeSubscribe(*storev1.SubscribeRequest)
}

// subscribeOption is an option of subscriptions only.
type subscribeOption func(*storev1.SubscribeRequest)

func (o subscribeOption) changeSubscribe(r *storev1.SubscribeRequest) { o(r) }

// StartOption is the start of a read or of a subscription.
type StartOption interface {
	ReadOption
	SubscribeOption
}

// after is the start after a version or a position.
type after uint64

func (o after) changeStreamRead(r *storev1.ReadStreamRequest) { r.Cursor = (*uint64)(&o) }
func (o after) changeLogRead(r *storev1.ReadAllRequest)       { r.Cursor = (*uint64)(&o) }
func (o after) changeSubscribe(r *storev1.SubscribeRequest) {
	r.Start = &storev1.SubscribeRequest_After{After: uint64(o)}
}

// After starts after this version of a stream, or after this position of the log. The default is the beginning.
func After(cursor uint64) StartOption { return after(cursor) }

// FilterOption selects the events of a read of the log, or of a subscription.
type FilterOption interface {
	LogReadOption
	SubscribeOption
}

func (q Query) changeLogRead(r *storev1.ReadAllRequest) {
	r.Scope = &storev1.ReadAllRequest_Query{Query: q.message()}
}
func (q Query) changeSubscribe(r *storev1.SubscribeRequest) { r.Query = q.message() }

// Matching selects the events that match one of the items.
func Matching(items ...QueryItem) FilterOption { return Query(items) }

// LiveOnly starts after the head at the time of the call.
func LiveOnly() SubscribeOption {
	return subscribeOption(func(r *storev1.SubscribeRequest) {
		r.Start = &storev1.SubscribeRequest_LiveOnly{LiveOnly: &storev1.Unit{}}
	})
}

// Heartbeat sets the longest time without a message of the server, 100 ms to 5 s; the default is 5 s.
func Heartbeat(heartbeat time.Duration) SubscribeOption {
	return subscribeOption(func(r *storev1.SubscribeRequest) { r.Heartbeat = durationpb.New(heartbeat) })
}

// MaxBatch sets the maximum number of events in one message of the server, 1 to 1,000; the default is 1,000.
func MaxBatch(events uint32) SubscribeOption {
	return subscribeOption(func(r *storev1.SubscribeRequest) { r.MaxBatch = events })
}

// Subscribe returns stored events, then new ones, without end, without a gap and without a duplicate.
//
// A subscription whose connection is lost connects again and resumes after the last message. An error that a new
// connection does not remove is the last item. The subscription ends with its context, and with the loop that uses it.
func (c *Client) Subscribe(ctx context.Context, options ...SubscribeOption) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		request := &storev1.SubscribeRequest{}
		for _, option := range options {
			option.changeSubscribe(request)
		}
		s := subscription{request: request, position: request.GetAfter()}
		t := c.tries(c.settings.reconnect)
		for {
			call, cancel := context.WithCancel(ctx)
			answers, err := c.calls.Subscribe(call, request)
			for err == nil {
				var answer *storev1.SubscribeResponse
				answer, err = receive(answers, cancel, c.settings.silence)
				if err != nil {
					break
				}
				t.reset()
				messages, invalid := s.messages(answer)
				if invalid != nil {
					cancel()
					yield(Message{}, invalid)
					return
				}
				for _, message := range messages {
					if !yield(message, nil) {
						cancel()
						return
					}
				}
			}
			cancel()
			if err := t.pause(ctx, failure{err, true}); err != nil {
				yield(Message{}, err)
				return
			}
		}
	}
}

// receive waits for the next message, at most for the time of silence.
func receive[A any](
	answers interface{ Recv() (*A, error) }, cancel context.CancelFunc, silence time.Duration,
) (*A, error) {
	timer := time.AfterFunc(silence, cancel)
	answer, err := answers.Recv()
	isSilent := !timer.Stop()
	switch {
	case err == nil:
		return answer, nil
	case isSilent:
		return nil, status.Error(codes.Unavailable, fmt.Sprintf("the server sent no message for %v", silence))
	case errors.Is(err, io.EOF):
		return nil, status.Error(codes.Unavailable, "the server ended the subscription")
	default:
		return nil, err
	}
}

// subscription is the state of a subscription.
type subscription struct {
	request  *storev1.SubscribeRequest
	position uint64
}

// messages converts an answer, and moves the position from which the subscription resumes.
func (s *subscription) messages(answer *storev1.SubscribeResponse) ([]Message, error) {
	var message Message
	switch kind := answer.GetMessage().(type) {
	case *storev1.SubscribeResponse_Events:
		return s.events(kind.Events)
	case *storev1.SubscribeResponse_CaughtUp:
		message = Message{Kind: CaughtUp, Position: kind.CaughtUp.GetPosition()}
	case *storev1.SubscribeResponse_FellBehind:
		position, head := kind.FellBehind.GetPosition(), kind.FellBehind.GetHead()
		message = Message{Kind: FellBehind, Position: position, Head: head}
	case *storev1.SubscribeResponse_Checkpoint:
		message = Message{Kind: Checkpoint, Position: kind.Checkpoint.GetPosition()}
	default:
		// A newer server may send further kinds of messages.
		return nil, nil
	}
	s.advance(message.Position)
	return []Message{message}, nil
}

func (s *subscription) events(batch *storev1.EventBatch) ([]Message, error) {
	events, err := eventsOf(batch.GetEvents())
	if err != nil {
		return nil, err
	}
	last := s.position
	messages := make([]Message, 0, len(events)+1)
	for i := range events {
		position := events[i].Position
		if position <= last {
			return nil, protocolError("event at position %d after position %d", position, last)
		}
		last = position
		messages = append(messages, Message{Kind: EventMessage, Position: position, Event: &events[i]})
	}
	position := batch.GetPosition()
	if position < last {
		return nil, protocolError("batch with position %d and an event at %d", position, last)
	}
	if position > last || len(events) == 0 {
		messages = append(messages, Message{Kind: Checkpoint, Position: position})
	}
	s.advance(position)
	return messages, nil
}

func (s *subscription) advance(position uint64) {
	s.position = position
	s.request.Start = &storev1.SubscribeRequest_After{After: position}
}
