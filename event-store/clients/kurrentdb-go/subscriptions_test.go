package client

import (
	"slices"
	"testing"

	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

// nextNumbers returns the numbers of the next events.
func nextNumbers(t *testing.T, subscription *kurrentdb.Subscription, count int) []int {
	t.Helper()
	var all []int
	for len(all) < count {
		event := subscription.Recv()
		if event.SubscriptionDropped != nil {
			t.Fatal(event.SubscriptionDropped.Error)
		}
		if event.EventAppeared != nil {
			all = append(all, number(t, event.EventAppeared))
		}
	}
	return all
}

func TestStreamIsFollowedFromEachStart(t *testing.T) {
	client, ctx := connect(t)
	stream := newName("hive")
	_, err := client.AppendToStream(ctx, stream, kurrentdb.AppendToStreamOptions{}, events(0, 2)...)
	must(t, err)
	for _, test := range []struct {
		from     kurrentdb.StreamPosition
		expected []int
	}{{kurrentdb.Start{}, []int{0, 1, 2}}, {kurrentdb.Revision(1), []int{2}}} {
		subscription, err := client.SubscribeToStream(ctx, stream, kurrentdb.SubscribeToStreamOptions{From: test.from})
		must(t, err)
		mustNumbers(t, nextNumbers(t, subscription, len(test.expected)), test.expected...)
		must(t, subscription.Close())
	}
	subscription, err := client.SubscribeToStream(ctx, stream, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.End{}})
	must(t, err)
	defer subscription.Close()
	for subscription.Recv().CaughtUp == nil {
	}
	_, err = client.AppendToStream(ctx, stream, kurrentdb.AppendToStreamOptions{}, events(3, 4)...)
	must(t, err)
	mustNumbers(t, nextNumbers(t, subscription, 2), 3, 4)
}

func TestLogIsFollowedWithAFilter(t *testing.T) {
	client, ctx := connect(t)
	name := newName("weighed")
	for number := range 3 {
		_, err := client.AppendToStream(ctx, newName("hive"), kurrentdb.AppendToStreamOptions{}, event(name, number), event("other", 9))
		must(t, err)
	}
	for _, filter := range []kurrentdb.SubscriptionFilter{
		{Type: kurrentdb.EventFilterType, Prefixes: []string{name}},
		{Type: kurrentdb.EventFilterType, Regex: "^" + name + "$"},
	} {
		options := kurrentdb.SubscribeToAllOptions{From: kurrentdb.Start{}, Filter: &filter}
		subscription, err := client.SubscribeToAll(ctx, options)
		must(t, err)
		mustNumbers(t, nextNumbers(t, subscription, 3), 0, 1, 2)
		must(t, subscription.Close())
	}
}

// answered returns the numbers of the next events of a group, after an answer to each.
func answered(
	t *testing.T, consumer *kurrentdb.PersistentSubscription, count int, answer func(*kurrentdb.ResolvedEvent) error,
) []int {
	t.Helper()
	var all []int
	for len(all) < count {
		event := consumer.Recv()
		if event.SubscriptionDropped != nil {
			t.Fatal(event.SubscriptionDropped.Error)
		}
		if event.EventAppeared != nil {
			all = append(all, number(t, event.EventAppeared.Event))
			must(t, answer(event.EventAppeared.Event))
		}
	}
	return all
}

