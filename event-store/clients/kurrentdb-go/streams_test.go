package client

import (
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

func TestAppendChecksEachExpectedState(t *testing.T) {
	client, ctx := connect(t)
	stream := newName("hive")
	for _, state := range []kurrentdb.StreamState{kurrentdb.StreamExists{}, kurrentdb.Revision(0)} {
		_, err := client.AppendToStream(ctx, stream, expecting(state), events(0, 0)...)
		mustFail(t, err, kurrentdb.ErrorCodeWrongExpectedVersion)
	}
	first, err := client.AppendToStream(ctx, stream, expecting(kurrentdb.NoStream{}), events(0, 1)...)
	must(t, err)
	if first.NextExpectedVersion != 1 {
		t.Fatalf("expected the revision 1, got %d", first.NextExpectedVersion)
	}
	for _, state := range []kurrentdb.StreamState{kurrentdb.NoStream{}, kurrentdb.Revision(0), kurrentdb.Revision(2)} {
		_, err := client.AppendToStream(ctx, stream, expecting(state), events(2, 2)...)
		mustFail(t, err, kurrentdb.ErrorCodeWrongExpectedVersion)
	}
	for index, state := range []kurrentdb.StreamState{kurrentdb.Revision(1), kurrentdb.StreamExists{}, kurrentdb.Any{}} {
		written, err := client.AppendToStream(ctx, stream, expecting(state), events(index+2, index+2)...)
		must(t, err)
		if written.CommitPosition <= first.CommitPosition {
			t.Fatalf("the positions do not increase: %d", written.CommitPosition)
		}
	}
	read, err := client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{}, 100)
	mustNumbers(t, numbers(t, read, err), 0, 1, 2, 3, 4)
}

func TestRepeatedAppendReturnsTheFirstResult(t *testing.T) {
	client, ctx := connect(t)
	stream, sent := newName("hive"), events(0, 1)
	first, err := client.AppendToStream(ctx, stream, expecting(kurrentdb.NoStream{}), sent...)
	must(t, err)
	_, err = client.AppendToStream(ctx, stream, expecting(kurrentdb.Revision(1)), events(2, 2)...)
	must(t, err)
	again, err := client.AppendToStream(ctx, stream, expecting(kurrentdb.NoStream{}), sent...)
	must(t, err)
	if again.NextExpectedVersion != 1 || again.CommitPosition != first.CommitPosition {
		t.Fatalf("expected %+v, got %+v", first, again)
	}
}

func TestStreamIsReadFromEachPosition(t *testing.T) {
	client, ctx := connect(t)
	stream := newName("hive")
	_, err := client.AppendToStream(ctx, stream, kurrentdb.AppendToStreamOptions{}, events(0, 4)...)
	must(t, err)
	for _, test := range []struct {
		options  kurrentdb.ReadStreamOptions
		count    uint64
		expected []int
	}{
		{kurrentdb.ReadStreamOptions{}, 2, []int{0, 1}},
		{kurrentdb.ReadStreamOptions{From: kurrentdb.Revision(3)}, 9, []int{3, 4}},
		{kurrentdb.ReadStreamOptions{From: kurrentdb.End{}, Direction: kurrentdb.Backwards}, 9, []int{4, 3, 2, 1, 0}},
		{kurrentdb.ReadStreamOptions{From: kurrentdb.Revision(2), Direction: kurrentdb.Backwards}, 2, []int{2, 1}},
	} {
		read, err := client.ReadStream(ctx, stream, test.options, test.count)
		mustNumbers(t, numbers(t, read, err), test.expected...)
	}
	read, err := client.ReadStream(ctx, newName("hive"), kurrentdb.ReadStreamOptions{}, 1)
	must(t, err)
	_, err = read.Recv()
	mustFail(t, err, kurrentdb.ErrorCodeResourceNotFound)
	all, err := client.ReadAll(ctx, kurrentdb.ReadAllOptions{From: kurrentdb.End{}, Direction: kurrentdb.Backwards}, 1)
	must(t, err)
	if _, err := all.Recv(); err != nil {
		t.Fatal(err)
	}
}

