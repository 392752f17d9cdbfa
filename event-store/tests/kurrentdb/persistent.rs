//! Persistent subscriptions, message by message.

use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::create_req::all_options::filter_options::{
    Expression, Filter, Window,
};
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::create_req::all_options::{
    AllOption, FilterOption, FilterOptions,
};
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::create_req::stream_options::RevisionOption;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::persistent_subscriptions_client::PersistentSubscriptionsClient;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::read_req::nack::Action;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::{
    CreateReq, DeleteReq, GetInfoReq, ListReq, ReadReq, ReadResp, ReplayParkedReq,
    SubscriptionInfo, create_req, delete_req, get_info_req, list_req, read_req, read_resp,
    replay_parked_req,
};
use factum_compatible_protocols::kurrentdb::client::{Empty, Uuid, uuid};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::client::{Connected, name, trailer};
use crate::server::LIMIT;

type Client = PersistentSubscriptionsClient<Channel>;

fn settings() -> Option<create_req::Settings> {
    Some(create_req::Settings {
        resolve_links: true,
        max_retry_count: 2,
        min_checkpoint_count: 10,
        max_checkpoint_count: 1_000,
        live_buffer_size: 500,
        read_batch_size: 20,
        history_buffer_size: 500,
        message_timeout: Some(create_req::settings::MessageTimeout::MessageTimeoutMs(
            30_000,
        )),
        checkpoint_after: Some(create_req::settings::CheckpointAfter::CheckpointAfterMs(
            2_000,
        )),
        consumer_strategy: "RoundRobin".to_owned(),
        ..create_req::Settings::default()
    })
}

fn of_all(filter: FilterOption) -> CreateReq {
    let all = create_req::AllOptions {
        all_option: Some(AllOption::Start(Empty {})),
        filter_option: Some(filter),
    };
    CreateReq {
        options: Some(create_req::Options {
            stream_option: Some(create_req::options::StreamOption::All(all)),
            group_name: "mail".to_owned(),
            settings: settings(),
            ..create_req::Options::default()
        }),
    }
}

fn of_stream(stream: &str) -> CreateReq {
    let of_stream = create_req::StreamOptions {
        stream_identifier: name(stream),
        revision_option: Some(RevisionOption::Start(Empty {})),
    };
    CreateReq {
        options: Some(create_req::Options {
            stream_option: Some(create_req::options::StreamOption::Stream(of_stream)),
            group_name: "mail".to_owned(),
            settings: settings(),
            ..create_req::Options::default()
        }),
    }
}

/// A consumer of the group "mail".
struct Consumer {
    requests: mpsc::Sender<ReadReq>,
    responses: Streaming<ReadResp>,
}

impl Consumer {
    async fn join(client: &mut Client, stream: read_req::options::StreamOption) -> Self {
        let text = read_req::options::uuid_option::Content::String(Empty {});
        let options = read_req::Options {
            stream_option: Some(stream),
            group_name: "mail".to_owned(),
            buffer_size: 10,
            uuid_option: Some(read_req::options::UuidOption {
                content: Some(text),
            }),
        };
        let (requests, receiver) = mpsc::channel(10);
        let first = read_req::Content::Options(options);
        let first = ReadReq {
            content: Some(first),
        };
        requests.send(first).await.unwrap();
        let responses = client.read(ReceiverStream::new(receiver)).await.unwrap();
        let mut consumer = Self {
            requests,
            responses: responses.into_inner(),
        };
        let confirmation = consumer.next().await.unwrap();
        assert!(matches!(
            confirmation,
            read_resp::Content::SubscriptionConfirmation(_)
        ));
        consumer
    }

    async fn next(&mut self) -> Result<read_resp::Content, Status> {
        let message = timeout(LIMIT, self.responses.message()).await.unwrap()?;
        Ok(message.expect("the call continues").content.unwrap())
    }

