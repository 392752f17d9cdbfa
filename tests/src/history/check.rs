//! The checker: an interval of heads for each answer, and an order that gives each call one of them.

use factum::{Append, Appended, Page, Position, Read, RecordedEvent, StreamId, Version};

use super::log::{Log, Span, Stored};
use super::{Anomaly, Answer, Call, History, Kind, Subscriber};

pub(super) fn check(history: &History) -> Result<(), Anomaly> {
    let log = Log::of(history)?;
    for (number, subscriber) in history.subscribers.iter().enumerate() {
        saw_everything(&log, number, subscriber)?;
    }
    let effects = history.calls.iter().enumerate();
    let effects = effects.map(|(number, call)| effect(&log, history, number, call));
    in_some_order(
        &log,
        &history.calls,
        &effects.collect::<Result<Vec<_>, _>>()?,
    )
}

/// Exactly what matches, in the order of the log.
fn saw_everything(log: &Log<'_>, number: usize, subscriber: &Subscriber) -> Result<(), Anomaly> {
    let mut seen = subscriber.seen.iter();
    let wanted = log.events.iter();
    let mut wanted = wanted.filter(|event| subscriber.query.matches(event));
    loop {
        let (expected, saw) = (wanted.next(), seen.next());
        if expected != saw {
            let position = |event: &RecordedEvent| event.position.get();
            return Err(Anomaly::Subscriber {
                subscriber: number,
                expected: expected.map(position),
                saw: saw.map(position),
            });
        }
        if expected.is_none() {
            return Ok(());
        }
    }
}

/// What a call did or saw.
enum Effect {
    /// Nothing is known of it.
    None,
    /// It saw the store at one of these heads.
    Saw(Span),
    /// It moved the head.
    Moved(Stored),
}

/// What `call` did or saw, if its answer is right at any head at all.
fn effect(log: &Log<'_>, history: &History, call: usize, made: &Call) -> Result<Effect, Anomaly> {
    let (append, answer) = match &made.kind {
        Kind::Read(read, page) => return saw_page(log, call, read, page).map(Effect::Saw),
        Kind::Append(append, answer) => (append, answer),
    };
    let stored = log.stored.get(&call).copied();
    let moved = |stored: Stored| {
        // Held against the state ahead of it, the key included, which nobody stores twice.
        match log.all_hold(append).holds(stored.first - 1) {
            true => Ok(Effect::Moved(stored)),
            false => Err(Anomaly::Swallowed {
                call,
                position: stored.first,
            }),
        }
    };
    let span = match (answer, stored) {
        (Answer::Unknown(_) | Answer::NotStored(_), None) => return Ok(Effect::None),
        (Answer::Unknown(_), Some(stored)) => return moved(stored),
        (Answer::Stored(told), Some(stored)) if !told.repeated => {
            check_receipt(log, call, told, stored)?;
            return moved(stored);
        }
        (Answer::Stored(told), None) if !told.repeated && append.count() > 0 => {
            return Err(Anomaly::Lost { call });
        }
        (_, Some(Stored { first, .. })) => {
            return Err(Anomaly::Denied {
                call,
                position: first,
            });
        }
        (Answer::Stored(told), None) if told.repeated => return again(log, history, call, told),
        (Answer::Stored(told), None) => {
            let head = told.position.get();
            log.all_hold(append).and(Span {
                from: head,
                to: head,
            })
        }
        (Answer::Conflict(conflict), None) => log.rejected(append, conflict).and(Span::ahead_of(
            first_use(log, append).map(|(_, first)| first.first),
        )),
        (Answer::KeyReused, None) => reused(log, history, append),
    };
    match log.head_from(span.from).is_some_and(|head| head <= span.to) {
        true => Ok(Effect::Saw(span)),
        false => Err(Anomaly::NeverTrue { call }),
    }
}

/// The call that stored the key of `append`, and where.
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

