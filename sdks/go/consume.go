package store

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	"factum.example/store/internal/storev1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// defaultSessionTimeout is that of the server, if the caller sets none.
	defaultSessionTimeout = 15 * time.Second
	// leaveLimit is the time without a message after which a consumer that leaves cancels its call.
	leaveLimit = 5 * time.Second
	// defaultCredit is the number of events that a consumer can take before it answers one.
	defaultCredit = 10
)

// ConsumeOption changes a consumer.
type ConsumeOption func(*storev1.ConsumeRequest_Start)

// ConsumerName sets the name of a consumer for people, at most 200 bytes.
func ConsumerName(name string) ConsumeOption {
	return func(s *storev1.ConsumeRequest_Start) { s.Consumer = name }
}

// Credit sets the number of events that a consumer can take before it answers one; the default is 10.
func Credit(events uint32) ConsumeOption {
	return func(s *storev1.ConsumeRequest_Start) { s.Credit = events }
}

// SessionTimeout sets the time without a message after which the server considers the consumer dead, 1 s to 60 s; the
// default is 15 s. The client sends a heartbeat in each third of it, also while the caller works.
func SessionTimeout(timeout time.Duration) ConsumeOption {
	return func(s *storev1.ConsumeRequest_Start) { s.SessionTimeout = durationpb.New(timeout) }
}

// ServerHeartbeat sets the longest time without a message of the server, 100 ms to 5 s; the default is 5 s.
func ServerHeartbeat(heartbeat time.Duration) ConsumeOption {
	return func(s *storev1.ConsumeRequest_Start) { s.Heartbeat = durationpb.New(heartbeat) }
}

