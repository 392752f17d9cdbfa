//! What an exploration finds, and where it ends.

use factum::prelude::*;
use factum::schema::catalog::States;

#[derive(Debug, thiserror::Error)]
#[error("no")]
struct No;

#[test]
#[should_panic(expected = "more than 50 states of `counter`: a label names a phase, not an amount")]
fn a_label_that_counts_is_rejected() {
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

/// A way is followed once more, so what is possible only behind it is found.
#[test]
fn what_a_state_allows_only_after_a_way_within_it_is_found() {
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
    let ways: Vec<_> = found
        .transitions
        .iter()
        .map(|way| (&*way.from, way.command, &*way.to))
        .collect();
    assert_eq!(
        ways,
        [
            ("draft", "Write", "draft"),
            ("draft", "Print", "printed"),
            ("printed", "Write", "printed"),
            ("printed", "Print", "printed"),
        ]
    );
}