func TestDeletedStreamContinuesAndTombstoneEndsIt(t *testing.T) {
	client, ctx := connect(t)
	stream := newName("hive")
	_, err := client.AppendToStream(ctx, stream, kurrentdb.AppendToStreamOptions{}, events(0, 1)...)
	must(t, err)
	_, err = client.DeleteStream(ctx, stream, kurrentdb.DeleteStreamOptions{StreamState: kurrentdb.Revision(1)})
	must(t, err)
	read, err := client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{}, 9)
	must(t, err)
	_, err = read.Recv()
	mustFail(t, err, kurrentdb.ErrorCodeResourceNotFound)
	_, err = client.AppendToStream(ctx, stream, expecting(kurrentdb.NoStream{}), events(2, 2)...)
	must(t, err)
	read, err = client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{}, 9)
	mustNumbers(t, numbers(t, read, err), 2)
	_, err = client.TombstoneStream(ctx, stream, kurrentdb.TombstoneStreamOptions{})
	must(t, err)
	_, err = client.AppendToStream(ctx, stream, kurrentdb.AppendToStreamOptions{}, events(3, 3)...)
	mustFail(t, err, kurrentdb.ErrorCodeStreamDeleted)
	read, err = client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{}, 9)
	if err == nil {
		_, err = read.Recv()
	}
	mustFail(t, err, kurrentdb.ErrorCodeStreamDeleted)
}

func TestMetadataReturnAsTheyWereSet(t *testing.T) {
	client, ctx := connect(t)
	stream := newName("hive")
	_, err := client.AppendToStream(ctx, stream, kurrentdb.AppendToStreamOptions{}, events(0, 4)...)
	must(t, err)
	metadata := kurrentdb.StreamMetadata{}
	metadata.SetMaxCount(2)
	metadata.SetMaxAge(time.Hour)
	metadata.AddCustomProperty("owner", "ada")
	_, err = client.SetStreamMetadata(ctx, stream, kurrentdb.AppendToStreamOptions{}, metadata)
	must(t, err)
	found, err := client.GetStreamMetadata(ctx, stream, kurrentdb.ReadStreamOptions{})
	must(t, err)
	if *found.MaxCount() != 2 || *found.MaxAge() != time.Hour || found.CustomProperty("owner") != "ada" {
		t.Fatalf("got %+v", found)
	}
	read, err := client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{}, 9)
	mustNumbers(t, numbers(t, read, err), 3, 4)
}

func TestSeveralStreamsAreWrittenInOneTransaction(t *testing.T) {
	client, ctx := connect(t)
	first, second := newName("hive"), newName("hive")
	requests := func(state kurrentdb.StreamState) iter.Seq[kurrentdb.AppendStreamRequest] {
		return slices.Values([]kurrentdb.AppendStreamRequest{
			{StreamName: first, Events: slices.Values(events(0, 1)), ExpectedStreamState: kurrentdb.Any{}},
			{StreamName: second, Events: slices.Values(events(2, 2)), ExpectedStreamState: state},
		})
	}
	written, err := client.MultiStreamAppend(ctx, requests(kurrentdb.NoStream{}))
	must(t, err)
	if len(written.Responses) != 2 || written.Responses[0].StreamRevision != 1 {
		t.Fatalf("got %+v", written)
	}
	_, err = client.MultiStreamAppend(ctx, requests(kurrentdb.NoStream{}))
	mustFail(t, err, kurrentdb.ErrorCodeStreamRevisionConflict)
	read, err := client.ReadStream(ctx, first, kurrentdb.ReadStreamOptions{}, 9)
	mustNumbers(t, numbers(t, read, err), 0, 1)
}

func TestRecordsAreMixedAndOtherStreamsChecked(t *testing.T) {
	client, ctx := connect(t)
	first, second, checked := newName("hive"), newName("hive"), newName("hive")
	records := func(from int) []kurrentdb.AppendRecord {
		return []kurrentdb.AppendRecord{
			{Stream: first, Record: event("weighed", from)},
			{Stream: second, Record: event("weighed", from+1)},
			{Stream: first, Record: event("weighed", from+2)},
		}
	}
	check := kurrentdb.StreamStateCheck{Stream: checked, ExpectedState: kurrentdb.NoStream{}}
	_, err := client.AppendRecords(ctx, records(0), check)
	must(t, err)
	_, err = client.AppendToStream(ctx, checked, kurrentdb.AppendToStreamOptions{}, events(9, 9)...)
	must(t, err)
	_, err = client.AppendRecords(ctx, records(3), check)
	mustFail(t, err, kurrentdb.ErrorCodeAppendConsistencyViolation)
	read, err := client.ReadStream(ctx, first, kurrentdb.ReadStreamOptions{}, 9)
	mustNumbers(t, numbers(t, read, err), 0, 2)
}
