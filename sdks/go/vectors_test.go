package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"

	"factum.example/store"
)

// vector is a call of the client against a server that plays a script. README.md in the folder of all SDKs describes it.
type vector struct {
	Name   string
	Client struct {
		SilenceMS   int64 `json:"silence_ms"`
		Credentials struct{ Token, User, Password string }
	}
	Call   vectorCall
	Server []scriptedCall
	Cancel struct {
		AfterItems *int `json:"after_items"`
		AfterCall  *int `json:"after_call"`
	}
	Expect map[string]any
}

type vectorCall struct {
	Operation      string
	Stream         string
	Expected       any
	Events         []vectorEvent
	Streams        json.RawMessage
	Condition      *vectorCondition
	RequiredEvents []string        `json:"required_events"`
	IdempotencyKey json.RawMessage `json:"idempotency_key"`
	Direction      string
	Cursor         *uint64
	Limit          uint64
	MustExist      bool `json:"must_exist"`
	Query          []vectorItem
	After          *uint64
	LiveOnly       bool   `json:"live_only"`
	HeartbeatMS    int64  `json:"heartbeat_ms"`
	MaxBatch       uint32 `json:"max_batch"`
	Category       *string
	PageSize       uint32 `json:"page_size"`
	TimeoutMS      int64  `json:"timeout_ms"`

	Group            string
	Consumer         string
	Credit           uint32
	SessionTimeoutMS int64 `json:"session_timeout_ms"`
	Answers          []json.RawMessage
	Name             string
	Settings         vectorSettings
	IfGeneration     *uint64 `json:"if_generation"`
	Positions        []uint64
}

type vectorSettings struct {
	Query        []vectorItem
	After        uint64
	LiveOnly     bool `json:"live_only"`
	Partitions   uint32
	PartitionKey string `json:"partition_key"`
	PartitionTag string `json:"partition_tag"`
	AckTimeoutMS int64  `json:"ack_timeout_ms"`
	MaxAttempts  uint32 `json:"max_attempts"`
	MinBackoffMS int64  `json:"min_backoff_ms"`
	MaxBackoffMS int64  `json:"max_backoff_ms"`
	MaxInFlight  uint32 `json:"max_in_flight"`
	MaxConsumers uint32 `json:"max_consumers"`
}

type vectorEvent struct {
	EventType     string `json:"event_type"`
	Data          json.RawMessage
	DataBase64    []byte `json:"data_base64"`
	ID            string
	SchemaVersion uint32 `json:"schema_version"`
	ContentType   string `json:"content_type"`
	Tags          []string
	Metadata      vectorMetadata
}

type vectorMetadata struct {
	Actor         string
	Reason        string
	CorrelationID string `json:"correlation_id"`
	CausationID   string `json:"causation_id"`
	Tenant        string
	TraceParent   string `json:"trace_parent"`
	Extra         map[string]any
	Foreign       []byte `json:"foreign_base64"`
}

type vectorCondition struct {
	Query []vectorItem
	After uint64
}

type vectorItem struct {
	Category     string
	StreamPrefix string   `json:"stream_prefix"`
	EventTypes   []string `json:"event_types"`
	Tags         []string
}

type vectorStream struct {
	Stream   string
	Expected any
	Events   []vectorEvent
}

func TestClientFollowsTheVectors(t *testing.T) {
	encoded, err := os.ReadFile("../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(encoded, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 80 {
		t.Fatalf("only %d vectors", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			server := startScriptedServer(t, v.Server)
			outcome := v.run(t, server)
			for _, problem := range server.finish() {
				t.Error(problem)
			}
			for _, name := range []string{"error", "cancelled"} {
				_, isExpected := v.Expect[name]
				if _, isFound := outcome[name]; isFound != isExpected {
					t.Errorf("the outcome is %v", outcome)
				}
			}
			if problem := difference("outcome", v.Expect, normal(outcome)); problem != "" {
				t.Error(problem)
			}
		})
	}
}

