//! The checker: an interval of heads for each response, and a head for each call.

use factum::store::{Append, Appended, Page, Read, RecordedEvent};
use factum::{Position, StreamId, Version};

use super::anomaly::Anomaly;
use super::calls::{Call, History, Kind, Response, Subscriber};
use super::log::{Log, Span, Stored};

impl History {
    /// Checks that the history is linearizable, and that subscribers received the events in log order.
    ///
    /// # Errors
    /// Returns the first [`Anomaly`] found; [`Self::describe`] shows it with the related calls.
    pub fn check(&self) -> Result<(), Anomaly> {
        let log = Log::new(self)?;
        for (number, subscriber) in self.subscribers.iter().enumerate() {
            check_subscriber(&log, number, subscriber)?;
        }
        let effects = self.calls.iter().enumerate();
        let effects = effects.map(|(number, call)| effect(&log, self, number, call));
        check_order(&log, &self.calls, &effects.collect::<Result<Vec<_>, _>>()?)
    }
}

/// Checks that a subscriber received exactly the matching events, in log order.
fn check_subscriber(log: &Log<'_>, number: usize, subscriber: &Subscriber) -> Result<(), Anomaly> {
    let mut seen = subscriber.seen.iter();
    let matching = log.events.iter();
    let mut matching = matching.filter(|event| subscriber.query.matches(event));
    loop {
        let (expected, actual) = (matching.next(), seen.next());
        if expected != actual {
            let position = |event: &RecordedEvent| event.position.get();
            return Err(Anomaly::WrongSubscription {
                subscriber: number,
                expected: expected.map(position),
                actual: actual.map(position),
            });
        }
        if expected.is_none() {
            return Ok(());
        }
    }
}

/// The effect of a call.
enum Effect {
    /// The call has no known effect.
    None,
    /// The call observed the store at one of these heads.
    Observed(Span),
    /// The call stored events.
    Stored(Stored),
}

/// Returns the effect of `call`, or an anomaly if its response is valid at no head.
fn effect(log: &Log<'_>, history: &History, call: usize, made: &Call) -> Result<Effect, Anomaly> {
    let (append, response) = match &made.kind {
        Kind::Read(read, page) => return check_page(log, call, read, page).map(Effect::Observed),
        Kind::Append(append, response) => (append, response),
    };
    let stored = log.stored.get(&call).copied();
    let check_stored = |stored: Stored| {
        // The expectations must hold at the head before the append. A key cannot be stored twice.
        match log.expectations_hold(append).contains(stored.first - 1) {
            true => Ok(Effect::Stored(stored)),
            false => Err(Anomaly::StoredDespiteConflict {
                call,
                position: stored.first,
            }),
        }
    };
    let span = match (response, stored) {
        (Response::Unknown(_) | Response::NotStored(_), None) => return Ok(Effect::None),
        (Response::Unknown(_), Some(stored)) => return check_stored(stored),
        (Response::Stored(receipt), Some(stored)) if !receipt.repeated => {
            check_receipt(log, call, receipt, stored)?;
            return check_stored(stored);
        }
        (Response::Stored(receipt), None) if !receipt.repeated && append.count() > 0 => {
            return Err(Anomaly::LostAppend { call });
        }
        (_, Some(Stored { first, .. })) => {
            return Err(Anomaly::StoredDespiteError {
                call,
                position: first,
            });
        }
        (Response::Stored(receipt), None) if receipt.repeated => {
            return check_repeated(log, history, call, receipt);
        }
        (Response::Stored(receipt), None) => {
            let head = receipt.position.get();
            log.expectations_hold(append).and(Span {
                from: head,
                to: head,
            })
        }
        (Response::Conflict(conflict), None) => log.conflicts_with(append, conflict).and(
            Span::before(first_use(log, append).map(|(_, first)| first.first)),
        ),
        (Response::KeyReused, None) => key_reused(log, history, append),
    };
    match log.head_from(span.from).is_some_and(|head| head <= span.to) {
        true => Ok(Effect::Observed(span)),
        false => Err(Anomaly::ImpossibleResponse { call }),
    }
}

/// Returns the call that stored the key of `append`, and its positions.
fn first_use(log: &Log<'_>, append: &Append) -> Option<(usize, Stored)> {
    let call = log.keys.get(append.key.as_ref()?.key.as_str())?;
    Some((*call, *log.stored.get(call)?))
}

fn fingerprint_of(history: &History, call: usize) -> Option<uuid::Uuid> {
    match &history.calls[call].kind {
        Kind::Append(append, _) => append.key.as_ref().map(|key| key.fingerprint),
        Kind::Read(..) => None,
    }
}

