//! The names of process managers, event handlers and schedules: validity and uniqueness.

use factum::prelude::*;
use factum::runtime::{EventHandler, HandlerError, RuntimeBuilder, Schedule, StartError};
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

const NAMES: [&str; 6] = ["watch", "", "a/b", "bell\u{7}", "schedules", "deadlines"];

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

struct Bell;

impl EventHandler<LampEvent> for Bell {
    async fn handle(&self, _: &Recorded<LampEvent>) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn builder() -> RuntimeBuilder {
    Runtime::builder(&Engine::new(MemoryStore::new()))
}

fn with_process<const N: usize>(builder: RuntimeBuilder) -> RuntimeBuilder {
    builder.process::<Named<N>>(StartFrom::Beginning)
}

fn with_handler(builder: RuntimeBuilder, name: &str) -> RuntimeBuilder {
    builder.handler(name, Bell, StartFrom::Beginning)
}

/// Starts a runtime and drops it; returns the text of the error.
async fn start(builder: RuntimeBuilder) -> Result<(), String> {
    let started = builder.start().await;
    started.map(drop).map_err(|error| error.to_string())
}

fn duplicate(kind: &str, name: &str) -> Result<(), String> {
    Err(format!(
        "two {kind}s have the name {name:?}; give each a name of its own"
    ))
}

#[tokio::test]
async fn process_and_handler_names_must_be_unique() {
    let two_processes = with_process::<0>(with_process::<0>(builder()));
    assert_eq!(
        start(two_processes).await,
        duplicate("process manager", "watch")
    );
    let two_handlers = with_handler(with_handler(builder(), "watch"), "watch");
    assert_eq!(
        start(two_handlers).await,
        duplicate("event handler", "watch")
    );
    // Each kind has handles of its own, so a process manager and a handler may share a name.
    let one_of_each = with_handler(with_process::<0>(builder()), "watch");
    assert_eq!(start(one_of_each).await, Ok(()));
}

#[tokio::test]
async fn schedule_names_must_be_unique() -> Result<(), factum::runtime::InvalidSchedule> {
    let evening = Schedule::cron("evening", "0 18 * * *", |_| Light { lamp: 1 })?;
    let two = builder()
        .schedule(evening.clone())
        .schedule(evening.clone());
    assert_eq!(start(two).await, duplicate("schedule", "evening"));
    // Schedules are never requested by name, so a process manager or handler may share the name.
    let others = with_handler(builder().schedule(evening), "evening");
    assert_eq!(start(with_process::<0>(others)).await, Ok(()));
    Ok(())
}

#[tokio::test]
async fn names_of_all_schedules_and_deadlines_are_reserved() {
    let reserved = |name: &str| -> Result<(), String> {
        Err(format!(
            "reserved process manager name {name:?}; choose another name"
        ))
    };
    assert_eq!(
        start(with_process::<4>(builder())).await,
        reserved("schedules")
    );
    assert_eq!(
        start(with_process::<5>(builder())).await,
        reserved("deadlines")
    );
}

#[tokio::test]
async fn invalid_names_are_rejected() {
    let invalid = |kind: &str, name: &str| -> Result<(), String> {
        let rule = "use 1 to 128 bytes without `/` or control characters";
        Err(format!("invalid {kind} name {name:?}; {rule}"))
    };
    let process = |name| invalid("process manager", name);
    assert_eq!(start(with_process::<1>(builder())).await, process(""));
    assert_eq!(start(with_process::<2>(builder())).await, process("a/b"));
    assert_eq!(
        start(with_process::<3>(builder())).await,
        process("bell\u{7}")
    );
    let handler = |name| invalid("event handler", name);
    assert_eq!(start(with_handler(builder(), "a/b")).await, handler("a/b"));
    let long = "n".repeat(129);
    assert_eq!(
        start(with_handler(builder(), &long)).await,
        handler(&long[..80])
    );
    assert_eq!(start(with_handler(builder(), &long[1..])).await, Ok(()));
}

#[tokio::test]
async fn duplicate_name_error_has_kind_and_name() {
    let started = with_process::<0>(with_process::<0>(builder()))
        .start()
        .await;
    assert!(
        matches!(
            &started,
            Err(StartError::DuplicateName { kind: "process manager", name }) if name == "watch"
        ),
        "{started:?}"
    );
}

#[test]
fn schedule_that_never_runs_is_rejected() {
    let reason = |cron: &str| {
        let schedule = Schedule::cron("evening", cron, |_| Light { lamp: 1 });
        schedule.map(drop).map_err(|error| error.to_string())
    };
    let never = "this date never occurs; correct the day of month or the month";
    for cron in [
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 30 FEB * Europe/Berlin",
    ] {
        let expected = format!("invalid schedule \"evening\" ({cron}): {never}");
        assert_eq!(reason(cron), Err(expected));
    }
    for cron in [
        "0 0 29 2 *",
        "0 0 31 1 *",
        "0 0 30 2 MON",
        "0 3 * * * Europe/Berlin",
    ] {
        assert_eq!(reason(cron), Ok(()), "{cron}");
    }
}

#[test]
fn schedule_with_seconds_is_rejected_with_the_fields() {
    for cron in [
        "0 0 3 * * *",
        "0 0 3 * * MON-FRI",
        "0 0 3 * * 1",
        "0 0 3 * * ?",
        "0 0 3 * * * UTC",
    ] {
        let error = Schedule::cron("evening", cron, |_| Light { lamp: 1 }).unwrap_err();
        let fields = cron.split(' ').count();
        assert_eq!(
            error.reason,
            format!(
                "it has {fields} fields; expected minute, hour, day of month, month, day of week, and optionally a \
                 time zone: seconds are not supported"
            )
        );
    }
    let error = Schedule::cron("evening", "0 3 * * * Europe/Nowhere", |_| Light { lamp: 1 });
    let error = error.unwrap_err().reason;
    assert!(error.contains("Europe/Nowhere"), "{error}");
    let error = Schedule::cron("evening", "0 3 * *", |_| Light { lamp: 1 });
    let error = error.unwrap_err().reason;
    assert!(
        error.starts_with("it has 4 fields; expected minute"),
        "{error}"
    );
}