    async fn event(&mut self) -> read_resp::ReadEvent {
        match self.next().await.unwrap() {
            read_resp::Content::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    async fn send(&self, content: read_req::Content) {
        let content = Some(content);
        self.requests.send(ReadReq { content }).await.unwrap();
    }

    async fn ack(&self, id: Uuid) {
        let ack = read_req::Ack {
            ids: vec![id],
            ..read_req::Ack::default()
        };
        self.send(read_req::Content::Ack(ack)).await;
    }

    async fn nack(&self, id: Uuid, action: Action) {
        let nack = read_req::Nack {
            ids: vec![id],
            action: action.into(),
            reason: "the test says so".to_owned(),
            ..read_req::Nack::default()
        };
        self.send(read_req::Content::Nack(nack)).await;
    }
}

/// Returns the number of an event, and its id.
fn id_of(event: Option<read_resp::read_event::RecordedEvent>) -> (u128, Uuid) {
    let id = event.unwrap().id.unwrap();
    let Some(uuid::Value::String(text)) = &id.value else {
        panic!("{id:?}");
    };
    (text.parse::<::uuid::Uuid>().unwrap().as_u128(), id)
}

async fn info(client: &mut Client) -> Result<SubscriptionInfo, Status> {
    let options = get_info_req::Options {
        stream_option: Some(get_info_req::options::StreamOption::All(Empty {})),
        group_name: "mail".to_owned(),
    };
    let request = GetInfoReq {
        options: Some(options),
    };
    let info = client.get_info(request).await?;
    Ok(info.into_inner().subscription_info.unwrap())
}

async fn wait_for_parked(client: &mut Client, count: i64) {
    let parked = timeout(LIMIT, async {
        while info(client).await.unwrap().parked_message_count != count {
            tokio::task::yield_now().await;
        }
    });
    parked
        .await
        .unwrap_or_else(|_| panic!("never {count} parked"));
}

#[tokio::test]
async fn group_delivers_parks_and_replays_what_its_filter_selects() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    connected.append("hive", &[1, 2]).await;
    connected.append("bee", &[3]).await;
    let mut client = Client::new(connected.channel.clone());
    let filter = FilterOption::Filter(FilterOptions {
        filter: Some(Filter::StreamIdentifier(Expression {
            regex: String::new(),
            prefix: vec!["hive".to_owned()],
        })),
        window: Some(Window::Count(Empty {})),
        checkpoint_interval_multiplier: 1,
    });
    client.create(of_all(filter)).await.unwrap();
    let all = read_req::options::StreamOption::All(Empty {});
    let mut consumer = Consumer::join(&mut client, all).await;
    let (first, first_id) = id_of(consumer.event().await.event);
    let (second, second_id) = id_of(consumer.event().await.event);
    assert_eq!((first, second), (1, 2));
    consumer.ack(first_id).await;
    consumer.nack(second_id, Action::Park).await;
    wait_for_parked(&mut client, 1).await;
    let described = info(&mut client).await.unwrap();
    assert_eq!(
        (&*described.event_source, &*described.group_name),
        ("$all", "mail")
    );
    assert_eq!(described.connections.len(), 1);

    let replay = ReplayParkedReq {
        options: Some(replay_parked_req::Options {
            group_name: "mail".to_owned(),
            stream_option: Some(replay_parked_req::options::StreamOption::All(Empty {})),
            stop_at_option: Some(replay_parked_req::options::StopAtOption::NoLimit(Empty {})),
        }),
    };
    client.replay_parked(replay).await.unwrap();
    let (again, again_id) = id_of(consumer.event().await.event);
    assert_eq!(again, 2);
    consumer.nack(again_id, Action::Retry).await;
    let retried = consumer.event().await;
    consumer.ack(id_of(retried.event).1).await;
    wait_for_parked(&mut client, 0).await;
    // An event that the filter does not select is not delivered.
    connected.append("bee", &[4]).await;
    connected.append("hive", &[5]).await;
    assert_eq!(id_of(consumer.event().await.event).0, 5);
}

#[tokio::test]
async fn group_on_a_virtual_stream_delivers_links() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    connected.append("hive-1", &[1]).await;
    connected.append("bee-1", &[2]).await;
    connected.append("hive-2", &[3]).await;
    let mut client = Client::new(connected.channel.clone());
    client.create(of_stream("$ce-hive")).await.unwrap();
    let stream = name("$ce-hive").unwrap();
    let stream = read_req::options::StreamOption::StreamIdentifier(stream);
    let mut consumer = Consumer::join(&mut client, stream).await;
    for expected in [1, 3] {
        let delivered = consumer.event().await;
        let link = delivered.link.clone().unwrap();
        assert_eq!(link.stream_identifier, name("$ce-hive"));
        assert_eq!(id_of(delivered.event).0, expected);
        consumer.ack(id_of(delivered.link).1).await;
    }
}

#[tokio::test]
async fn groups_are_created_listed_and_deleted_once() {
    let dir = tempfile::tempdir().unwrap();
    let connected = Connected::start(dir.path()).await;
    let mut client = Client::new(connected.channel.clone());
    let missing = info(&mut client).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let exception = "persistent-subscription-does-not-exist";
    assert_eq!(trailer(&missing, "exception"), exception);
    client
        .create(of_all(FilterOption::NoFilter(Empty {})))
        .await
        .unwrap();
    client.create(of_stream("hive")).await.unwrap();
    let exists = client.create(of_stream("hive")).await.unwrap_err();
    assert_eq!(exists.code(), Code::AlreadyExists);
    let everything = list_req::options::ListOption::ListAllSubscriptions(Empty {});
    let list = ListReq {
        options: Some(list_req::Options {
            list_option: Some(everything),
        }),
    };
    let listed = client.list(list.clone()).await.unwrap().into_inner();
    let sources = listed.subscriptions.iter().map(|it| &*it.event_source);
    assert_eq!(sources.collect::<Vec<_>>(), ["$all", "hive"]);
    let all = read_req::options::StreamOption::All(Empty {});
    let mut consumer = Consumer::join(&mut client, all).await;
    let delete = DeleteReq {
        options: Some(delete_req::Options {
            stream_option: Some(delete_req::options::StreamOption::All(Empty {})),
            group_name: "mail".to_owned(),
        }),
    };
    client.delete(delete.clone()).await.unwrap();
    // The consumer learns why its call ends.
    let ended = consumer.next().await.unwrap_err();
    assert_eq!(trailer(&ended, "group-name"), "mail");
    let again = client.delete(delete).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound);
    let listed = client.list(list).await.unwrap().into_inner();
    assert_eq!(listed.subscriptions.len(), 1);
    for settings in [
        create_req::Settings {
            max_retry_count: -1,
            ..settings().unwrap()
        },
        create_req::Settings {
            consumer_strategy: "Random".to_owned(),
            ..settings().unwrap()
        },
    ] {
        let mut create = of_stream("bee");
        create.options.as_mut().unwrap().settings = Some(settings);
        let status = client.create(create).await.unwrap_err();
        let exception = "persistent-subscription-failed";
        assert_eq!(trailer(&status, "exception"), exception, "{status}");
    }
}