/// Checks a repeated response, which is valid once the first append with the key is stored.
fn check_repeated(
    log: &Log<'_>,
    history: &History,
    call: usize,
    receipt: &Appended,
) -> Result<Effect, Anomaly> {
    let Kind::Append(append, _) = &history.calls[call].kind else {
        return Ok(Effect::None);
    };
    let fingerprint = append.key.as_ref().map(|key| key.fingerprint);
    match first_use(log, append) {
        Some((first, stored)) if fingerprint_of(history, first) == fingerprint => {
            check_receipt(log, call, receipt, stored)?;
            Ok(Effect::Observed(Span::from(stored.last)))
        }
        _ => Err(Anomaly::ImpossibleResponse { call }),
    }
}

/// Returns the heads at which the key was used for other content.
fn key_reused(log: &Log<'_>, history: &History, append: &Append) -> Span {
    let fingerprint = append.key.as_ref().map(|key| key.fingerprint);
    match first_use(log, append) {
        Some((first, stored)) if fingerprint_of(history, first) != fingerprint => {
            Span::from(stored.last)
        }
        _ => Span::NEVER,
    }
}

/// Checks that the receipt of an append matches the log.
fn check_receipt(
    log: &Log<'_>,
    call: usize,
    receipt: &Appended,
    stored: Stored,
) -> Result<(), Anomaly> {
    let events = &log.events[stored.first as usize - 1..stored.last as usize];
    let mut versions: Vec<(StreamId, Version)> = Vec::new();
    for event in events {
        match versions
            .iter_mut()
            .find(|(stream, _)| *stream == event.stream)
        {
            Some((_, version)) => *version = event.version,
            None => versions.push((event.stream.clone(), event.version)),
        }
    }
    let expected = Appended {
        position: Position::new(stored.last),
        count: events.len() as u64,
        versions,
        recorded_at: events[0].recorded_at,
        repeated: receipt.repeated,
    };
    match *receipt == expected {
        true => Ok(()),
        false => Err(Anomaly::WrongReceipt {
            call,
            expected: Box::new(expected),
        }),
    }
}

/// Checks that a page matches the log at its head.
fn check_page(log: &Log<'_>, call: usize, read: &Read, page: &Page) -> Result<Span, Anomaly> {
    let head = page.head.get();
    if log.head_from(head) != Some(head) {
        return Err(Anomaly::PartialRead { call });
    }
    let mut expected = log.page(read, head);
    let more = expected.len() > read.limit;
    expected.truncate(read.limit);
    let as_stored =
        |event: &RecordedEvent| log.events.get(event.position.get() as usize - 1) == Some(event);
    let found = page.events.iter().map(|event| event.position.get());
    let matches = found.eq(expected.iter().copied()) && page.events.iter().all(as_stored);
    if !matches || page.more != more {
        return Err(Anomaly::WrongPage {
            call,
            expected,
            more,
        });
    }
    Ok(Span {
        from: head,
        to: head,
    })
}

/// Finds a head for each call at which its response is valid.
///
/// It must not be before the head of a call that had already ended.
fn check_order(log: &Log<'_>, calls: &[Call], effects: &[Effect]) -> Result<(), Anomaly> {
    let mut by_start: Vec<usize> = (0..calls.len()).collect();
    by_start.sort_unstable_by_key(|call| calls[*call].started);
    let mut by_end: Vec<usize> = (0..calls.len()).collect();
    by_end.sort_unstable_by_key(|call| calls[*call].ended);
    let mut ended = by_end.into_iter().peekable();
    let mut heads = vec![0; calls.len()];
    // The latest head that was observed so far, and the call that observed it.
    let (mut observed, mut observed_by) = (0, None);
    for call in by_start {
        while let Some(earlier) = ended.next_if(|other| calls[*other].ended < calls[call].started) {
            if heads[earlier] > observed && !is_pending(&calls[earlier]) {
                (observed, observed_by) = (heads[earlier], Some(earlier));
            }
        }
        let (valid, head) = match &effects[call] {
            Effect::None => continue,
            Effect::Stored(stored) => {
                let before = stored.first - 1;
                let valid = Span {
                    from: before,
                    to: before,
                };
                (valid, (observed <= before).then_some(stored.last))
            }
            Effect::Observed(span) => {
                let least = log.head_from(span.from.max(observed));
                (*span, least.filter(|head| span.contains(*head)))
            }
        };
        heads[call] = head.ok_or(Anomaly::NotLinearizable {
            call,
            valid: (valid.from, valid.to),
            observed,
            observed_by,
        })?;
    }
    Ok(())
}

/// Whether the effect of `call` may come after its response.
fn is_pending(call: &Call) -> bool {
    matches!(call.kind, Kind::Append(_, Response::Unknown(_)))
}
