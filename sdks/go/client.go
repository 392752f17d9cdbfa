package store

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"factum.example/store/internal/storev1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
)

// Client is a client of an event store server. Its methods can be called by several goroutines at the same time.
type Client struct {
	connection *grpc.ClientConn
	calls      storev1.EventStoreServiceClient
	settings   settings
	// closed ends when the client is closed.
	closed context.Context
	close  context.CancelFunc
}

// NewClient creates a client of the server at address, for example "factum://127.0.0.1:50051".
//
// The scheme factums means TLS. The port is 50051 if there is none. The client connects at its first call. Call
// [Client.Close] at the end.
func NewClient(address string, options ...Option) (*Client, error) {
	unlimited := DefaultRetry
	unlimited.MaxAttempts = 0
	s := settings{
		connectTimeout: 10 * time.Second,
		timeout:        30 * time.Second,
		retry:          DefaultRetry,
		reconnect:      unlimited,
		silence:        15 * time.Second,
		logger:         slog.Default(),
	}
	for _, option := range options {
		option(&s)
	}
	connection, err := dial(address, &s)
	if err != nil {
		return nil, err
	}
	closed, cancel := context.WithCancel(context.Background())
	return &Client{connection, storev1.NewEventStoreServiceClient(connection), s, closed, cancel}, nil
}

// Close closes the connection. Calls that are not finished, and later ones, return [ErrClosed].
func (c *Client) Close() error {
	c.close()
	return c.connection.Close()
}

// tries starts a call that changes nothing.
func (c *Client) tries(retry Retry) tries {
	return tries{retry: retry, logger: c.settings.logger, closed: c.closed}
}

// Head returns the position of the last event; 0 if the log is empty.
func (c *Client) Head(ctx context.Context) (uint64, error) {
	answer, err := ask(ctx, c, &storev1.GetHeadRequest{}, c.calls.GetHead)
	return answer.GetPosition(), err
}

// StreamSummary is a stream of a list.
type StreamSummary struct {
	// Stream is the name of the stream.
	Stream string
	// Version is the number of events.
	Version uint64
	// Position is the position of the last event.
	Position uint64
}

// StreamDescription is a stream and the time of its last event.
type StreamDescription struct {
	StreamSummary
	// ChangedAt is the time of the last event, in UTC.
	ChangedAt time.Time
}

// DescribeStream returns the version of a stream, and the position and time of its last event. The kind of the error is
// [NotFound] if the stream has no events.
func (c *Client) DescribeStream(ctx context.Context, stream string) (StreamDescription, error) {
	answer, err := ask(ctx, c, &storev1.DescribeStreamRequest{Stream: stream}, c.calls.DescribeStream)
	if err != nil {
		return StreamDescription{}, err
	}
	if answer.GetStream() == nil {
		return StreamDescription{}, protocolError("the description has no stream")
	}
	changedAt, err := timeOf("changed_at", answer.GetChangedAt())
	if err != nil {
		return StreamDescription{}, err
	}
	return StreamDescription{summaryOf(answer.GetStream()), changedAt}, nil
}

func summaryOf(message *storev1.StreamSummary) StreamSummary {
	return StreamSummary{message.GetStream(), message.GetVersion(), message.GetPosition()}
}

// ServerInfo is the version, the backend, the features and the limits of a server.
type ServerInfo struct {
	// Version is the version of the server.
	Version string
	// Backend is "memory", "sqlite" or "postgres".
	Backend string
	// Features are the optional operations that the server has, for example "import".
	Features []string
	// MaxAppendEvents is the maximum number of events in one append.
	MaxAppendEvents uint64
	// MaxMessageBytes is the maximum size of a request message in bytes.
	MaxMessageBytes uint64
}

// ServerInfo returns the version, the backend, the features and the limits of the server.
func (c *Client) ServerInfo(ctx context.Context) (ServerInfo, error) {
	answer, err := ask(ctx, c, &storev1.GetServerInfoRequest{}, c.calls.GetServerInfo)
	if err != nil {
		return ServerInfo{}, err
	}
	return ServerInfo{
		Version:         answer.GetVersion(),
		Backend:         answer.GetBackend(),
		Features:        answer.GetFeatures(),
		MaxAppendEvents: answer.GetMaxAppendEvents(),
		MaxMessageBytes: answer.GetMaxMessageBytes(),
	}, nil
}

// ListOption changes a list of streams.
type ListOption func(*storev1.ListStreamsRequest)

// InCategory lists only the streams of a category.
func InCategory(category string) ListOption {
	return func(r *storev1.ListStreamsRequest) { r.Category = &category }
}

// PageSize sets the number of streams that one call requests, 1 to 1,000; the default is 1,000.
func PageSize(streams uint32) ListOption {
	return func(r *storev1.ListStreamsRequest) { r.PageSize = streams }
}

// ListStreams returns the streams in the byte order of their names. It requests the next page after the last stream of a
// page was taken. An error is the last item.
func (c *Client) ListStreams(ctx context.Context, options ...ListOption) iter.Seq2[StreamSummary, error] {
	return func(yield func(StreamSummary, error) bool) {
		request := &storev1.ListStreamsRequest{}
		for _, option := range options {
			option(request)
		}
		for {
			page, err := ask(ctx, c, request, c.calls.ListStreams)
			if err != nil {
				yield(StreamSummary{}, err)
				return
			}
			for _, stream := range page.GetStreams() {
				if !yield(summaryOf(stream), nil) {
					return
				}
			}
			if page.GetNextPageToken() == "" {
				return
			}
			request.PageToken = page.GetNextPageToken()
		}
	}
}

// unary is a procedure with one answer.
type unary[Q, A any] func(context.Context, Q, ...grpc.CallOption) (A, error)

// ask makes a call that changes nothing.
func ask[Q, A any](ctx context.Context, c *Client, request Q, procedure unary[Q, A]) (A, error) {
	return call(ctx, c, c.tries(c.settings.retry), request, procedure)
}

// call makes a call with one answer, and repeats it as long as t allows.
func call[Q, A any](ctx context.Context, c *Client, t tries, request Q, procedure unary[Q, A]) (A, error) {
	if c.settings.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.settings.timeout)
		defer cancel()
	}
	for {
		var server peer.Peer
		answer, err := procedure(ctx, request, grpc.Peer(&server))
		if err == nil {
			return answer, nil
		}
		if err := t.pause(ctx, failure{err, server.Addr != nil}); err != nil {
			var none A
			return none, err
		}
	}
}