func TestCredentialsNeedEncryption(t *testing.T) {
	encoded, err := os.ReadFile("../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Credentials []struct {
			Address string
			Error   *string
		}
	}
	if err := json.Unmarshal(encoded, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Credentials) < 5 {
		t.Fatalf("only %d addresses", len(file.Credentials))
	}
	for _, c := range file.Credentials {
		for _, option := range []store.Option{store.WithToken("secret"), store.WithBasic("ann", "secret")} {
			client, err := store.NewClient(c.Address, option)
			if err == nil {
				client.Close()
			}
			if (err == nil) != (c.Error == nil) || err != nil && err.Error() != *c.Error {
				t.Errorf("%s: %v", c.Address, err)
			}
		}
	}
}

// run makes the call of a vector, and returns its outcome.
func (v *vector) run(t *testing.T, server *scriptedServer) map[string]any {
	retry := store.Retry{MaxAttempts: 3, FirstPause: time.Millisecond, LongestPause: 5 * time.Millisecond}
	options := []store.Option{
		store.WithRetry(retry),
		store.WithReconnect(retry),
		store.WithTimeout(0),
		store.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
	}
	if v.Client.SilenceMS > 0 {
		options = append(options, store.WithSilence(time.Duration(v.Client.SilenceMS)*time.Millisecond))
	}
	if credentials := v.Client.Credentials; credentials.Token != "" {
		options = append(options, store.WithToken(credentials.Token))
	} else if credentials.User != "" {
		options = append(options, store.WithBasic(credentials.User, credentials.Password))
	}
	client, err := store.NewClient("factum://"+server.address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if v.Call.TimeoutMS > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(v.Call.TimeoutMS)*time.Millisecond)
		defer cancel()
	}
	if v.Cancel.AfterCall != nil {
		go func() {
			server.waitForCalls(*v.Cancel.AfterCall)
			cancel()
		}()
	}
	outcome := map[string]any{}
	err = v.operate(ctx, client, outcome)
	switch {
	case errors.Is(err, context.Canceled):
		outcome["cancelled"] = true
	case err != nil:
		outcome["error"] = plainError(err)
	}
	return outcome
}

func (v *vector) operate(ctx context.Context, client *store.Client, outcome map[string]any) error {
	call := v.Call
	var err error
	switch call.Operation {
	case "append", "append_streams":
		var appended store.Appended
		appended, err = call.append(ctx, client)
		outcome["result"] = map[string]any{
			"position":    appended.Position,
			"count":       appended.Count,
			"versions":    appended.Versions,
			"repeated":    appended.Repeated,
			"recorded_at": plainTime(appended.RecordedAt),
		}
	case "head":
		outcome["result"], err = client.Head(ctx)
	case "describe_stream":
		var stream store.StreamDescription
		stream, err = client.DescribeStream(ctx, call.Stream)
		result := plainSummary(stream.StreamSummary)
		result["changed_at"] = plainTime(stream.ChangedAt)
		outcome["result"] = result
	case "server_info":
		var info store.ServerInfo
		info, err = client.ServerInfo(ctx)
		outcome["result"] = map[string]any{
			"version":           info.Version,
			"backend":           info.Backend,
			"features":          info.Features,
			"max_append_events": info.MaxAppendEvents,
			"max_message_bytes": info.MaxMessageBytes,
		}
	case "list_streams":
		items := list[store.StreamSummary]{v: v, outcome: outcome}
		for stream, failed := range client.ListStreams(ctx, call.listOptions()...) {
			if !items.add(stream, failed, func(s store.StreamSummary) any {
				return map[string]any{"stream": plainSummary(s)}
			}) {
				break
			}
		}
		return items.end()
	case "subscribe":
		items := list[store.Message]{v: v, outcome: outcome}
		for message, failed := range client.Subscribe(ctx, call.subscribeOptions()...) {
			if !items.add(message, failed, plainMessage) {
				break
			}
		}
		return items.end()
	case "read_stream", "read_all":
		items := list[store.Event]{v: v, outcome: outcome}
		reader := call.reader(ctx, client)
		for event, failed := range reader.Events() {
			if !items.add(event, failed, plainEvent) {
				break
			}
		}
		outcome["head"], outcome["more"] = reader.Head(), reader.More()
		return items.end()
	case "consume":
		items := list[*store.Delivery]{v: v, outcome: outcome}
		for delivery, failed := range client.Consume(ctx, call.Group, call.consumeOptions()...) {
			isWanted := items.add(delivery, failed, plainDelivery)
			if failed == nil && len(items.items) <= len(call.Answers) {
				answer(delivery, call.Answers[len(items.items)-1])
			}
			if !isWanted {
				break
			}
		}
		return items.end()
	case "list_groups":
		items := list[store.Group]{v: v, outcome: outcome}
		for group, failed := range client.Groups().List(ctx, call.PageSize) {
			items.add(group, failed, func(g store.Group) any { return map[string]any{"group": plainGroup(g)} })
		}
		return items.end()
	case "list_dead_letters":
		items := list[store.DeadLetter]{v: v, outcome: outcome}
		for letter, failed := range client.Groups().DeadLetters(ctx, call.Group, call.PageSize) {
			items.add(letter, failed, plainDeadLetter)
		}
		return items.end()
	default:
		outcome["result"], err = call.changeGroup(ctx, client.Groups())
	}
	if err != nil {
		delete(outcome, "result")
	}
	return err
}

