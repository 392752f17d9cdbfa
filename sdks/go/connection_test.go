package store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"factum.example/store"
	"factum.example/store/internal/storev1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

var quick = []store.Option{
	store.WithRetry(store.Retry{MaxAttempts: 3, FirstPause: time.Millisecond, LongestPause: 5 * time.Millisecond}),
	store.WithLogger(slog.New(slog.DiscardHandler)),
}

func newClient(t *testing.T, address string, options ...store.Option) *store.Client {
	t.Helper()
	client, err := store.NewClient(address, append(quick, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestGeneratedCodeMatchesTheProtocol(t *testing.T) {
	encoded, err := os.ReadFile("../../adapters/grpc/protocol/proto/factum.store.v1.bin")
	if err != nil {
		t.Fatal(err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(encoded, &set); err != nil {
		t.Fatal(err)
	}
	generated := map[string]protoreflect.FileDescriptor{
		"factum/store/v1/store.proto":  storev1.File_factum_store_v1_store_proto,
		"factum/store/v1/groups.proto": storev1.File_factum_store_v1_groups_proto,
	}
	for _, file := range set.GetFile() {
		code, isOurs := generated[file.GetName()]
		if !isOurs {
			continue
		}
		delete(generated, file.GetName())
		file.SourceCodeInfo = nil
		if !proto.Equal(file, protodesc.ToFileDescriptorProto(code)) {
			t.Errorf("the code of %s is out of date; run go run ./internal/generate", file.GetName())
		}
	}
	if len(generated) > 0 {
		t.Errorf("the protocol does not have %v", generated)
	}
}

func TestAddressWithAnErrorIsRejected(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:50051", "postgres://127.0.0.1", "factum://127.0.0.1/path", "factum://127.0.0.1?tls=true", "factum://", "",
	} {
		if _, err := store.NewClient(address); err == nil || !strings.HasPrefix(err.Error(), "invalid address") {
			t.Errorf("%q: %v", address, err)
		}
	}
	_, err := store.NewClient("factum://ops:secret@127.0.0.1")
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
	if _, err := store.NewClient("factum://127.0.0.1", store.WithTLS(&tls.Config{})); err == nil {
		t.Error("TLS without factums:// is accepted")
	}
	for _, address := range []string{"factum://localhost", "factums://[::1]", "https://events.example.com/"} {
		newClient(t, address)
	}
}

func TestAppendThatWasNotSentIsUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	client := newClient(t, "factum://"+listener.Addr().String())
	event, err := store.JSON("account.opened", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Append(t.Context(), "account-1", store.Any, []store.NewEvent{event}, store.WithoutIdempotencyKey())
	if !errors.Is(err, store.Unavailable) {
		t.Errorf("the error is %v", err)
	}
	if status.Code(errors.Unwrap(err)) != codes.Unavailable {
		t.Errorf("the cause is %v", errors.Unwrap(err))
	}
}

func TestErrorsWithFactsAreKindsAndCallErrors(t *testing.T) {
	err := error(&store.ConflictError{CallError: store.CallError{Kind: store.Conflict, Message: "refused"}})
	call, isCall := errors.AsType[*store.CallError](err)
	if !isCall || call.Message != "refused" {
		t.Errorf("the call error is %v", call)
	}
	if !errors.Is(err, store.Conflict) || errors.Is(err, store.NotFound) {
		t.Errorf("the kind of %v is not known", err)
	}
}

func TestDeadlineOfTheContextIsInTheError(t *testing.T) {
	hold := []scriptedCall{decoded[scriptedCall]([]byte(`{"rpc": "GetHead", "request": {}, "frames": [{"hold": true}]}`))}
	server := startScriptedServer(t, hold)
	client := newClient(t, "factum://"+server.address)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := client.Head(ctx)
	if !errors.Is(err, store.DeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

func TestCloseEndsSubscriptions(t *testing.T) {
	hold := []scriptedCall{decoded[scriptedCall]([]byte(`{"rpc": "Subscribe", "request": {}, "frames": [{"hold": true}]}`))}
	server := startScriptedServer(t, hold)
	client := newClient(t, "factum://"+server.address)
	go func() {
		server.waitForCalls(1)
		client.Close()
	}()
	var failed error
	for _, err := range client.Subscribe(t.Context()) {
		failed = err
	}
	if !errors.Is(failed, store.ErrClosed) {
		t.Errorf("the error is %v", failed)
	}
	if _, err := client.Head(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("the error is %v", err)
	}
}

// certificate creates a certificate for events.example.com that signs itself.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"events.example.com"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(encoded)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{encoded}, PrivateKey: key}, pool
}

// protected answers calls with the credentials of the user ops.
type protected struct {
	storev1.UnimplementedEventStoreServiceServer
}

func (protected) GetHead(ctx context.Context, _ *storev1.GetHeadRequest) (*storev1.GetHeadResponse, error) {
	header, _ := metadata.FromIncomingContext(ctx)
	if values := header.Get("authorization"); len(values) != 1 || values[0] != "Basic b3BzOnNlY3JldA==" {
		return nil, status.Error(codes.Unauthenticated, "who are you?")
	}
	return &storev1.GetHeadResponse{Position: 3}, nil
}

func TestConnectionWithTLSChecksTheCertificate(t *testing.T) {
	certificate, pool := certificate(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	storev1.RegisterEventStoreServiceServer(server, protected{})
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	address := "factums://" + listener.Addr().String()

	trusted := store.WithTLS(&tls.Config{RootCAs: pool, ServerName: "events.example.com"})
	head, err := newClient(t, address, trusted, store.WithBasic("ops", "secret")).Head(t.Context())
	if head != 3 || err != nil {
		t.Errorf("the head is %d, %v", head, err)
	}
	_, err = newClient(t, address, trusted, store.WithToken("secret")).Head(t.Context())
	if !errors.Is(err, store.Unauthenticated) {
		t.Errorf("the error is %v", err)
	}
	for _, config := range []*tls.Config{{RootCAs: pool}, {ServerName: "events.example.com"}} {
		_, err = newClient(t, address, store.WithTLS(config)).Head(t.Context())
		if !errors.Is(err, store.Unavailable) {
			t.Errorf("the error is %v", err)
		}
	}
}
