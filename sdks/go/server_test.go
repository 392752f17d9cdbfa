package store_test

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"factum.example/store"
)

// startServer starts the server of the environment variable EVENT_STORE_BINARY on a file, and returns its end.
func startServer(t *testing.T, address, file string) (stop func()) {
	t.Helper()
	binary := os.Getenv("EVENT_STORE_BINARY")
	if binary == "" {
		t.Skip("EVENT_STORE_BINARY is not set")
	}
	server := exec.Command(binary, "--insecure", "--store", "sqlite:"+file, "--bind-addr", address)
	output, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		server.Process.Kill()
		server.Wait()
	}
	t.Cleanup(stop)
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "gRPC API on") {
			return stop
		}
	}
	t.Fatal("the server did not start")
	return nil
}

// freeAddress returns an address on which no server listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestClientSurvivesARestartOfTheServer(t *testing.T) {
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "events.db")
	stop := startServer(t, address, file)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := store.NewClient("factum://"+address, store.WithTimeout(time.Minute), quick[1])
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	restart := func() {
		stop()
		stop = startServer(t, address, file)
	}
	if _, err := client.Groups().Create(ctx, "copy", store.GroupSettings{}); err != nil {
		t.Fatal(err)
	}
	const count = 30
	go func() {
		for i := range count {
			event := store.NewEvent{Type: "tick", Data: []byte("{}")}
			if _, err := client.Append(ctx, "clock-1", store.Any, []store.NewEvent{event}); err != nil {
				t.Errorf("append %d: %v", i, err)
			}
		}
	}()
	next := uint64(1)
	for message, err := range client.Subscribe(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if message.Event == nil {
			continue
		}
		if message.Position != next {
			t.Fatalf("the event at position %d follows %d", message.Position, next-1)
		}
		if next == count/3 {
			restart()
		}
		if next++; next > count {
			break
		}
	}
	settled := map[uint64]bool{}
	for delivery, err := range client.Consume(ctx, "copy") {
		if err != nil {
			t.Fatal(err)
		}
		if len(settled) == count/3 && !settled[delivery.Event.Position] {
			restart()
		}
		settled[delivery.Event.Position] = true
		delivery.Ack()
		if len(settled) == count {
			break
		}
	}
	if head, err := client.Head(ctx); head != count || err != nil {
		t.Errorf("the head is %d, %v; expected %d", head, err, count)
	}
}