// list notes the items of an operation until the caller stops.
type list[T any] struct {
	v       *vector
	outcome map[string]any
	items   []any
	failed  error
}

func (l *list[T]) add(item T, err error, plain func(T) any) bool {
	if err != nil {
		l.failed = err
		return true
	}
	l.items = append(l.items, plain(item))
	limit := l.v.Cancel.AfterItems
	return limit == nil || len(l.items) < *limit
}

func (l *list[T]) end() error {
	l.outcome["items"] = l.items
	if l.items == nil {
		l.outcome["items"] = []any{}
	}
	return l.failed
}

func (c *vectorCall) append(ctx context.Context, client *store.Client) (store.Appended, error) {
	var options []store.AppendOption
	if c.Condition != nil {
		options = append(options, store.WithCondition(query(c.Condition.Query), c.Condition.After))
	}
	if len(c.RequiredEvents) > 0 {
		options = append(options, store.WithRequiredEvents(c.RequiredEvents...))
	}
	if string(c.IdempotencyKey) == "null" {
		options = append(options, store.WithoutIdempotencyKey())
	} else if c.IdempotencyKey != nil {
		options = append(options, store.WithIdempotencyKey(decoded[string](c.IdempotencyKey)))
	}
	if c.Operation == "append" {
		return client.Append(ctx, c.Stream, expectedVersion(c.Expected), newEvents(c.Events), options...)
	}
	var streams []store.StreamAppend
	for _, stream := range decoded[[]vectorStream](c.Streams) {
		part := store.StreamAppend{
			Stream:   stream.Stream,
			Expected: expectedVersion(stream.Expected),
			Events:   newEvents(stream.Events),
		}
		streams = append(streams, part)
	}
	return client.AppendStreams(ctx, streams, options...)
}

func (c *vectorCall) reader(ctx context.Context, client *store.Client) *store.Reader {
	var options []store.ReadOption
	if c.Cursor != nil {
		options = append(options, store.After(*c.Cursor))
	}
	if c.Direction == "backward" {
		options = append(options, store.Backward())
	}
	if c.Limit > 0 {
		options = append(options, store.Limit(c.Limit))
	}
	if c.Operation == "read_stream" {
		var all []store.StreamReadOption
		for _, option := range options {
			all = append(all, option)
		}
		if c.MustExist {
			all = append(all, store.MustExist())
		}
		return client.ReadStream(ctx, c.Stream, all...)
	}
	var all []store.LogReadOption
	for _, option := range options {
		all = append(all, option)
	}
	if c.Query != nil {
		all = append(all, query(c.Query))
	}
	if c.Streams != nil {
		all = append(all, store.InStreams(decoded[[]string](c.Streams)...))
	}
	return client.ReadAll(ctx, all...)
}

func (c *vectorCall) subscribeOptions() []store.SubscribeOption {
	var options []store.SubscribeOption
	if c.Query != nil {
		options = append(options, store.Matching(query(c.Query)...))
	}
	if c.After != nil {
		options = append(options, store.After(*c.After))
	}
	if c.LiveOnly {
		options = append(options, store.LiveOnly())
	}
	if c.HeartbeatMS > 0 {
		options = append(options, store.Heartbeat(time.Duration(c.HeartbeatMS)*time.Millisecond))
	}
	if c.MaxBatch > 0 {
		options = append(options, store.MaxBatch(c.MaxBatch))
	}
	return options
}

