//! [`EventSelection`]: an event enum, or some of its variants, in an event set.

use std::marker::PhantomData;

use crate::domain::distinct::equal;
use crate::domain::event::{Event, EventType};
use crate::domain::event_form::EventForm;

/// The event type of a selection.
pub type SelectedEvent<S> = <<S as EventSelection>::Form as EventForm>::Event;

/// An element of an event set: an event in one of its forms, or [`Variants`] of one.
///
/// It is implemented for every [`EventForm`], with all variants.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "write `#[derive(Event, Serialize, Deserialize)]` on it"
)]
pub trait EventSelection: Send + Sync + 'static {
    /// The form in which a state receives the events.
    type Form: EventForm;
    /// The event types.
    const SELECTION: SelectedTypes;

    /// Returns whether the variant of `event` is selected.
    fn selects(event: &SelectedEvent<Self>) -> bool {
        Self::SELECTION.contains(event.type_index())
    }
}

/// The event form `F`, restricted to the variants whose bits are set in `MASK`.
///
/// `events = AccountEvent::{Opened, Closed}` of `derive(Command)` creates it. Bit n is the variant with the index n in
/// [`Event::TYPES`].
#[derive(Debug)]
pub struct Variants<F, const MASK: u128>(PhantomData<fn() -> F>);

/// Some of the event types of an event.
#[derive(Debug, Clone, Copy)]
pub struct SelectedTypes {
    all: &'static [EventType],
    /// The bits of the selected types; `None` if all are selected.
    mask: Option<u128>,
}

impl<F: EventForm> EventSelection for F {
    type Form = F;
    const SELECTION: SelectedTypes = SelectedTypes {
        all: F::Event::TYPES,
        mask: None,
    };
}

impl<F: EventForm, const MASK: u128> EventSelection for Variants<F, MASK> {
    type Form = F;
    const SELECTION: SelectedTypes = SelectedTypes {
        all: F::Event::TYPES,
        mask: Some(MASK),
    };
}

impl SelectedTypes {
    /// Returns the selected event types.
    pub fn iter(self) -> impl Iterator<Item = &'static EventType> {
        let types = self.all.iter().enumerate();
        types.filter_map(move |(index, kind)| self.contains(index).then_some(kind))
    }

    /// Returns whether a selected event type has a tag with this key.
    #[must_use]
    pub const fn has_tag(&self, key: &str) -> bool {
        let mut index = 0;
        while index < self.all.len() {
            let tags = self.all[index].tags;
            let mut tag = 0;
            while tag < tags.len() {
                if self.contains(index) && equal(tags[tag], key) {
                    return true;
                }
                tag += 1;
            }
            index += 1;
        }
        false
    }

    const fn contains(&self, index: usize) -> bool {
        match self.mask {
            None => true,
            Some(mask) => index < MAX_VARIANTS && mask >> index & 1 == 1,
        }
    }
}

/// The number of variants that a mask can select from.
const MAX_VARIANTS: usize = u128::BITS as usize;

/// Returns the mask for [`Variants`] of the variants with these names.
///
/// It ignores an unknown name: the code that the derive generates names each variant in a pattern, too, which is then a
/// compile error.
///
/// # Panics
/// If the event has more variants than a mask has bits. In a constant, that is a compile error.
#[must_use]
pub const fn variant_mask(types: &[EventType], variants: &[&str]) -> u128 {
    assert!(
        types.len() <= MAX_VARIANTS,
        "cannot select variants of an event with more than 128 variants; write the type without braces"
    );
    let (mut mask, mut index) = (0, 0);
    while index < types.len() {
        let mut variant = 0;
        while variant < variants.len() {
            if equal(types[index].variant, variants[variant]) {
                mask |= 1 << index;
            }
            variant += 1;
        }
        index += 1;
    }
    mask
}
