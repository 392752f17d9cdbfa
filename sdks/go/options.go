package store

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	defaultPort     = "50051"
	maxMessageBytes = 96 * 1024 * 1024
)

// Option changes a setting of a [Client].
type Option func(*settings)

type settings struct {
	authorization  string
	tls            *tls.Config
	connectTimeout time.Duration
	timeout        time.Duration
	retry          Retry
	reconnect      Retry
	silence        time.Duration
	logger         *slog.Logger
}

// WithToken sends a token with each call, over TLS or to a server on the same machine.
func WithToken(token string) Option {
	return func(s *settings) { s.authorization = "Bearer " + token }
}

// WithBasic sends a user and a password with each call, as in RFC 7617, over TLS or to a server on the same machine.
func WithBasic(user, password string) Option {
	encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return func(s *settings) { s.authorization = "Basic " + encoded }
}

// WithTLS sets the certificates of an encrypted connection; the default is the list of the operating system.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.tls = config }
}

// WithConnectTimeout sets the time in which a connection must be established; the default is 10 seconds.
func WithConnectTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.connectTimeout = timeout }
}

// WithTimeout sets the timeout of calls, including repetitions; the default is 30 seconds, and 0 means no limit.
//
// It does not limit reads and subscriptions. The deadline of a context limits every call.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.timeout = timeout }
}

// WithRetry sets the number of tries of calls, and the pauses between them; the default is [DefaultRetry].
func WithRetry(retry Retry) Option {
	return func(s *settings) { s.retry = retry }
}

// WithReconnect sets the number of tries of subscriptions and consumers to connect again; the default has no limit.
func WithReconnect(retry Retry) Option {
	return func(s *settings) { s.reconnect = retry }
}

// WithSilence sets the time without a message after which a subscription connects again; the default is 15 seconds.
//
// The server sends a message at least every 5 seconds.
func WithSilence(silence time.Duration) Option {
	return func(s *settings) { s.silence = silence }
}

// WithLogger sets the logger that notes repeated calls; the default is [slog.Default].
func WithLogger(logger *slog.Logger) Option {
	return func(s *settings) { s.logger = logger }
}

// dial creates a connection, which is established by the first call.
func dial(address string, s *settings) (*grpc.ClientConn, error) {
	target, isEncrypted, err := parse(address)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(target)
	if s.authorization != "" && !isEncrypted && !isThisMachine(host) {
		const rule = "use factums://HOST:PORT"
		return nil, fmt.Errorf("credentials for %q would not be encrypted; %s", host, rule)
	}
	transport := insecure.NewCredentials()
	switch {
	case isEncrypted:
		transport = credentials.NewTLS(s.tls)
	case s.tls != nil:
		return nil, fmt.Errorf("invalid address: %q; TLS needs factums://HOST:PORT", address)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxMessageBytes),
			grpc.MaxCallSendMsgSize(maxMessageBytes),
		),
		// A dead connection is noticed, also while a call waits.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// This package decides about the repetition of calls; the connection must be ready for the next try.
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay:  100 * time.Millisecond,
				Multiplier: 1.6,
				Jitter:     0.2,
				MaxDelay:   time.Second,
			},
			MinConnectTimeout: s.connectTimeout,
		}),
	}
	if s.authorization != "" {
		options = append(options, grpc.WithPerRPCCredentials(authorization(s.authorization)))
	}
	return grpc.NewClient("dns:///"+target, options...)
}

// parse splits the address of a server.
func parse(address string) (target string, isEncrypted bool, err error) {
	const rule = "expected factum://HOST:PORT, or factums://HOST:PORT with TLS"
	parts, err := url.Parse(address)
	if err != nil {
		return "", false, fmt.Errorf("invalid address; %s", rule)
	}
	if parts.User != nil {
		return "", false, fmt.Errorf("invalid address with a user or a password; use WithBasic")
	}
	switch parts.Scheme {
	case "factum", "http":
	case "factums", "https":
		isEncrypted = true
	default:
		return "", false, fmt.Errorf("invalid address: %q; %s", address, rule)
	}
	isPlain := (parts.Path == "" || parts.Path == "/") && parts.RawQuery == "" && parts.Fragment == ""
	if parts.Hostname() == "" || !isPlain {
		return "", false, fmt.Errorf("invalid address: %q; %s", address, rule)
	}
	port := parts.Port()
	if port == "" {
		port = defaultPort
	}
	return net.JoinHostPort(parts.Hostname(), port), isEncrypted, nil
}

// isThisMachine returns whether a host is localhost or a loopback address.
func isThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && address.IsLoopback()
}

// authorization is the value of the header that each call has.
type authorization string

func (a authorization) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": string(a)}, nil
}

// RequireTransportSecurity allows connections without TLS, for servers on the same machine. The address was checked before.
func (authorization) RequireTransportSecurity() bool { return false }