func (c *vectorCall) listOptions() []store.ListOption {
	var options []store.ListOption
	if c.Category != nil {
		options = append(options, store.InCategory(*c.Category))
	}
	if c.PageSize > 0 {
		options = append(options, store.PageSize(c.PageSize))
	}
	return options
}

func (c *vectorCall) consumeOptions() []store.ConsumeOption {
	var options []store.ConsumeOption
	if c.Consumer != "" {
		options = append(options, store.ConsumerName(c.Consumer))
	}
	if c.Credit > 0 {
		options = append(options, store.Credit(c.Credit))
	}
	if c.SessionTimeoutMS > 0 {
		options = append(options, store.SessionTimeout(time.Duration(c.SessionTimeoutMS)*time.Millisecond))
	}
	if c.HeartbeatMS > 0 {
		options = append(options, store.ServerHeartbeat(time.Duration(c.HeartbeatMS)*time.Millisecond))
	}
	return options
}

// answer gives the answer of a vector to a delivery.
func answer(delivery *store.Delivery, encoded json.RawMessage) {
	switch string(encoded) {
	case "null":
		return
	case `"ack"`:
		delivery.Ack()
		return
	}
	nack := decoded[struct {
		Action       string
		RetryAfterMS int64 `json:"retry_after_ms"`
		Reason       string
	}](encoded)
	var options []store.NackOption
	if nack.RetryAfterMS > 0 {
		options = append(options, store.RetryAfter(time.Duration(nack.RetryAfterMS)*time.Millisecond))
	}
	if nack.Reason != "" {
		options = append(options, store.Because(nack.Reason))
	}
	delivery.Nack(map[string]store.NackAction{
		"retry":       store.RetryEvent,
		"dead_letter": store.DeadLetterEvent,
		"skip":        store.SkipEvent,
		"stop":        store.StopGroup,
	}[nack.Action], options...)
	// A second answer is ignored.
	delivery.Ack()
}

// changeGroup makes a call of the management of groups that has one result.
func (c *vectorCall) changeGroup(ctx context.Context, groups *store.GroupAdmin) (any, error) {
	var group store.Group
	var err error
	switch c.Operation {
	case "create_group":
		group, err = groups.Create(ctx, c.Name, c.Settings.settings())
	case "update_group":
		if c.IfGeneration == nil {
			group, err = groups.Update(ctx, c.Name, c.Settings.settings())
		} else {
			group, err = groups.UpdateGeneration(ctx, c.Name, c.Settings.settings(), *c.IfGeneration)
		}
	case "describe_group":
		group, err = groups.Describe(ctx, c.Name)
	case "reset_group":
		group, err = groups.Reset(ctx, c.Name, *c.After)
	case "resume_group":
		group, err = groups.Resume(ctx, c.Name)
	case "delete_group":
		return nil, groups.Delete(ctx, c.Name)
	case "retry_dead_letters":
		return groups.RetryDeadLetters(ctx, c.Group, c.Positions...)
	case "discard_dead_letters":
		return groups.DiscardDeadLetters(ctx, c.Group, c.Positions...)
	default:
		return nil, fmt.Errorf("unknown operation %q", c.Operation)
	}
	return plainGroup(group), err
}

func (s vectorSettings) settings() store.GroupSettings {
	return store.GroupSettings{
		Query:    query(s.Query),
		After:    s.After,
		LiveOnly: s.LiveOnly,
		PartitionKey: map[string]store.PartitionKey{
			"stream":         store.ByStream,
			"correlation_id": store.ByCorrelationID,
			"tag":            store.ByTag,
			"none":           store.Unordered,
		}[s.PartitionKey],
		Partitions:   s.Partitions,
		PartitionTag: s.PartitionTag,
		AckTimeout:   time.Duration(s.AckTimeoutMS) * time.Millisecond,
		MaxAttempts:  s.MaxAttempts,
		MinBackoff:   time.Duration(s.MinBackoffMS) * time.Millisecond,
		MaxBackoff:   time.Duration(s.MaxBackoffMS) * time.Millisecond,
		MaxInFlight:  s.MaxInFlight,
		MaxConsumers: s.MaxConsumers,
	}
}