func TestEventsOfAStreamAreConsumedParkedAndReplayed(t *testing.T) {
	client, ctx := connect(t)
	stream := newName("hive")
	options := kurrentdb.PersistentStreamSubscriptionOptions{StartFrom: kurrentdb.Start{}}
	must(t, client.CreatePersistentSubscription(ctx, stream, "group", options))
	mustFail(t, client.CreatePersistentSubscription(ctx, stream, "group", options), kurrentdb.ErrorCodeResourceAlreadyExists)
	_, err := client.AppendToStream(ctx, stream, kurrentdb.AppendToStreamOptions{}, events(0, 2)...)
	must(t, err)
	consumer, err := client.SubscribeToPersistentSubscription(ctx, stream, "group", kurrentdb.SubscribeToPersistentSubscriptionOptions{})
	must(t, err)
	defer consumer.Close()
	acknowledge := func(event *kurrentdb.ResolvedEvent) error { return consumer.Ack(event) }
	park := func(event *kurrentdb.ResolvedEvent) error {
		return consumer.Nack("test", kurrentdb.NackActionPark, event)
	}
	mustNumbers(t, answered(t, consumer, 2, acknowledge), 0, 1)
	mustNumbers(t, answered(t, consumer, 1, park), 2)
	for {
		info, err := client.GetPersistentSubscriptionInfo(ctx, stream, "group", kurrentdb.GetPersistentSubscriptionOptions{})
		must(t, err)
		if info.Stats.ParkedMessagesCount == 1 {
			break
		}
	}
	must(t, client.ReplayParkedMessages(ctx, stream, "group", kurrentdb.ReplayParkedMessagesOptions{}))
	mustNumbers(t, answered(t, consumer, 1, acknowledge), 2)
}

func TestGroupsAreListedUpdatedAndDeleted(t *testing.T) {
	client, ctx := connect(t)
	stream, group := newName("hive"), newName("group")
	must(t, client.CreatePersistentSubscription(ctx, stream, group, kurrentdb.PersistentStreamSubscriptionOptions{}))
	must(t, client.CreatePersistentSubscriptionToAll(ctx, group, kurrentdb.PersistentAllSubscriptionOptions{
		Filter: &kurrentdb.SubscriptionFilter{Type: kurrentdb.StreamFilterType, Prefixes: []string{"hive"}},
	}))
	settings := kurrentdb.SubscriptionSettingsDefault()
	settings.MaxRetryCount = 77
	must(t, client.UpdatePersistentSubscription(ctx, stream, group, kurrentdb.PersistentStreamSubscriptionOptions{Settings: &settings}))
	must(t, client.UpdatePersistentSubscriptionToAll(ctx, group, kurrentdb.PersistentAllSubscriptionOptions{Settings: &settings}))
	info, err := client.GetPersistentSubscriptionInfo(ctx, stream, group, kurrentdb.GetPersistentSubscriptionOptions{})
	must(t, err)
	if info.EventSource != stream || info.GroupName != group || info.Settings.MaxRetryCount != 77 {
		t.Fatalf("got %+v", info)
	}
	ofStream, err := client.ListPersistentSubscriptionsForStream(ctx, stream, kurrentdb.ListPersistentSubscriptionsOptions{})
	must(t, err)
	all, err := client.ListAllPersistentSubscriptions(ctx, kurrentdb.ListPersistentSubscriptionsOptions{})
	must(t, err)
	isOurs := func(info kurrentdb.PersistentSubscriptionInfo) bool { return info.GroupName == group }
	if len(ofStream) != 1 || !slices.ContainsFunc(all, isOurs) {
		t.Fatalf("got %+v and %+v", ofStream, all)
	}
	must(t, client.RestartPersistentSubscriptionSubsystem(ctx, kurrentdb.RestartPersistentSubscriptionSubsystemOptions{}))
	must(t, client.DeletePersistentSubscription(ctx, stream, group, kurrentdb.DeletePersistentSubscriptionOptions{}))
	must(t, client.DeletePersistentSubscriptionToAll(ctx, group, kurrentdb.DeletePersistentSubscriptionOptions{}))
	_, err = client.GetPersistentSubscriptionInfo(ctx, stream, group, kurrentdb.GetPersistentSubscriptionOptions{})
	mustFail(t, err, kurrentdb.ErrorCodeResourceNotFound)
}

func TestGossipNamesTheServer(t *testing.T) {
	client, ctx := connect(t)
	members, err := client.Gossip(ctx)
	must(t, err)
	if len(members) != 1 {
		t.Fatalf("expected one server, got %v", members)
	}
}
