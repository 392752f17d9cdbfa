// Tests of the Go client of KurrentDB against the event store server.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

// The time limit of a test.
const limit = 20 * time.Second

// connect returns a client of the server that `event-store/clients/run` has started, and the context of the test.
func connect(t *testing.T) (*kurrentdb.Client, context.Context) {
	t.Helper()
	t.Parallel()
	settings, err := kurrentdb.ParseConnectionString("kurrentdb://" + os.Getenv("EVENT_STORE_ADDRESS") + "?tls=false")
	must(t, err)
	client, err := kurrentdb.NewClient(settings)
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(func() {
		cancel()
		must(t, client.Close())
	})
	return client, ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustEqual[T any](t *testing.T, found, expected []T, equal func(T, T) bool) {
	t.Helper()
	if !slices.EqualFunc(found, expected, equal) {
		t.Fatalf("expected %v, got %v", expected, found)
	}
}

func mustNumbers(t *testing.T, found []int, expected ...int) {
	t.Helper()
	mustEqual(t, found, expected, func(a, b int) bool { return a == b })
}

func mustFail(t *testing.T, err error, code kurrentdb.ErrorCode) {
	t.Helper()
	found, ok := kurrentdb.FromError(err)
	if ok || !found.IsErrorCode(code) {
		t.Fatalf("expected the error code %d, got %v", code, err)
	}
}

func newName(category string) string {
	return category + "-" + uuid.NewString()
}

func event(name string, number int) kurrentdb.EventData {
	data, _ := json.Marshal(map[string]int{"number": number})
	return kurrentdb.EventData{
		EventID:     uuid.New(),
		EventType:   name,
		ContentType: kurrentdb.ContentTypeJson,
		Data:        data,
	}
}

// events returns events with the numbers from `first` to `last`.
func events(first, last int) []kurrentdb.EventData {
	var all []kurrentdb.EventData
	for number := first; number <= last; number++ {
		all = append(all, event("weighed", number))
	}
	return all
}

func number(t *testing.T, event *kurrentdb.ResolvedEvent) int {
	t.Helper()
	var data struct{ Number int }
	must(t, json.Unmarshal(event.OriginalEvent().Data, &data))
	return data.Number
}

// numbers returns the numbers of all events of a read.
func numbers(t *testing.T, stream *kurrentdb.ReadStream, err error) []int {
	t.Helper()
	must(t, err)
	defer stream.Close()
	var all []int
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		all = append(all, number(t, event))
	}
}

func expecting(state kurrentdb.StreamState) kurrentdb.AppendToStreamOptions {
	return kurrentdb.AppendToStreamOptions{StreamState: state}
}
