package store

import "factum.example/store/internal/storev1"

// QueryItem is one alternative of a query. An event matches if it meets every criterion that is set.
type QueryItem struct {
	// Category is the text of the stream's name before the first "-", or the complete name.
	Category string
	// StreamPrefix is the beginning of the stream's name.
	StreamPrefix string
	// EventTypes are the event types, one of which the event must have.
	EventTypes []string
	// Tags are the tags that the event must have, all of them.
	Tags []string
}

// Query is a filter for events: an event matches if it matches one of the items. Without items, every event matches.
type Query []QueryItem

func (q Query) message() *storev1.Query {
	message := &storev1.Query{}
	for _, item := range q {
		message.Items = append(message.Items, &storev1.Query_Item{
			Category:     optional(item.Category),
			StreamPrefix: optional(item.StreamPrefix),
			EventTypes:   item.EventTypes,
			Tags:         item.Tags,
		})
	}
	return message
}
