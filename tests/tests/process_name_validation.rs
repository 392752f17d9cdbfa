//! The names of process managers, event handlers and schedules: validity and uniqueness.

use factum::async_trait;
use factum::prelude::*;
use factum::runtime::StartError;
use factum::runtime::{EventHandler, HandlerError, RuntimeBuilder, Schedule};
use factum_memory::MemoryStore;

#[derive(Event, Debug, Clone, Serialize, Deserialize)]
enum LampEvent {
    Lit,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "lamp", id = u32, event = LampEvent)]
struct Lamp;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Light {
    #[id]
    lamp: u32,
}

impl Decide for Light {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(LampEvent::Lit.into())
    }
}

/// A process manager with the name at index `N` of [`NAMES`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Named<const N: usize>;

const NAMES: [&str; 5] = ["watch", "", "a/b", "bell\u{7}", "schedules"];

impl<const N: usize> ProcessManager for Named<N> {
    const NAME: &'static str = NAMES[N];
    const VERSION: u32 = 1;
    type Id = u32;
    type Events = LampEvent;
    type Commands = ();
}

impl<const N: usize> Apply<LampEvent> for Named<N> {
    fn apply(&mut self, _: &LampEvent) {}
}

impl<const N: usize> React<LampEvent> for Named<N> {
    fn correlate(_: &Recorded<LampEvent>) -> Correlation<u32> {
        Correlation::Ignored
    }
    fn react(&self, _: &Recorded<LampEvent>, _: &mut Reactions<Self>) {}
}

impl<const N: usize> Respond for Named<N> {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}
    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

type Watch = Named<0>;

struct Bell;

#[async_trait]
impl EventHandler<LampEvent> for Bell {
    async fn handle(&self, _: &Recorded<LampEvent>) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn builder() -> ProcessManagersBuilder {
    ProcessManagers::builder(&Engine::new(MemoryStore::new()))
}

fn try_start(builder: ProcessManagersBuilder) -> Result<(), ProcessStartError> {
    builder.try_start().map(drop)
}

fn rejection(builder: ProcessManagersBuilder) -> String {
    match try_start(builder) {
        Ok(()) => "started".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn duplicate(kind: &str, name: &str) -> String {
    format!("the {kind} {name:?} is there twice: each needs a name of its own")
}

#[tokio::test]
async fn process_and_handler_names_must_be_unique() {
    let kind = "process manager or handler";
    let builders = [
        builder().with::<Watch>().with::<Watch>(),
        builder().handler("watch", Bell).handler("watch", Bell),
        builder().with::<Watch>().handler("watch", Bell),
    ];
    for builder in builders {
        assert_eq!(rejection(builder), duplicate(kind, "watch"));
    }
    assert_eq!(
        rejection(builder().with::<Named<4>>()),
        "all schedules together go by the name \"schedules\": no process manager or handler has it"
    );
}

#[tokio::test]
async fn schedule_names_must_be_unique() -> Result<(), factum::runtime::InvalidSchedule> {
    let evening = Schedule::cron("evening", "0 18 * * *", |_| Light { lamp: 1 })?;
    let two = builder()
        .schedule(evening.clone())
        .schedule(evening.clone());
    assert_eq!(rejection(two), duplicate("schedule", "evening"));
    // Schedules are never requested by name, so a process manager or handler may share the name.
    let others = builder().schedule(evening).handler("evening", Bell);
    assert_eq!(try_start(others.with::<Watch>()), Ok(()));
    Ok(())
}

#[tokio::test]
async fn invalid_names_are_rejected() {
    let invalid = |name: &str| {
        let rule = "1 to 128 bytes without `/` or control characters";
        format!("{name:?} is no name of a process manager or a handler: {rule}")
    };
    assert_eq!(rejection(builder().with::<Named<1>>()), invalid(""));
    assert_eq!(rejection(builder().with::<Named<2>>()), invalid("a/b"));
    assert_eq!(
        rejection(builder().with::<Named<3>>()),
        invalid("bell\u{7}")
    );
    assert_eq!(rejection(builder().handler("a/b", Bell)), invalid("a/b"));
    let long = "n".repeat(129);
    assert_eq!(
        rejection(builder().handler(&long, Bell)),
        invalid(&long[..80])
    );
    assert_eq!(try_start(builder().handler(&long[1..], Bell)), Ok(()));
}

#[tokio::test]
#[should_panic(expected = "the process manager or handler \"watch\" is there twice")]
async fn start_panics_with_the_error_text() {
    let _running = builder().with::<Watch>().with::<Watch>().start();
}
