package store

import (
	"context"
	"iter"
	"time"

	"factum.example/store/internal/storev1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// PartitionKey is the key whose events keep their order within a group.
type PartitionKey int

// The keys whose events keep their order within a group.
const (
	// ByStream is the stream.
	ByStream = PartitionKey(storev1.PartitionKey_PARTITION_KEY_STREAM)
	// ByCorrelationID is the correlation id; the stream if the event has none.
	ByCorrelationID = PartitionKey(storev1.PartitionKey_PARTITION_KEY_CORRELATION_ID)
	// ByTag is the first tag that begins with [GroupSettings].PartitionTag and a colon; the stream if the event has none.
	ByTag = PartitionKey(storev1.PartitionKey_PARTITION_KEY_TAG)
	// Unordered means that every event is a key of its own: no order holds.
	Unordered = PartitionKey(storev1.PartitionKey_PARTITION_KEY_NONE)
)

// GroupSettings are the settings of a group. The server has a default for each zero value.
type GroupSettings struct {
	// Query selects the events of the group; the default is all events.
	Query Query
	// After is the position after which a new group starts; the default is the beginning of the log.
	After uint64
	// LiveOnly starts a new group after the head at the time of its creation.
	LiveOnly bool
	// Partitions is the number of partitions, 1 to 256; the default is 16. It cannot change.
	Partitions uint32
	// PartitionKey is the key whose events keep their order; the default is [ByStream]. It cannot change.
	PartitionKey PartitionKey
	// PartitionTag is the key of the tag, for [ByTag].
	PartitionTag string
	// AckTimeout is the time in which a consumer must answer a delivery, 100 ms to 1 h; the default is 30 s.
	AckTimeout time.Duration
	// MaxAttempts is the number of failed attempts after which an event becomes a dead letter, 1 to 1,000; the default is 5.
	MaxAttempts uint32
	// MinBackoff is the pause before the second attempt, 1 ms to 1 h; the default is 1 s. Each further pause is twice as long.
	MinBackoff time.Duration
	// MaxBackoff is the longest pause, at most 24 h; the default is 1 min.
	MaxBackoff time.Duration
	// MaxInFlight is the maximum number of unanswered deliveries of one consumer, 1 to 1,000; the default is 100.
	MaxInFlight uint32
	// MaxConsumers is the maximum number of consumers on one server, 1 to 1,000; the default is 1,000.
	MaxConsumers uint32
}

func (s GroupSettings) message() *storev1.GroupSettings {
	message := &storev1.GroupSettings{
		Partitions:   s.Partitions,
		PartitionKey: storev1.PartitionKey(s.PartitionKey),
		PartitionTag: s.PartitionTag,
		AckTimeout:   pauseMessage(s.AckTimeout),
		MaxAttempts:  s.MaxAttempts,
		MinBackoff:   pauseMessage(s.MinBackoff),
		MaxBackoff:   pauseMessage(s.MaxBackoff),
		MaxInFlight:  s.MaxInFlight,
		MaxConsumers: s.MaxConsumers,
	}
	if len(s.Query) > 0 {
		message.Query = s.Query.message()
	}
	if s.LiveOnly {
		message.Start = &storev1.GroupSettings_LiveOnly{LiveOnly: &storev1.Unit{}}
	} else if s.After > 0 {
		message.Start = &storev1.GroupSettings_After{After: s.After}
	}
	return message
}

func pauseMessage(pause time.Duration) *durationpb.Duration {
	if pause == 0 {
		return nil
	}
	return durationpb.New(pause)
}

// Group is a consumer group with its progress.
type Group struct {
	// Name is the name of the group.
	Name string
	// Generation is the number of changes and of stops.
	Generation uint64
	// Position is the position up to which every event was settled in every partition.
	Position uint64
	// Head is the head of the log.
	Head uint64
	// Lag is the number of positions from Position to Head.
	Lag uint64
	// DeadLetters is the number of dead letters.
	DeadLetters uint64
	// Consumers are the consumers that are connected to the server that answers.
	Consumers []Consumer
	// Stopped is set if the group is stopped.
	Stopped *Stop
}

// Consumer is a consumer that is connected.
type Consumer struct {
	// Name is the name that it chose.
	Name string
	// Partitions are the partitions that it has.
	Partitions []uint32
	// InFlight is the number of unanswered deliveries.
	InFlight uint32
	// LastSeen is the time of its last message, in UTC.
	LastSeen time.Time
}

func groupOf(message *storev1.Group) (Group, error) {
	if message == nil {
		return Group{}, protocolError("the group is missing")
	}
	group := Group{
		Name:        message.GetName(),
		Generation:  message.GetGeneration(),
		Position:    message.GetPosition(),
		Head:        message.GetHead(),
		Lag:         message.GetLag(),
		DeadLetters: message.GetDeadLetters(),
	}
	for _, consumer := range message.GetConsumers() {
		group.Consumers = append(group.Consumers, Consumer{
			Name:       consumer.GetName(),
			Partitions: consumer.GetPartitions(),
			InFlight:   consumer.GetInFlight(),
			LastSeen:   consumer.GetLastSeen().AsTime(),
		})
	}
	if message.GetStopped() != nil {
		stop := stopOf(message.GetStopped())
		group.Stopped = &stop
	}
	return group, nil
}

// DeadLetter is an event that failed permanently.
type DeadLetter struct {
	// Event is the event; nil if the log does not have it any more.
	Event *Event
	// Position is the position of the event.
	Position uint64
	// Partition is the partition of the group.
	Partition uint32
	// Attempts is the number of failed attempts.
	Attempts uint32
	// Reason is the reason, in the words of the consumer.
	Reason string
	// FailedAt is the time of the last failure, in UTC.
	FailedAt time.Time
}

func deadLetterOf(message *storev1.GroupDeadLetter) (DeadLetter, error) {
	failedAt, err := timeOf("failed_at", message.GetFailedAt())
	if err != nil {
		return DeadLetter{}, err
	}
	letter := DeadLetter{
		Position:  message.GetPosition(),
		Partition: message.GetPartition(),
		Attempts:  message.GetAttempts(),
		Reason:    message.GetReason(),
		FailedAt:  failedAt,
	}
	if message.GetEvent() != nil {
		event, err := eventOf(message.GetEvent())
		if err != nil {
			return DeadLetter{}, err
		}
		letter.Event = &event
	}
	return letter, nil
}

// GroupAdmin creates, describes and changes consumer groups. A change is not repeated if its outcome is unknown.
type GroupAdmin struct {
	client *Client
	calls  storev1.ConsumerGroupServiceClient
}

// Groups returns the management of consumer groups.
func (c *Client) Groups() *GroupAdmin {
	return &GroupAdmin{c, storev1.NewConsumerGroupServiceClient(c.connection)}
}

// groupAnswer is an answer with a group.
type groupAnswer interface{ GetGroup() *storev1.Group }

// change makes a call that changes a group. It is treated as an append without a key.
func change[Q, A any](ctx context.Context, g *GroupAdmin, request Q, procedure unary[Q, A]) (A, error) {
	t := g.client.tries(g.client.settings.retry)
	t.isWrite = true
	return call(ctx, g.client, t, request, procedure)
}

// changeGroup makes a call that changes a group and returns it.
func changeGroup[Q any, A groupAnswer](
	ctx context.Context, g *GroupAdmin, request Q, procedure unary[Q, A],
) (Group, error) {
	answer, err := change(ctx, g, request, procedure)
	if err != nil {
		return Group{}, err
	}
	return groupOf(answer.GetGroup())
}

// Create creates a group. The kind of the error is [GroupExists] if there is a group of this name.
func (g *GroupAdmin) Create(ctx context.Context, name string, settings GroupSettings) (Group, error) {
	request := &storev1.CreateGroupRequest{Name: name, Settings: settings.message()}
	return changeGroup(ctx, g, request, g.calls.CreateGroup)
}

// Update replaces the settings of a group.
func (g *GroupAdmin) Update(ctx context.Context, name string, settings GroupSettings) (Group, error) {
	request := &storev1.UpdateGroupRequest{Name: name, Settings: settings.message()}
	return changeGroup(ctx, g, request, g.calls.UpdateGroup)
}

// UpdateGeneration replaces the settings of a group that must have this generation. Otherwise, the error is a
// [*GroupChangedError].
func (g *GroupAdmin) UpdateGeneration(
	ctx context.Context, name string, settings GroupSettings, generation uint64,
) (Group, error) {
	request := &storev1.UpdateGroupRequest{Name: name, Settings: settings.message(), IfGeneration: &generation}
	return changeGroup(ctx, g, request, g.calls.UpdateGroup)
}

// Delete deletes a group with its positions and dead letters. Its consumers are stopped.
func (g *GroupAdmin) Delete(ctx context.Context, name string) error {
	_, err := change(ctx, g, &storev1.DeleteGroupRequest{Name: name}, g.calls.DeleteGroup)
	return err
}

// Describe returns a group with its progress and its consumers.
func (g *GroupAdmin) Describe(ctx context.Context, name string) (Group, error) {
	answer, err := ask(ctx, g.client, &storev1.DescribeGroupRequest{Name: name}, g.calls.DescribeGroup)
	if err != nil {
		return Group{}, err
	}
	return groupOf(answer.GetGroup())
}

// Reset moves a group to a position, and lets it run if it was stopped. All later events are delivered again.
func (g *GroupAdmin) Reset(ctx context.Context, name string, after uint64) (Group, error) {
	return changeGroup(ctx, g, &storev1.ResetGroupRequest{Name: name, After: after}, g.calls.ResetGroup)
}

// Resume lets a stopped group run again, at the position where it stopped.
func (g *GroupAdmin) Resume(ctx context.Context, name string) (Group, error) {
	return changeGroup(ctx, g, &storev1.ResumeGroupRequest{Name: name}, g.calls.ResumeGroup)
}

// List returns the groups in the byte order of their names. The page size is that of one call, at most 100; 0 means 100. An
// error is the last item.
func (g *GroupAdmin) List(ctx context.Context, pageSize uint32) iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		request := &storev1.ListGroupsRequest{PageSize: pageSize}
		for {
			page, err := ask(ctx, g.client, request, g.calls.ListGroups)
			if err != nil {
				yield(Group{}, err)
				return
			}
			for _, message := range page.GetGroups() {
				group, err := groupOf(message)
				if !yield(group, err) || err != nil {
					return
				}
			}
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				return
			}
		}
	}
}

