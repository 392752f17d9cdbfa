package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"factum.example/store/internal/storev1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// domain is that of the google.rpc.ErrorInfo in the details of a status.
const domain = "factum.store"

// Kind is the kind of a failure. It can be compared with errors.Is:
//
//	if errors.Is(err, store.NotFound) { … }
type Kind string

// The kinds of failures.
const (
	// Conflict means that the store does not meet the expectations of an append. The error is a [*ConflictError].
	Conflict Kind = "conflict"
	// KeyReused means that the idempotency key was used for other content. The error is a [*KeyReusedError].
	KeyReused Kind = "key_reused"
	// EventIDReused means that an event with the same id is stored already. The error is an [*EventIDReusedError].
	EventIDReused Kind = "event_id_reused"
	// BeyondHead means that the log does not have the position of a reader. The error is a [*BeyondHeadError].
	BeyondHead Kind = "beyond_head"
	// InvalidArgument means that the server rejected the request. The error is an [*InvalidArgumentError].
	InvalidArgument Kind = "invalid_argument"
	// NotFound means that the stream has no events, or that the group does not exist.
	NotFound Kind = "not_found"
	// GroupExists means that there is a consumer group of this name.
	GroupExists Kind = "group_exists"
	// GroupChanged means that a consumer group has another generation. The error is a [*GroupChangedError].
	GroupChanged Kind = "group_changed"
	// GroupStopped means that a consumer group is stopped. The error is a [*GroupStoppedError].
	GroupStopped Kind = "group_stopped"
	// ProjectionRejected means that an inline projection of the server rejected the append.
	ProjectionRejected Kind = "projection_rejected"
	// ReadOnly means that the store of the server accepts no changes.
	ReadOnly Kind = "read_only"
	// Unsupported means that the server does not have the operation.
	Unsupported Kind = "unsupported"
	// Corrupt means that the data of the server is damaged.
	Corrupt Kind = "corrupt"
	// Unauthenticated means that the credentials are missing or not valid.
	Unauthenticated Kind = "unauthenticated"
	// PermissionDenied means that the user does not have a permission. The error is a [*PermissionDeniedError].
	PermissionDenied Kind = "permission_denied"
	// ResourceExhausted means that a limit of the server was reached. Nothing was stored.
	ResourceExhausted Kind = "resource_exhausted"
	// DeadlineExceeded means that the time of the call has passed. It is not known whether an append was stored.
	DeadlineExceeded Kind = "deadline_exceeded"
	// Unavailable means that the server cannot be reached or cannot serve the call now. Nothing was stored.
	Unavailable Kind = "unavailable"
	// Interrupted means that the connection was lost. It is not known whether an append was stored.
	Interrupted Kind = "interrupted"
	// Protocol means that an answer of the server violates the protocol.
	Protocol Kind = "protocol"
	// Failed means that the server failed.
	Failed Kind = "failed"
)

// Error returns the name of the kind.
func (k Kind) Error() string { return string(k) }

// ErrClosed is the error of calls after [Client.Close].
var ErrClosed = errors.New("the client is closed")

// CallError is the failure of a call. Errors with facts wrap it.
type CallError struct {
	// Kind is the kind of the failure.
	Kind Kind
	// Message is the message of the server, or of this client.
	Message string
	// RetryAfter is the time after which the server suggests to try again; 0 if it suggests none.
	RetryAfter time.Duration
	cause      error
}

// Error returns the kind and the message.
func (e *CallError) Error() string { return string(e.Kind) + ": " + e.Message }

// Is returns whether target is the kind of the failure.
func (e *CallError) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

// Unwrap returns the error of the connection, from which status.FromError returns the gRPC status.
func (e *CallError) Unwrap() error { return e.cause }

// ConflictError reports that the store does not meet the expectations of an append.
type ConflictError struct {
	CallError
	// Violations are the expectations that are not met.
	Violations []Violation
	// Omitted is the number of further violations.
	Omitted uint32
}

// Unwrap returns the [*CallError].
func (e *ConflictError) Unwrap() error { return &e.CallError }

// KeyReusedError reports that the idempotency key was used for other content.
type KeyReusedError struct {
	CallError
	// Key is the key.
	Key string
}

// Unwrap returns the [*CallError].
func (e *KeyReusedError) Unwrap() error { return &e.CallError }

// EventIDReusedError reports that an event with the same id is stored already.
type EventIDReusedError struct {
	CallError
	// ID is the UUID of the event.
	ID string
	// Position is the position of the stored event.
	Position uint64
}

// Unwrap returns the [*CallError].
func (e *EventIDReusedError) Unwrap() error { return &e.CallError }

// BeyondHeadError reports that a reader continues after a position that the log does not have, for example after a
// backup was restored.
type BeyondHeadError struct {
	CallError
	// Position is the position of the reader.
	Position uint64
	// Head is the head of the log.
	Head uint64
}

