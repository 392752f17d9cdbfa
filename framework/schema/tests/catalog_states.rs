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
