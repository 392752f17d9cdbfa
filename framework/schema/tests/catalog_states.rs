//! The results and the limit of a state exploration.

use factum::prelude::*;
use factum::schema::catalog::States;

#[derive(Debug, thiserror::Error)]
#[error("no")]
struct No;

#[test]
#[should_panic(
    expected = "too many labels for the states of `counter`: more than 50; a label must name a phase, not an amount"
)]
fn exploration_rejects_too_many_labels() {
    #[derive(Event, Serialize, Deserialize)]
    struct Counted;
    #[derive(Aggregate, Default, Clone)]
    #[aggregate(category = "counter", id = u8, event = Counted)]
    struct Counter(u64);
    impl Apply<Counted> for Counter {
        fn apply(&mut self, _: &Counted) {
            self.0 += 1;
        }
    }
    #[derive(Command, Serialize)]
    #[command(on = Counter)]
    struct Count(#[id] u8);
    impl Decide for Count {
        type Error = No;
        fn decide(&self, _: &Counter) -> Result<Events<Counted>, No> {
            Ok(Counted.into())
        }
    }
    let _ = States::of(|counter: &Counter| counter.0)
        .when(Count(1))
        .explore();
}

/// Printing requires a page that was just written, which has the same label as an empty one.
#[test]
fn exploration_distinguishes_states_with_same_label() {
    #[derive(Event, Serialize, Deserialize)]
    #[event(prefix = "page")]
    enum PageEvent {
        Written,
        Printed,
    }
    #[derive(Aggregate, Default, Clone)]
    #[aggregate(category = "page", id = u8, event = PageEvent)]
    struct Page {
        is_new: bool,
        printed: bool,
    }
    impl Apply<PageEvent> for Page {
        fn apply(&mut self, event: &PageEvent) {
            self.is_new = matches!(event, PageEvent::Written);
            self.printed |= !self.is_new;
        }
    }
    #[derive(Command, Serialize)]
    #[command(on = Page)]
    struct Write(#[id] u8);
    impl Decide for Write {
        type Error = No;
        fn decide(&self, _: &Page) -> Result<Events<PageEvent>, No> {
            Ok(PageEvent::Written.into())
        }
    }
    #[derive(Command, Serialize)]
    #[command(on = Page)]
    struct Print(#[id] u8);
    impl Decide for Print {
        type Error = No;
        fn decide(&self, page: &Page) -> Result<Events<PageEvent>, No> {
            if page.is_new {
                Ok(PageEvent::Printed.into())
            } else {
                Err(No)
            }
        }
    }
    let label = |page: &Page| if page.printed { "printed" } else { "draft" };
    let found = States::of(label).when(Write(1)).when(Print(1)).explore();
    let transitions: Vec<_> = found
        .transitions
        .iter()
        .map(|transition| (&*transition.from, transition.command, &*transition.to))
        .collect();
    assert_eq!(
        transitions,
        [
            ("draft", "Write", "draft"),
            ("draft", "Print", "printed"),
            ("printed", "Write", "printed"),
            ("printed", "Print", "printed"),
        ]
    );
}

/// A lamp is found in the state of a switch.
#[test]
fn exploration_finds_aggregates() {
    #[derive(Event, Serialize, Deserialize)]
    #[event(prefix = "switch")]
    enum SwitchEvent {
        Pressed,
    }
    #[derive(Aggregate, Default, Clone)]
    #[aggregate(category = "switch", id = u8, event = SwitchEvent)]
    struct Switch {
        lamp: Option<u8>,
    }
    impl Apply<SwitchEvent> for Switch {
        fn apply(&mut self, _: &SwitchEvent) {}
    }
    #[derive(Event, Serialize, Deserialize)]
    #[event(prefix = "lamp")]
    enum LampEvent {
        Turned,
    }
    #[derive(Aggregate, Default, Clone)]
    #[aggregate(category = "lamp", id = u8, event = LampEvent)]
    struct Lamp {
        on: bool,
    }
    impl Apply<LampEvent> for Lamp {
        fn apply(&mut self, _: &LampEvent) {
            self.on = !self.on;
        }
    }
    #[derive(Command, Serialize)]
    #[command(on = Switch, find = Option<Lamp>)]
    struct Press(#[id] u8);
    impl Find for Press {
        fn find(&self, switch: &Switch) -> Option<u8> {
            switch.lamp
        }
    }
    impl Decide for Press {
        type Error = No;
        fn decide(
            &self,
            (_, lamp): (&Switch, Option<&Lamp>),
        ) -> Result<(Events<SwitchEvent>, Events<LampEvent>), No> {
            let turned = lamp.map(|_| LampEvent::Turned);
            Ok((SwitchEvent::Pressed.into(), turned.into_iter().collect()))
        }
    }
    let label = |lamp: &Lamp| if lamp.on { "on" } else { "off" };
    let lamps = |switch: Switch| States::of(label).when(Press(1)).beside(switch).explore();
    assert_eq!(lamps(Switch { lamp: None }).states, ["off"]);
    let found = lamps(Switch { lamp: Some(7) });
    assert_eq!(found.states, ["off", "on"]);
    assert_eq!(found.transitions.len(), 2);
    // The switch finds no lamp.
    let switches = States::of(|_: &Switch| "any").when(Press(1)).explore();
    assert_eq!(switches.transitions[0].event, "switch.pressed");
}