// Unwrap returns the [*CallError].
func (e *BeyondHeadError) Unwrap() error { return &e.CallError }

// InvalidArgumentError reports that the server rejected the request.
type InvalidArgumentError struct {
	CallError
	// Fields are the fields that violate a rule.
	Fields []InvalidField
}

// Unwrap returns the [*CallError].
func (e *InvalidArgumentError) Unwrap() error { return &e.CallError }

// InvalidField is a field of a request that violates a rule.
type InvalidField struct {
	// Field is the path of the field, for example "streams[0].expected".
	Field string
	// Rule is the violated rule.
	Rule string
}

// PermissionDeniedError reports that the user does not have a permission.
type PermissionDeniedError struct {
	CallError
	// Principal is the caller, for example `user "shop"`.
	Principal string
	// Permission is the name of the permission, for example "append".
	Permission string
	// Resource is the object of the call, for example `stream "order-7"`.
	Resource string
}

// Unwrap returns the [*CallError].
func (e *PermissionDeniedError) Unwrap() error { return &e.CallError }

// GroupChangedError reports that a consumer group has another generation.
type GroupChangedError struct {
	CallError
	// Expected is the expected generation.
	Expected uint64
	// Actual is the actual generation.
	Actual uint64
}

// Unwrap returns the [*CallError].
func (e *GroupChangedError) Unwrap() error { return &e.CallError }

// GroupStoppedError reports that a consumer group is stopped.
type GroupStoppedError struct {
	CallError
	// Reason is the reason, for example "consumer_request"; "unknown" if the server does not send it.
	Reason string
	// Position is the position of the group.
	Position uint64
}

// Unwrap returns the [*CallError].
func (e *GroupStoppedError) Unwrap() error { return &e.CallError }

// Violation is an expectation of an append that the store does not meet. It is one of [VersionViolation],
// [ConditionViolation], [DocumentViolation], [TransactionViolation], [MissingEvent] and [UnknownViolation].
type Violation interface{ violation() }

// VersionViolation means that a stream does not have the expected version.
type VersionViolation struct {
	// Stream is the name of the stream.
	Stream string
	// Expected is the expected version; the zero value if this client does not know its kind.
	Expected ExpectedVersion
	// Actual is the actual version.
	Actual uint64
}

// ConditionViolation means that an event after the position of the append condition matches its query.
type ConditionViolation struct {
	// Found is the position of the newest matching event.
	Found uint64
}

// DocumentViolation means that a document of the server does not have the expected revision.
type DocumentViolation struct {
	// Key is the key of the document.
	Key string
	// Expected is the expected revision.
	Expected uint64
	// Actual is the actual revision; 0 if the document does not exist.
	Actual uint64
}

// TransactionViolation means that the database rolled the append back because of a concurrent transaction.
type TransactionViolation struct {
	// Message is the message of the database.
	Message string
}

// MissingEvent means that a required event is not stored.
type MissingEvent struct {
	// ID is the UUID of the event.
	ID string
}

// UnknownViolation is a violation of a kind that this client does not know.
type UnknownViolation struct{}

func (VersionViolation) violation()     {}
func (ConditionViolation) violation()   {}
func (DocumentViolation) violation()    {}
func (TransactionViolation) violation() {}
func (MissingEvent) violation()         {}
func (UnknownViolation) violation()     {}

// reasons are the kinds by the reason of the google.rpc.ErrorInfo.
var reasons = map[string]Kind{
	"CONFLICT":                 Conflict,
	"KEY_REUSED":               KeyReused,
	"EVENT_ID_REUSED":          EventIDReused,
	"BEYOND_HEAD":              BeyondHead,
	"INVALID_ARGUMENT":         InvalidArgument,
	"NOT_FOUND":                NotFound,
	"PROJECTION_REJECTED":      ProjectionRejected,
	"READ_ONLY":                ReadOnly,
	"UNSUPPORTED":              Unsupported,
	"CORRUPT":                  Corrupt,
	"UNAUTHENTICATED":          Unauthenticated,
	"PERMISSION_DENIED":        PermissionDenied,
	"TOO_MANY_FAILED_ATTEMPTS": ResourceExhausted,
	"UNAVAILABLE":              Unavailable,
	"CLOSED":                   Unavailable,
	"INTERRUPTED":              Interrupted,
	"FAILED":                   Failed,
	"GROUP_NOT_FOUND":          NotFound,
	"GROUP_EXISTS":             GroupExists,
	"GROUP_OTHER_GENERATION":   GroupChanged,
	"GROUP_STOPPED":            GroupStopped,
	"GROUP_LIMIT":              ResourceExhausted,
	"GROUP_BUSY":               Unavailable,
}