func plainDelivery(delivery *store.Delivery) any {
	value := plainEvent(delivery.Event).(map[string]any)
	value["attempt"] = delivery.Attempt
	return map[string]any{"delivery": value}
}

func plainGroup(group store.Group) map[string]any {
	consumers := []any{}
	for _, consumer := range group.Consumers {
		consumers = append(consumers, map[string]any{
			"name":       consumer.Name,
			"partitions": consumer.Partitions,
			"in_flight":  consumer.InFlight,
		})
	}
	value := map[string]any{
		"name":         group.Name,
		"generation":   group.Generation,
		"position":     group.Position,
		"head":         group.Head,
		"lag":          group.Lag,
		"dead_letters": group.DeadLetters,
		"consumers":    consumers,
		"stopped":      nil,
	}
	if stop := group.Stopped; stop != nil {
		value["stopped"] = map[string]any{"reason": stop.Reason, "message": stop.Message, "position": stop.Position}
	}
	return value
}

func plainDeadLetter(letter store.DeadLetter) any {
	value := map[string]any{
		"event":     nil,
		"position":  letter.Position,
		"partition": letter.Partition,
		"attempts":  letter.Attempts,
		"reason":    letter.Reason,
		"failed_at": plainTime(letter.FailedAt),
	}
	if letter.Event != nil {
		value["event"] = plainEvent(*letter.Event).(map[string]any)["event"]
	}
	return map[string]any{"dead_letter": value}
}

func query(items []vectorItem) store.Query {
	query := store.Query{}
	for _, item := range items {
		query = append(query, store.QueryItem(item))
	}
	return query
}

func newEvents(events []vectorEvent) []store.NewEvent {
	var list []store.NewEvent
	for _, event := range events {
		data := []byte(event.Data)
		if event.DataBase64 != nil {
			data = event.DataBase64
		} else {
			var err error
			if data, err = json.Marshal(decoded[any](event.Data)); err != nil {
				panic(err)
			}
		}
		list = append(list, store.NewEvent{
			Type:          event.EventType,
			Data:          data,
			ContentType:   event.ContentType,
			ID:            event.ID,
			SchemaVersion: event.SchemaVersion,
			Tags:          event.Tags,
			Metadata:      store.Metadata(event.Metadata),
		})
	}
	return list
}

func expectedVersion(value any) store.ExpectedVersion {
	switch value := value.(type) {
	case float64:
		return store.Exact(uint64(value))
	case string:
		return map[string]store.ExpectedVersion{
			"any":           store.Any,
			"no_stream":     store.NoStream,
			"stream_exists": store.StreamExists,
		}[value]
	default:
		return store.ExpectedVersion{}
	}
}

func decoded[T any](encoded json.RawMessage) T {
	var value T
	if err := json.Unmarshal(encoded, &value); err != nil {
		panic(err)
	}
	return value
}

func plainTime(t time.Time) string { return t.Format("2006-01-02T15:04:05.000000Z07:00") }

func plainSummary(s store.StreamSummary) map[string]any {
	return map[string]any{"stream": s.Stream, "version": s.Version, "position": s.Position}
}

func plainEvent(event store.Event) any {
	value := map[string]any{
		"position":       event.Position,
		"stream":         event.Stream,
		"version":        event.Version,
		"id":             event.ID,
		"event_type":     event.Type,
		"schema_version": event.SchemaVersion,
		"content_type":   event.ContentType,
		"tags":           append([]string{}, event.Tags...),
		"metadata":       plainMetadata(event.Metadata),
		"recorded_at":    plainTime(event.RecordedAt),
	}
	var data any
	if err := event.Decode(&data); err == nil {
		value["data"] = data
	} else {
		value["data_base64"] = event.Data
	}
	return map[string]any{"event": value}
}