// Consume returns the deliveries of a consumer group, without end. Answer each one with [Delivery.Ack] or [Delivery.Nack].
//
// A consumer whose connection is lost joins its group again. The server delivers the events without an answer again. A loop
// that ends leaves the group after all answers were sent. An error that a new connection does not remove is the last item.
func (c *Client) Consume(ctx context.Context, group string, options ...ConsumeOption) iter.Seq2[*Delivery, error] {
	return func(yield func(*Delivery, error) bool) {
		start := &storev1.ConsumeRequest_Start{Group: group, Credit: defaultCredit}
		for _, option := range options {
			option(start)
		}
		t := c.tries(c.settings.reconnect)
		for {
			joined, err := c.join(ctx, start)
			for err == nil {
				var answer *storev1.ConsumeResponse
				answer, err = receive(joined.call, joined.cancel, c.settings.silence)
				if err != nil {
					break
				}
				if stopped := answer.GetStopped(); stopped != nil {
					if !isTemporary(stopped.GetReason()) {
						joined.drop()
						yield(nil, stoppedError(stopped))
						return
					}
					err = status.Error(codes.Unavailable, stopped.GetMessage())
					break
				}
				t.reset()
				if lost := answer.GetNotSettled(); lost != nil {
					c.settings.logger.Warn("answers do not count", "positions", lost.GetPositions(), "reason", lost.GetReason())
				}
				if answer.GetDelivery() == nil {
					continue
				}
				delivery, invalid := deliveryOf(answer.GetDelivery(), joined)
				if invalid != nil {
					joined.drop()
					yield(nil, invalid)
					return
				}
				if !yield(delivery, nil) {
					joined.leave()
					return
				}
			}
			joined.drop()
			if err := t.pause(ctx, failure{err, true}); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// joined is the call of a consumer that has joined its group.
type joined struct {
	call   storev1.ConsumerGroupService_ConsumeClient
	cancel context.CancelFunc

	// mutex protects the requests, which the caller and the heartbeats send.
	mutex     sync.Mutex
	hasEnded  bool
	heartbeat *time.Timer
	interval  time.Duration
}

// join starts the call of a consumer. The result is valid also after an error.
func (c *Client) join(ctx context.Context, start *storev1.ConsumeRequest_Start) (*joined, error) {
	ctx, cancel := context.WithCancel(ctx)
	j := &joined{cancel: cancel, interval: defaultSessionTimeout / 3}
	if start.GetSessionTimeout() != nil {
		j.interval = start.GetSessionTimeout().AsDuration() / 3
	}
	call, err := storev1.NewConsumerGroupServiceClient(c.connection).Consume(ctx)
	if err != nil {
		return j, err
	}
	j.call = call
	j.heartbeat = time.AfterFunc(j.interval, func() {
		j.send(&storev1.ConsumeRequest{Message: &storev1.ConsumeRequest_Heartbeat_{Heartbeat: &storev1.ConsumeRequest_Heartbeat{}}})
	})
	j.send(&storev1.ConsumeRequest{Message: &storev1.ConsumeRequest_Start_{Start: start}})
	return j, nil
}

// send sends requests, and starts the time to the next heartbeat again. The error of a lost connection is that of the next
// message of the server.
func (j *joined) send(requests ...*storev1.ConsumeRequest) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.hasEnded {
		return
	}
	for _, request := range requests {
		if err := j.call.Send(request); err != nil {
			return
		}
	}
	j.heartbeat.Reset(j.interval)
}

// end ends the requests.
func (j *joined) end() {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.hasEnded = true
	if j.heartbeat != nil {
		j.heartbeat.Stop()
	}
}

// drop cancels the call.
func (j *joined) drop() {
	j.cancel()
	j.end()
}

// leave ends the requests, and waits for the end of the call, so that all answers arrive.
func (j *joined) leave() {
	j.end()
	defer j.cancel()
	if err := j.call.CloseSend(); err != nil {
		return
	}
	for {
		if _, err := receive(j.call, j.cancel, leaveLimit); err != nil {
			return
		}
	}
}

func isTemporary(reason storev1.StopReason) bool {
	switch reason {
	case storev1.StopReason_STOP_REASON_SERVER_STOPPING, storev1.StopReason_STOP_REASON_STORE_FAILED,
		storev1.StopReason_STOP_REASON_CONSUMER_SILENT, storev1.StopReason_STOP_REASON_CONSUMER_SLOW:
		return true
	default:
		return false
	}
}

func stoppedError(stopped *storev1.Stopped) error {
	stop := stopOf(stopped)
	call := CallError{Kind: GroupStopped, Message: stop.Message}
	return &GroupStoppedError{call, stop.Reason, stop.Position}
}

// Delivery is an event for a consumer, which must answer it once. Further answers are ignored.
//
// The server delivers an event without an answer again, after the answer timeout of the group.
type Delivery struct {
	// Event is the event.
	Event Event
	// Attempt is the number of failed attempts, and 1.
	Attempt uint32

	partition uint32
	fence     uint64
	joined    *joined
	once      sync.Once
}

func deliveryOf(message *storev1.ConsumeResponse_Delivery, j *joined) (*Delivery, error) {
	if message.GetEvent() == nil {
		return nil, protocolError("a delivery has no event")
	}
	event, err := eventOf(message.GetEvent())
	if err != nil {
		return nil, err
	}
	return &Delivery{
		Event:     event,
		Attempt:   message.GetAttempt(),
		partition: message.GetPartition(),
		fence:     message.GetFence(),
		joined:    j,
	}, nil
}

// Ack reports that the event was processed.
//
// If the connection was lost, the answer is dropped, and the event is delivered again.
func (d *Delivery) Ack() {
	d.answer(&storev1.ConsumeRequest{Message: &storev1.ConsumeRequest_Ack_{Ack: &storev1.ConsumeRequest_Ack{
		Partition: d.partition,
		Fence:     d.fence,
		Positions: []uint64{d.Event.Position},
	}}})
}

// NackOption changes a negative answer.
type NackOption func(*storev1.ConsumeRequest_Nack)

// NackAction is the consequence of an event that was not processed.
type NackAction int

// The consequences of an event that was not processed.
const (
	// RetryEvent delivers the event again; after the maximum number of attempts it becomes a dead letter.
	RetryEvent = NackAction(storev1.ConsumeRequest_ACTION_RETRY)
	// DeadLetterEvent makes the event a dead letter.
	DeadLetterEvent = NackAction(storev1.ConsumeRequest_ACTION_DEAD_LETTER)
	// SkipEvent settles the event as if it were processed.
	SkipEvent = NackAction(storev1.ConsumeRequest_ACTION_SKIP)
	// StopGroup stops the group for all consumers, until it is resumed or reset.
	StopGroup = NackAction(storev1.ConsumeRequest_ACTION_STOP)
)

// Because sets the reason for people, of which the server stores 2,000 bytes.
func Because(reason string) NackOption {
	return func(n *storev1.ConsumeRequest_Nack) { n.Reason = reason }
}

// RetryAfter sets the pause before the next attempt, at most 24 h; the default is that of the group.
func RetryAfter(pause time.Duration) NackOption {
	return func(n *storev1.ConsumeRequest_Nack) { n.RetryAfter = durationpb.New(pause) }
}

// Nack reports that the event was not processed.
//
// If the connection was lost, the answer is dropped, and the event is delivered again.
func (d *Delivery) Nack(action NackAction, options ...NackOption) {
	nack := &storev1.ConsumeRequest_Nack{
		Partition: d.partition,
		Fence:     d.fence,
		Position:  d.Event.Position,
		Action:    storev1.ConsumeRequest_Action(action),
	}
	for _, option := range options {
		option(nack)
	}
	d.answer(&storev1.ConsumeRequest{Message: &storev1.ConsumeRequest_Nack_{Nack: nack}})
}

func (d *Delivery) answer(answer *storev1.ConsumeRequest) {
	credit := &storev1.ConsumeRequest_Credit{Events: 1}
	d.once.Do(func() {
		d.joined.send(answer, &storev1.ConsumeRequest{Message: &storev1.ConsumeRequest_Credit_{Credit: credit}})
	})
}

// Stop is the reason why a group or a consumer has stopped.
type Stop struct {
	// Reason is the reason, for example "group_deleted"; "unknown" if this client does not know it.
	Reason string
	// Message is the message of the server.
	Message string
	// Position is the position of the group.
	Position uint64
}

func stopOf(message *storev1.Stopped) Stop {
	reason := "unknown"
	name, isKnown := storev1.StopReason_name[int32(message.GetReason())]
	if isKnown && message.GetReason() != storev1.StopReason_STOP_REASON_UNSPECIFIED {
		reason = strings.ToLower(strings.TrimPrefix(name, "STOP_REASON_"))
	}
	return Stop{reason, message.GetMessage(), message.GetPosition()}
}
