//! Two types with one stored name: the wrong one would read what the other has stored.

use std::time::Duration;

use factum::prelude::*;
use factum::runtime::{Schedule, StartError};
use factum::store::Timestamp;
use factum_memory::MemoryStore;
use factum_testkit::VirtualClock;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "cat")]
enum CatEvent {
    Adopted,
    Fed,
    Petted,
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "cat", id = u32, event = CatEvent)]
struct Cat;

impl Apply<CatEvent> for Cat {
    fn apply(&mut self, _: &CatEvent) {}
}

/// A module with a command `Remind`.
macro_rules! remind {
    ($module:ident, $event:expr) => {
        mod $module {
            use super::*;

            #[derive(Command, Serialize, Deserialize)]
            #[command(on = Cat)]
            pub(super) struct Remind {
                #[id]
                pub(super) cat: u32,
            }

            impl Decide for Remind {
                type Error = std::convert::Infallible;

                fn decide(&self, _: &Cat) -> Result<Events<CatEvent>, Self::Error> {
                    Ok($event.into())
                }
            }
        }
    };
}

remind!(feeding, CatEvent::Fed);
remind!(petting, CatEvent::Petted);

#[derive(Command, Serialize, Deserialize)]
#[command(on = Cat)]
struct Adopt {
    #[id]
    cat: u32,
}

impl Decide for Adopt {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Cat) -> Result<Events<CatEvent>, Self::Error> {
        let remind = petting::Remind { cat: self.cat };
        Ok(Events::from(CatEvent::Adopted).deadline("pet", Duration::from_secs(5), remind))
    }
}

const BOTH: &str = "duplicate_names::feeding::Remind and duplicate_names::petting::Remind";

#[tokio::test]
async fn two_commands_of_deadlines_need_different_names() {
    let engine = Engine::new(MemoryStore::new());
    let runtime = Runtime::builder(&engine).deadlines::<feeding::Remind>();
    let started = runtime.deadlines::<petting::Remind>().start().await;
    let error = started.unwrap_err();
    assert!(matches!(error, StartError::DuplicateCommand { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "two commands of `deadlines` have the name \"Remind\": {BOTH}; \
             rename one with `#[command(name = \"…\")]`"
        )
    );
    let runtime = Runtime::builder(&engine).deadlines::<(Adopt, feeding::Remind)>();
    let started = runtime.deadlines::<feeding::Remind>().start().await;
    started.unwrap().stop().await;
}

#[tokio::test]
async fn deadline_never_executes_a_namesake_of_its_command() {
    let clock = VirtualClock::new();
    let engine = Engine::builder(MemoryStore::new()).clock(clock.clone());
    let engine = engine.build();
    let runtime = Runtime::builder(&engine).deadlines::<feeding::Remind>();
    let runtime = runtime.start().await.unwrap();
    let error = engine.execute(Adopt { cat: 1 }).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid deadline \"pet\": its command duplicate_names::petting::Remind and the command \
         duplicate_names::feeding::Remind in `deadlines` of the runtime have the name \"Remind\"; \
         rename one with `#[command(name = \"…\")]`"
    );
    assert_eq!(
        engine.load::<Cat>(&1).await.unwrap().version(),
        factum::Version::ZERO
    );
    runtime.stop().await;
}

#[tokio::test]
async fn schedules_with_namesakes_execute_their_own_command() {
    let clock = VirtualClock::new();
    let engine = Engine::builder(MemoryStore::new()).clock(clock.clone());
    let engine = engine.build();
    let feed = |_: Timestamp| feeding::Remind { cat: 1 };
    let pet = |_: Timestamp| petting::Remind { cat: 2 };
    let runtime = Runtime::builder(&engine)
        .schedule(Schedule::cron("feed", "0 * * * *", feed).unwrap())
        .schedule(Schedule::cron("pet", "0 * * * *", pet).unwrap());
    let runtime = runtime.start().await.unwrap();
    runtime.wait_until_idle().await.unwrap();
    clock.advance(Duration::from_secs(3_600));
    runtime.wait_until_idle().await.unwrap();
    for (cat, event) in [(1, CatEvent::Fed), (2, CatEvent::Petted)] {
        let history = engine.history::<Cat>(&cat).await.unwrap();
        let events: Vec<_> = history.into_iter().map(|recorded| recorded.event).collect();
        assert_eq!(events, [event]);
    }
    runtime.stop().await;
}

/// A projection of two event types, one of which has retired an event that the other uses.
mod retired {
    use super::*;
    use factum::runtime::InMemory;

    #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[event(prefix = "dog", retired = ["cat.fed"])]
    enum DogEvent {
        Walked,
    }

    #[derive(Projection, Default)]
    #[projection(events = (DogEvent, CatEvent))]
    struct Meals(u32);

    impl Project<DogEvent> for Meals {
        fn project(&mut self, _: &Recorded<DogEvent>) {}
    }

    impl Project<CatEvent> for Meals {
        fn project(&mut self, event: &Recorded<CatEvent>) {
            self.0 += u32::from(event.event == CatEvent::Fed);
        }
    }

    #[tokio::test]
    async fn retired_event_type_is_read_by_the_type_that_uses_it() {
        let engine = Engine::new(MemoryStore::new());
        let meals = InMemory::<Meals>::new();
        let runtime = Runtime::builder(&engine).projection(meals.clone());
        let runtime = runtime.start().await.unwrap();
        let fed = engine.execute(feeding::Remind { cat: 1 });
        fed.and_wait(&runtime).await.unwrap();
        assert_eq!(meals.read(|meals| meals.0), 1);
        runtime.stop().await;
    }
}