func plainMetadata(m store.Metadata) any {
	value := map[string]any{
		"extra":          maps.Clone(m.Extra),
		"foreign_base64": append([]byte{}, m.Foreign...),
	}
	if m.Extra == nil {
		value["extra"] = map[string]any{}
	}
	texts := map[string]string{
		"actor":          m.Actor,
		"reason":         m.Reason,
		"correlation_id": m.CorrelationID,
		"causation_id":   m.CausationID,
		"tenant":         m.Tenant,
		"trace_parent":   m.TraceParent,
	}
	for name, text := range texts {
		if text != "" {
			value[name] = text
		}
	}
	return value
}

func plainMessage(message store.Message) any {
	position := map[string]any{"position": message.Position}
	switch message.Kind {
	case store.EventMessage:
		return plainEvent(*message.Event)
	case store.CaughtUp:
		return map[string]any{"caught_up": position}
	case store.FellBehind:
		position["head"] = message.Head
		return map[string]any{"fell_behind": position}
	case store.Checkpoint:
		return map[string]any{"checkpoint": position}
	default:
		return fmt.Sprintf("unknown message %v", message)
	}
}

func plainError(err error) any {
	call, ok := errors.AsType[*store.CallError](err)
	if !ok {
		return map[string]any{"kind": fmt.Sprintf("unknown error %v", err)}
	}
	value := map[string]any{"kind": string(call.Kind), "message": call.Message}
	switch err := err.(type) {
	case *store.ConflictError:
		violations := []any{}
		for _, violation := range err.Violations {
			violations = append(violations, plainViolation(violation))
		}
		value["violations"], value["omitted"] = violations, err.Omitted
	case *store.KeyReusedError:
		value["key"] = err.Key
	case *store.EventIDReusedError:
		value["id"], value["position"] = err.ID, err.Position
	case *store.BeyondHeadError:
		value["position"], value["head"] = err.Position, err.Head
	case *store.InvalidArgumentError:
		fields := []any{}
		for _, field := range err.Fields {
			fields = append(fields, map[string]any{"field": field.Field, "rule": field.Rule})
		}
		value["fields"] = fields
	case *store.GroupChangedError:
		value["expected"], value["actual"] = err.Expected, err.Actual
	case *store.GroupStoppedError:
		value["reason"], value["position"] = err.Reason, err.Position
	case *store.PermissionDeniedError:
		value["principal"], value["permission"], value["resource"] = err.Principal, err.Permission, err.Resource
	}
	return value
}

func plainViolation(violation store.Violation) any {
	switch v := violation.(type) {
	case store.VersionViolation:
		value := map[string]any{"kind": "version", "stream": v.Stream, "actual": v.Actual, "expected": v.Expected.String()}
		if version, isExact := v.Expected.Version(); isExact {
			value["expected"] = version
		}
		return value
	case store.ConditionViolation:
		return map[string]any{"kind": "condition", "found": v.Found}
	case store.DocumentViolation:
		return map[string]any{"kind": "document", "key": v.Key, "expected": v.Expected, "actual": v.Actual}
	case store.TransactionViolation:
		return map[string]any{"kind": "transaction", "message": v.Message}
	case store.MissingEvent:
		return map[string]any{"kind": "missing_event", "id": v.ID}
	default:
		return map[string]any{"kind": "unknown"}
	}
}

// normal returns a value as it is after encoding and decoding.
func normal(value any) any {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return decoded[any](encoded)
}

// difference returns the first difference between an outcome and the expectation. Further fields do not matter.
func difference(path string, expected, found any) string {
	switch expected := expected.(type) {
	case map[string]any:
		object, ok := found.(map[string]any)
		if !ok {
			break
		}
		for key, value := range expected {
			if problem := difference(path+"."+key, value, object[key]); problem != "" {
				return problem
			}
		}
		return ""
	case []any:
		list, ok := found.([]any)
		if !ok || len(list) != len(expected) {
			break
		}
		for i, value := range expected {
			if problem := difference(path+"["+strconv.Itoa(i)+"]", value, list[i]); problem != "" {
				return problem
			}
		}
		return ""
	}
	if reflect.DeepEqual(expected, found) {
		return ""
	}
	return fmt.Sprintf("%s is %v; expected %v", path, found, expected)
}