// DeadLetters returns the dead letters of a group in the order of their positions. The page size is that of one call, at
// most 100; 0 means 100. An error is the last item.
func (g *GroupAdmin) DeadLetters(ctx context.Context, group string, pageSize uint32) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		request := &storev1.ListDeadLettersRequest{Group: group, PageSize: pageSize}
		for {
			page, err := ask(ctx, g.client, request, g.calls.ListDeadLetters)
			if err != nil {
				yield(DeadLetter{}, err)
				return
			}
			for _, message := range page.GetDeadLetters() {
				letter, err := deadLetterOf(message)
				if !yield(letter, err) || err != nil {
					return
				}
			}
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				return
			}
		}
	}
}

// RetryDeadLetters removes dead letters, and delivers their events again. It returns their number.
//
// Without positions, all dead letters are meant, at most 1,000 in one call.
func (g *GroupAdmin) RetryDeadLetters(ctx context.Context, group string, positions ...uint64) (uint64, error) {
	request := &storev1.RetryDeadLettersRequest{Group: group, Positions: positions}
	answer, err := change(ctx, g, request, g.calls.RetryDeadLetters)
	return answer.GetRetried(), err
}

// DiscardDeadLetters removes dead letters permanently. It returns their number.
//
// Without positions, all dead letters are meant, at most 1,000 in one call.
func (g *GroupAdmin) DiscardDeadLetters(ctx context.Context, group string, positions ...uint64) (uint64, error) {
	request := &storev1.DiscardDeadLettersRequest{Group: group, Positions: positions}
	answer, err := change(ctx, g, request, g.calls.DiscardDeadLetters)
	return answer.GetDiscarded(), err
}
