//! A process manager that correlates events by their streams, because the events contain no id.

use std::time::Duration;

use factum::prelude::*;
use factum_testkit::process;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
enum LampEvent {
    Lit,
    PutOut,
    Dusted,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "lamp", id = u32, event = LampEvent)]
struct Lamp;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct PutOut {
    #[id]
    lamp: u32,
}

impl Decide for PutOut {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(LampEvent::PutOut.into())
    }
}

const ONE_HOUR: Duration = Duration::from_hours(1);

#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(id = u32, events = LampEvent, commands = PutOut)]
struct NightWatch;

impl Apply<LampEvent> for NightWatch {
    fn apply(&mut self, _: &LampEvent) {}
}

impl React<LampEvent> for NightWatch {
    fn correlate(event: &Recorded<LampEvent>) -> Correlation<u32> {
        let lamp = event.record.stream.key().parse().unwrap();
        match event.event {
            LampEvent::Lit => Correlation::Starts(lamp),
            LampEvent::PutOut => Correlation::Continues(lamp),
            LampEvent::Dusted => Correlation::Ignored,
        }
    }

    fn react(&self, event: &Recorded<LampEvent>, then: &mut Reactions<Self>) {
        match event.event {
            LampEvent::Lit => then.deadline("night", ONE_HOUR),
            LampEvent::PutOut => then.complete(),
            LampEvent::Dusted => then,
        };
    }
}

impl Respond for NightWatch {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        let lamp = then.instance().parse().unwrap();
        then.send(PutOut { lamp });
    }
}

#[test]
fn reaction_can_use_instance_id() {
    process::<NightWatch>(7)
        .given([LampEvent::Lit])
        .when_deadline("night")
        .then_sends([PutOut { lamp: 7 }]);
}

#[test]
fn stream_key_of_test_event_is_instance_id() {
    process::<NightWatch>(7)
        .when(LampEvent::Lit)
        .then_deadline("night", ONE_HOUR)
        .when(LampEvent::PutOut)
        .then_completes();
}

#[test]
#[should_panic(
    expected = "instance \"7\" did not handle: lamp.put_out continues instance \"7\", which has not started or is complete"
)]
fn event_without_process_instance_is_reported() {
    process::<NightWatch>(7)
        .when(LampEvent::PutOut)
        .then_deadline("night", ONE_HOUR);
}

#[test]
#[should_panic(
    expected = "instance \"7\" did not handle: lamp.dusted is not correlated with an instance"
)]
fn ignored_event_is_reported() {
    process::<NightWatch>(7)
        .when(LampEvent::Dusted)
        .then_sends([PutOut { lamp: 7 }]);
}
