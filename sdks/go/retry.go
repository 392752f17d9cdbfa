package store

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Retry is the number of tries of a call, and the pauses between them.
type Retry struct {
	// MaxAttempts is the maximum number of tries, from 1; 0 means no limit.
	MaxAttempts int
	// FirstPause is the pause before the second try. Each further pause is twice as long.
	FirstPause time.Duration
	// LongestPause is the longest pause.
	LongestPause time.Duration
}

// DefaultRetry is 8 tries with pauses from 100 ms to 2 s.
var DefaultRetry = Retry{MaxAttempts: 8, FirstPause: 100 * time.Millisecond, LongestPause: 2 * time.Second}

// tries counts the tries of one call.
type tries struct {
	retry   Retry
	logger  *slog.Logger
	closed  context.Context
	isWrite bool
	hasKey  bool
	failed  int
	// unknown is the error of a try that may have been stored.
	unknown error
}

// reset starts the count again, because the server has answered.
func (t *tries) reset() { t.failed = 0 }

// pause waits until the next try, or returns the error of the call if there is none.
func (t *tries) pause(ctx context.Context, failed failure) error {
	if t.closed.Err() != nil {
		return ErrClosed
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	err := errorOf(failed, t.isWrite)
	call, _ := errors.AsType[*CallError](err)
	t.failed++
	pause := max(t.backoff(), call.RetryAfter)
	isLast := t.retry.MaxAttempts > 0 && t.failed >= t.retry.MaxAttempts
	deadline, hasDeadline := ctx.Deadline()
	isLate := hasDeadline && time.Now().Add(pause).After(deadline)
	if isLast || isLate || !t.isRepeatable(call) {
		if t.unknown != nil && call.Kind == Unavailable {
			// An earlier try may have been stored.
			return t.unknown
		}
		return err
	}
	if t.isWrite && call.Kind == Interrupted {
		t.unknown = err
	}
	level := slog.LevelDebug
	if t.failed == 1 {
		level = slog.LevelWarn
	}
	t.logger.Log(ctx, level, "call failed, will retry", "error", err, "pause", pause)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.closed.Done():
		return ErrClosed
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return context.Cause(ctx)
		}
		return err
	}
}

func (t *tries) isRepeatable(err *CallError) bool {
	switch err.Kind {
	case Unavailable:
		return true
	case Interrupted:
		return !t.isWrite || t.hasKey
	case ResourceExhausted:
		return err.RetryAfter > 0
	default:
		return false
	}
}

func (t *tries) backoff() time.Duration {
	longest := t.retry.FirstPause << min(t.failed-1, 20)
	longest = min(longest, t.retry.LongestPause)
	// Clients that lost the same server must not return at the same time.
	return longest/2 + time.Duration(rand.Float64()*float64(longest/2))
}