/// The first answer again: right from when there was a first.
fn again(
    log: &Log<'_>,
    history: &History,
    call: usize,
    told: &Appended,
) -> Result<Effect, Anomaly> {
    let Kind::Append(append, _) = &history.calls[call].kind else {
        return Ok(Effect::None);
    };
    let fingerprint = append.key.as_ref().map(|key| key.fingerprint);
    match first_use(log, append) {
        Some((first, stored)) if fingerprint_of(history, first) == fingerprint => {
            check_receipt(log, call, told, stored)?;
            Ok(Effect::Saw(Span::from(stored.last)))
        }
        _ => Err(Anomaly::NeverTrue { call }),
    }
}

/// That the key stands for other content: right from when it does.
fn reused(log: &Log<'_>, history: &History, append: &Append) -> Span {
    let fingerprint = append.key.as_ref().map(|key| key.fingerprint);
    match first_use(log, append) {
        Some((first, stored)) if fingerprint_of(history, first) != fingerprint => {
            Span::from(stored.last)
        }
        _ => Span::NEVER,
    }
}

/// An acknowledgement tells of what stands in the log.
fn check_receipt(
    log: &Log<'_>,
    call: usize,
    told: &Appended,
    stored: Stored,
) -> Result<(), Anomaly> {
    let events = &log.events[stored.first as usize - 1..stored.last as usize];
    let mut versions: Vec<(StreamId, Version)> = Vec::new();
    for event in events {
        versions.retain(|(stream, _)| *stream != event.stream);
        versions.push((event.stream.clone(), event.version));
    }
    let expected = Appended {
        position: Position::new(stored.last),
        count: events.len() as u64,
        versions,
        recorded_at: events[0].recorded_at,
        repeated: told.repeated,
    };
    match *told == expected {
        true => Ok(()),
        false => Err(Anomaly::Receipt {
            call,
            expected: Box::new(expected),
        }),
    }
}

/// A page shows the store as it was at its head.
fn saw_page(log: &Log<'_>, call: usize, read: &Read, page: &Page) -> Result<Span, Anomaly> {
    let head = page.head.get();
    if log.head_from(head) != Some(head) {
        return Err(Anomaly::HalfSeen { call });
    }
    let mut expected = log.page(read, head);
    let more = expected.len() > read.limit;
    expected.truncate(read.limit);
    let as_stored =
        |event: &RecordedEvent| log.events.get(event.position.get() as usize - 1) == Some(event);
    let found = page.events.iter().map(|event| event.position.get());
    let right = found.eq(expected.iter().copied()) && page.events.iter().all(as_stored);
    if !right || page.more != more {
        return Err(Anomaly::Page {
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

/// Gives each call a head that its answer is right at, and that is not ahead of one which a call that had
/// ended before saw.
fn in_some_order(log: &Log<'_>, calls: &[Call], effects: &[Effect]) -> Result<(), Anomaly> {
    let mut by_beginning: Vec<usize> = (0..calls.len()).collect();
    by_beginning.sort_unstable_by_key(|call| calls[*call].began);
    let mut by_end: Vec<usize> = (0..calls.len()).collect();
    by_end.sort_unstable_by_key(|call| calls[*call].ended);
    let mut ended = by_end.into_iter().peekable();
    let mut heads = vec![0; calls.len()];
    // The newest head that is known to have been there, and the call that knows it.
    let (mut known, mut by) = (0, None);
    for call in by_beginning {
        while let Some(before) = ended.next_if(|other| calls[*other].ended < calls[call].began) {
            if heads[before] > known && !pending(&calls[before]) {
                (known, by) = (heads[before], Some(before));
            }
        }
        let (right, head) = match &effects[call] {
            Effect::None => continue,
            Effect::Moved(stored) => {
                let ahead = stored.first - 1;
                let right = Span {
                    from: ahead,
                    to: ahead,
                };
                (right, (known <= ahead).then_some(stored.last))
            }
            Effect::Saw(span) => {
                let least = log.head_from(span.from.max(known));
                (*span, least.filter(|head| span.holds(*head)))
            }
        };
        heads[call] = head.ok_or(Anomaly::Order {
            call,
            right: (right.from, right.to),
            known,
            by,
        })?;
    }
    Ok(())
}

/// Its effect may come behind its answer.
fn pending(call: &Call) -> bool {
    matches!(call.kind, Kind::Append(_, Answer::Unknown(_)))
}
