package store

import (
	"encoding/json"
	"fmt"
	"time"

	"factum.example/store/internal/storev1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// jsonType is the media type that an empty content type stands for.
const jsonType = "application/json"

// Metadata is the actor, the reason and the correlation of an event. An empty text means that a field is not set.
type Metadata struct {
	// Actor is the sender of the command.
	Actor string
	// Reason is the reason, in the actor's words.
	Reason string
	// CorrelationID is the UUID that everything shares that follows from one request.
	CorrelationID string
	// CausationID is the UUID of the event or message that caused this one.
	CausationID string
	// Tenant is the tenant of the application.
	Tenant string
	// TraceParent is the W3C trace context.
	TraceParent string
	// Extra has further entries.
	Extra map[string]any
	// Foreign is the metadata that a client of another protocol has sent, byte for byte.
	Foreign []byte
}

// NewEvent is an event that is not stored yet.
type NewEvent struct {
	// Type is the event type, for example "account.opened".
	Type string
	// Data is the encoded data.
	Data []byte
	// ContentType is the media type of the data; empty means "application/json".
	ContentType string
	// ID is the UUID of the event; the server creates one if it is empty.
	ID string
	// SchemaVersion is the version of the event schema; 0 means 1.
	SchemaVersion uint32
	// Tags are the tags, by which queries find the event.
	Tags []string
	// Metadata is the metadata.
	Metadata Metadata
}

// JSON creates an event whose data is value as JSON.
func JSON(eventType string, value any, tags ...string) (NewEvent, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return NewEvent{}, fmt.Errorf("cannot encode the data of %q: %w", eventType, err)
	}
	return NewEvent{Type: eventType, Data: data, Tags: tags}, nil
}

// Event is a stored event.
type Event struct {
	// Position is the position in the log, from 1, without gaps.
	Position uint64
	// Stream is the name of the stream.
	Stream string
	// Version is the number of the event in its stream, from 1, without gaps.
	Version uint64
	// ID is the UUID of the event.
	ID string
	// Type is the event type.
	Type string
	// SchemaVersion is the version of the event schema, from 1.
	SchemaVersion uint32
	// ContentType is the media type of the data.
	ContentType string
	// Data is the data.
	Data []byte
	// Tags are the tags.
	Tags []string
	// Metadata is the metadata.
	Metadata Metadata
	// RecordedAt is the time at which the event was stored, in UTC, in microseconds.
	RecordedAt time.Time
}

// Decode decodes the data of the event as JSON into value, which is a pointer.
func (e Event) Decode(value any) error {
	if err := json.Unmarshal(e.Data, value); err != nil {
		return fmt.Errorf("cannot decode the data of the event at position %d: %w", e.Position, err)
	}
	return nil
}

func (e NewEvent) message() (*storev1.NewEvent, error) {
	metadata, err := e.Metadata.message()
	if err != nil {
		return nil, fmt.Errorf("cannot encode the metadata of %q: %w", e.Type, err)
	}
	return &storev1.NewEvent{
		Id:            e.ID,
		EventType:     e.Type,
		SchemaVersion: e.SchemaVersion,
		ContentType:   e.ContentType,
		Data:          e.Data,
		Tags:          e.Tags,
		Metadata:      metadata,
	}, nil
}

func (m Metadata) message() (*storev1.Metadata, error) {
	message := &storev1.Metadata{
		Actor:         optional(m.Actor),
		Reason:        optional(m.Reason),
		CorrelationId: optional(m.CorrelationID),
		CausationId:   optional(m.CausationID),
		Tenant:        optional(m.Tenant),
		TraceParent:   optional(m.TraceParent),
		Foreign:       m.Foreign,
	}
	if len(m.Extra) > 0 {
		extra, err := json.Marshal(m.Extra)
		if err != nil {
			return nil, err
		}
		message.Extra = extra
	}
	isSet := len(m.Extra) > 0 || len(m.Foreign) > 0
	for _, text := range []string{m.Actor, m.Reason, m.CorrelationID, m.CausationID, m.Tenant, m.TraceParent} {
		isSet = isSet || text != ""
	}
	if !isSet {
		return nil, nil
	}
	return message, nil
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// eventsOf converts all events of a message, or returns the error of the first one that is not valid.
func eventsOf(messages []*storev1.Event) ([]Event, error) {
	events := make([]Event, 0, len(messages))
	for _, message := range messages {
		event, err := eventOf(message)
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

func eventOf(message *storev1.Event) (Event, error) {
	if !isUUID(message.GetId()) {
		return Event{}, protocolError("event at position %d: id %q is not a UUID", message.GetPosition(), message.GetId())
	}
	metadata, err := metadataOf(message.GetMetadata())
	if err != nil {
		return Event{}, protocolError("metadata of the event at position %d: %v", message.GetPosition(), err)
	}
	recordedAt, err := timeOf("recorded_at", message.GetRecordedAt())
	if err != nil {
		return Event{}, err
	}
	contentType := message.GetContentType()
	if contentType == "" {
		contentType = jsonType
	}
	return Event{
		Position:      message.GetPosition(),
		Stream:        message.GetStream(),
		Version:       message.GetVersion(),
		ID:            message.GetId(),
		Type:          message.GetEventType(),
		SchemaVersion: message.GetSchemaVersion(),
		ContentType:   contentType,
		Data:          message.GetData(),
		Tags:          message.GetTags(),
		Metadata:      metadata,
		RecordedAt:    recordedAt,
	}, nil
}

func metadataOf(message *storev1.Metadata) (Metadata, error) {
	metadata := Metadata{
		Actor:         message.GetActor(),
		Reason:        message.GetReason(),
		CorrelationID: message.GetCorrelationId(),
		CausationID:   message.GetCausationId(),
		Tenant:        message.GetTenant(),
		TraceParent:   message.GetTraceParent(),
		Foreign:       message.GetForeign(),
	}
	if len(message.GetExtra()) > 0 {
		if err := json.Unmarshal(message.GetExtra(), &metadata.Extra); err != nil {
			return Metadata{}, err
		}
	}
	return metadata, nil
}

func timeOf(field string, message *timestamppb.Timestamp) (time.Time, error) {
	if err := message.CheckValid(); err != nil {
		return time.Time{}, protocolError("invalid %s: %v", field, err)
	}
	return message.AsTime(), nil
}

// isUUID returns whether a text is a UUID in its usual form.
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		isHyphen := i == 8 || i == 13 || i == 18 || i == 23
		isDigit := '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
		if isHyphen && c != '-' || !isHyphen && !isDigit {
			return false
		}
	}
	return true
}
