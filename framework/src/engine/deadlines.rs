//! What the append of a decision changes besides its streams: deadlines that are set and cancelled, and what is consumed.

use super::attempt::Attempt;
use super::execute_error::ExecuteError;
use super::parts::{Decision, Slots};
use crate::append::StreamAppend;
use crate::boundary::Boundary as _;
use crate::codec::Encoder;
use crate::command::Decide;
use crate::document::Changes;
use crate::process_managers::deadlines::{Setting, changes};

impl<C: Decide> Attempt<'_, C> {
    /// The deadlines that the decision sets and cancels.
    pub(super) fn deadlines(
        &self,
        (slots, decision): (&Slots<C>, &Decision<C>),
        streams: &[StreamAppend],
        encoder: &mut Encoder,
    ) -> Result<Changes, ExecuteError<C::Error>> {
        let mut found = Vec::new();
        C::On::deadlines(slots, decision, &mut |stream, orders| {
            found.push((stream, orders));
        });
        if found.is_empty() {
            return Ok(Changes::new());
        }
        let now = self.inner.clock.now();
        let mut all = Changes::new();
        for (stream, orders) in found {
            orders.check()?;
            let own = streams.iter().filter(|part| part.stream == *stream);
            // Without an event of its own, it was set by what happened elsewhere.
            let last = own
                .chain(streams.iter().rev())
                .find_map(|part| part.events.last());
            let setting = Setting {
                stream,
                event: last.map(|event| event.id),
                metadata: &encoder.metadata,
                now,
            };
            all = all.with(changes(orders, &setting, || encoder.ids.next())?);
        }
        Ok(all)
    }

    /// `decided`, and what the append consumes. A document of both becomes what is decided, if it is as consuming it
    /// requires.
    pub(super) fn with_consumed(&self, decided: Changes) -> Changes {
        if decided.is_empty() || self.consumes.is_empty() {
            return decided.with(self.consumes.clone());
        }
        let mut all = Changes::new();
        let mut consumed = self.consumes.clone().into_vec();
        for change in decided.into_vec() {
            let place = consumed.iter().position(|it| it.key == change.key);
            let required = place.and_then(|place| consumed.swap_remove(place).required);
            all = all.and(change.key, required, change.effect);
        }
        let rest = consumed.into_iter();
        rest.fold(all, |all, it| all.and(it.key, it.required, it.effect))
    }
}
