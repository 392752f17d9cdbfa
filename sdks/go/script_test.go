package store_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"factum.example/store/internal/storev1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// scriptedCall is a call that the server must receive, and its answers.
type scriptedCall struct {
	RPC         string
	Request     json.RawMessage
	Metadata    map[string]string
	NotBeforeMS int64 `json:"not_before_ms"`
	Frames      []struct {
		Message    json.RawMessage
		Status     *scriptedStatus
		Hold       bool
		Receive    json.RawMessage
		ReceiveEnd bool `json:"receive_end"`
	}
}

// scriptedStatus is the end of a call.
type scriptedStatus struct {
	Code         codes.Code
	Message      string
	Reason       string
	Domain       string
	Facts        map[string]string
	Fields       []struct{ Field, Rule string }
	RetryAfterMS int64 `json:"retry_after_ms"`
	Refusal      json.RawMessage
}

// scriptedServer plays the script of a vector.
type scriptedServer struct {
	address string
	server  *grpc.Server
	script  []scriptedCall

	mutex    sync.Mutex
	changed  *sync.Cond
	received int
	running  int
	lastEnd  time.Time
	problems []string
	texts    map[string]string
}

func startScriptedServer(t *testing.T, script []scriptedCall) *scriptedServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scriptedServer{address: listener.Addr().String(), script: script, texts: map[string]string{}}
	s.changed = sync.NewCond(&s.mutex)
	s.server = grpc.NewServer(grpc.UnknownServiceHandler(s.handle))
	go s.server.Serve(listener)
	t.Cleanup(s.server.Stop)
	return s
}

// waitForCalls waits until the server has received this number of calls.
func (s *scriptedServer) waitForCalls(calls int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for s.received < calls {
		s.changed.Wait()
	}
}

// finish waits for the end of all calls, and returns the differences from the script.
func (s *scriptedServer) finish() []string {
	limit := time.AfterFunc(3*time.Second, func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		if s.running > 0 {
			s.problems = append(s.problems, "the client did not cancel a call")
			s.running = 0
		}
		s.changed.Broadcast()
	})
	defer limit.Stop()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for s.running > 0 {
		s.changed.Wait()
	}
	if s.received < len(s.script) {
		s.problems = append(s.problems, fmt.Sprintf("the server received only %d calls", s.received))
	}
	return s.problems
}

func (s *scriptedServer) handle(_ any, stream grpc.ServerStream) error {
	s.mutex.Lock()
	index, lastEnd := s.received, s.lastEnd
	s.received++
	s.running++
	s.changed.Broadcast()
	s.mutex.Unlock()
	defer func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.running--
		s.lastEnd = time.Now()
		s.changed.Broadcast()
	}()
	err := s.play(stream, index, lastEnd)
	if problem, ok := err.(scriptError); ok {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.problems = append(s.problems, string(problem))
		return status.Error(codes.Internal, string(problem))
	}
	return err
}

// scriptError is a difference from the script.
type scriptError string

func (e scriptError) Error() string { return string(e) }

func (s *scriptedServer) play(stream grpc.ServerStream, index int, lastEnd time.Time) error {
	path, _ := grpc.Method(stream.Context())
	name := path[strings.LastIndex(path, "/")+1:]
	if index >= len(s.script) || s.script[index].RPC != name {
		return scriptError(fmt.Sprintf("unexpected call %d of %s", index, path))
	}
	call := s.script[index]
	service, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.Split(path, "/")[1]))
	if err != nil {
		return scriptError(err.Error())
	}
	method := service.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	received, expected := messageOf(method.Input()), messageOf(method.Input())
	if err := stream.RecvMsg(received); err != nil {
		return err
	}
	if err := protojson.Unmarshal(call.Request, expected); err != nil {
		return scriptError(err.Error())
	}
	wanted, found := plain(expected), plain(received)
	if !s.matches(wanted, found) {
		return scriptError(fmt.Sprintf("call %d is %v; expected %v", index, found, wanted))
	}
	header, _ := metadata.FromIncomingContext(stream.Context())
	for key, value := range call.Metadata {
		if values := header.Get(key); len(values) != 1 || values[0] != value {
			return scriptError(fmt.Sprintf("%s is %q; expected %q", key, values, value))
		}
	}
	if since := time.Since(lastEnd); since < time.Duration(call.NotBeforeMS)*time.Millisecond {
		return scriptError(fmt.Sprintf("call %d arrived after %v", index, since))
	}
	for _, frame := range call.Frames {
		switch {
		case frame.Hold:
			<-stream.Context().Done()
			return stream.Context().Err()
		case frame.Status != nil:
			return frame.Status.err()
		case frame.ReceiveEnd || frame.Receive != nil:
			if err := s.receive(stream, method.Input(), frame.Receive); err != nil {
				return err
			}
		default:
			answer := messageOf(method.Output())
			if err := protojson.Unmarshal(frame.Message, answer); err != nil {
				return scriptError(err.Error())
			}
			if err := stream.SendMsg(answer); err != nil {
				return err
			}
		}
	}
	return nil
}