// byCode are the kinds of a status without a known reason. All other codes mean [Failed].
var byCode = map[codes.Code]Kind{
	codes.InvalidArgument:   InvalidArgument,
	codes.NotFound:          NotFound,
	codes.Unimplemented:     Unsupported,
	codes.DataLoss:          Corrupt,
	codes.Unauthenticated:   Unauthenticated,
	codes.PermissionDenied:  PermissionDenied,
	codes.ResourceExhausted: ResourceExhausted,
	codes.DeadlineExceeded:  DeadlineExceeded,
}

// failure is a try of a call that failed.
type failure struct {
	err error
	// wasSent is false if no connection was established, so that the server did not receive the request.
	wasSent bool
}

// details are the facts in the details of a status.
type details struct {
	reason string
	// texts are the facts of errors of groups.
	texts      map[string]string
	fields     []InvalidField
	retryAfter time.Duration
	refusal    *storev1.Refusal
}

func detailsOf(state *status.Status) details {
	var found details
	for _, detail := range state.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == domain {
				found.reason, found.texts = detail.GetReason(), detail.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, field := range detail.GetFieldViolations() {
				found.fields = append(found.fields, InvalidField{field.GetField(), field.GetDescription()})
			}
		case *errdetails.RetryInfo:
			found.retryAfter = detail.GetRetryDelay().AsDuration()
		case *storev1.Refusal:
			found.refusal = detail
		}
	}
	return found
}

// number returns a fact that is a number; 0 if it is missing.
func (d details) number(name string) uint64 {
	number, err := strconv.ParseUint(d.texts[name], 10, 64)
	if err != nil {
		return 0
	}
	return number
}

// errorOf converts a failure into the error of the call.
func errorOf(failed failure, isWrite bool) error {
	state, _ := status.FromError(failed.err)
	facts := detailsOf(state)
	kind, known := reasons[facts.reason]
	if !known {
		kind = kindOf(state.Code(), isWrite && failed.wasSent)
	}
	base := CallError{Kind: kind, Message: state.Message(), RetryAfter: facts.retryAfter, cause: failed.err}
	refusal := facts.refusal
	switch kind {
	case Conflict:
		conflict := &ConflictError{CallError: base, Omitted: refusal.GetConflict().GetOmitted()}
		for _, violation := range refusal.GetConflict().GetViolations() {
			conflict.Violations = append(conflict.Violations, violationOf(violation))
		}
		return conflict
	case KeyReused:
		return &KeyReusedError{base, refusal.GetKeyReused().GetKey()}
	case EventIDReused:
		reused := refusal.GetEventIdReused()
		return &EventIDReusedError{base, reused.GetId(), reused.GetPosition()}
	case BeyondHead:
		beyond := refusal.GetBeyondHead()
		return &BeyondHeadError{base, beyond.GetPosition(), beyond.GetHead()}
	case InvalidArgument:
		return &InvalidArgumentError{base, facts.fields}
	case PermissionDenied:
		denied := refusal.GetDenied()
		return &PermissionDeniedError{base, denied.GetPrincipal(), denied.GetPermission(), denied.GetResource()}
	case GroupChanged:
		return &GroupChangedError{base, facts.number("expected"), facts.number("actual")}
	case GroupStopped:
		return &GroupStoppedError{base, "unknown", facts.number("position")}
	case DeadlineExceeded:
		base.cause = errors.Join(context.DeadlineExceeded, failed.err)
		return &base
	default:
		return &base
	}
}

// kindOf returns the kind of a status that the transport, a proxy or a newer server created.
func kindOf(code codes.Code, mayBeStored bool) Kind {
	switch code {
	case codes.Unavailable, codes.Unknown, codes.Canceled:
		if mayBeStored {
			return Interrupted
		}
		return Unavailable
	}
	if kind, known := byCode[code]; known {
		return kind
	}
	return Failed
}

func violationOf(message *storev1.Violation) Violation {
	switch kind := message.GetKind().(type) {
	case *storev1.Violation_Version:
		return VersionViolation{
			Stream:   kind.Version.GetStream(),
			Expected: expectedOf(kind.Version.GetExpected()),
			Actual:   kind.Version.GetActual(),
		}
	case *storev1.Violation_Condition:
		return ConditionViolation{kind.Condition.GetFound()}
	case *storev1.Violation_Document:
		document := kind.Document
		return DocumentViolation{document.GetKey(), document.GetExpectedRevision(), document.GetActualRevision()}
	case *storev1.Violation_Transaction:
		return TransactionViolation{kind.Transaction}
	case *storev1.Violation_MissingEvent:
		return MissingEvent{kind.MissingEvent}
	default:
		return UnknownViolation{}
	}
}

// protocolError creates the error for an answer that violates the protocol.
func protocolError(format string, arguments ...any) error {
	message := "the answer of the server violates the protocol: " + fmt.Sprintf(format, arguments...)
	return &CallError{Kind: Protocol, Message: message}
}