// receive waits for the expected request, or for the end of the requests if it is nil. Heartbeats before it do not count.
func (s *scriptedServer) receive(
	stream grpc.ServerStream, input protoreflect.MessageDescriptor, encoded json.RawMessage,
) error {
	var wanted any
	if encoded != nil {
		expected := messageOf(input)
		if err := protojson.Unmarshal(encoded, expected); err != nil {
			return scriptError(err.Error())
		}
		wanted = plain(expected)
	}
	for {
		received := messageOf(input)
		err := stream.RecvMsg(received)
		if err == io.EOF && wanted == nil {
			return nil
		}
		if err != nil {
			return scriptError(fmt.Sprintf("no request: %v; expected %v", err, wanted))
		}
		found := plain(received)
		if wanted != nil && s.matches(wanted, found) {
			return nil
		}
		if _, isHeartbeat := found.(map[string]any)["heartbeat"]; !isHeartbeat {
			return scriptError(fmt.Sprintf("the request is %v; expected %v", found, wanted))
		}
	}
}

func messageOf(descriptor protoreflect.MessageDescriptor) proto.Message {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		panic(err)
	}
	return kind.New().Interface()
}

// plain returns the JSON form of a message.
func plain(message proto.Message) any {
	encoded, err := protojson.Marshal(message)
	if err != nil {
		panic(err)
	}
	var value any
	if err := json.Unmarshal(encoded, &value); err != nil {
		panic(err)
	}
	return value
}

// matches compares JSON values; "$text:NAME" matches the same text everywhere.
func (s *scriptedServer) matches(expected, found any) bool {
	switch expected := expected.(type) {
	case string:
		text, isText := found.(string)
		name, isVariable := strings.CutPrefix(expected, "$text:")
		if !isText || !isVariable {
			return expected == found
		}
		s.mutex.Lock()
		defer s.mutex.Unlock()
		known, isKnown := s.texts[name]
		s.texts[name] = text
		return text != "" && (!isKnown || known == text)
	case map[string]any:
		object, ok := found.(map[string]any)
		if !ok || len(object) != len(expected) {
			return false
		}
		for key, value := range expected {
			if !s.matches(value, object[key]) {
				return false
			}
		}
		return true
	case []any:
		list, ok := found.([]any)
		if !ok || len(list) != len(expected) {
			return false
		}
		for i, value := range expected {
			if !s.matches(value, list[i]) {
				return false
			}
		}
		return true
	default:
		return expected == found
	}
}

func (s *scriptedStatus) err() error {
	state := &rpcstatus.Status{Code: int32(s.Code), Message: s.Message}
	add := func(detail proto.Message) {
		encoded, err := anypb.New(detail)
		if err != nil {
			panic(err)
		}
		state.Details = append(state.Details, encoded)
	}
	if s.Reason != "" {
		domain := s.Domain
		if domain == "" {
			domain = "factum.store"
		}
		add(&errdetails.ErrorInfo{Reason: s.Reason, Domain: domain, Metadata: s.Facts})
	}
	if len(s.Fields) > 0 {
		request := &errdetails.BadRequest{}
		for _, field := range s.Fields {
			violation := &errdetails.BadRequest_FieldViolation{Field: field.Field, Description: field.Rule}
			request.FieldViolations = append(request.FieldViolations, violation)
		}
		add(request)
	}
	if s.RetryAfterMS > 0 {
		delay := time.Duration(s.RetryAfterMS) * time.Millisecond
		add(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
	}
	if s.Refusal != nil {
		refusal := &storev1.Refusal{}
		if err := protojson.Unmarshal(s.Refusal, refusal); err != nil {
			panic(err)
		}
		add(refusal)
	}
	return status.ErrorProto(state)
}
