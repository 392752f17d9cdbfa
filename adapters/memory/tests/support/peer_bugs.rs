//! Faults that event stores in the field have been found with.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};

use factum::{
    Append, AppendError, Appended, Conflict, ContentType, Direction, EventStore, ExpectedVersion,
    Page, Position, Read, Snapshot, StoreError, StreamId, Version, Violation,
};
use tokio::task::yield_now;

use super::{Broken, Fault};

/// What stores with these faults share.
#[derive(Default)]
pub(super) struct Peers {
    /// Positions that are given out already, of transactions that are not committed yet.
    uncommitted: Mutex<HashSet<u64>>,
    /// How many pages went past one of them.
    passed: AtomicU64,
    /// Somebody writes.
    busy: AtomicBool,
}

impl Peers {
    fn uncommitted(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.uncommitted.lock().expect("a lock")
    }
}

/// Where this peer's column ends, in bytes.
const LONGEST_ID: usize = 255;

impl<const FAULT: usize> Broken<FAULT> {
    fn peers(&self) -> &Peers {
        &self.0.shared.peers
    }

    /// What the peer takes `append` for.
    pub(super) fn mistaken(mut append: Append) -> Append {
        for part in &mut append.streams {
            // The version behind it is negative, and that means any.
            if Self::is(Fault::VersionsWrap)
                && part.expected == ExpectedVersion::Exact(Version::MAX)
            {
                part.expected = ExpectedVersion::Any;
            }
            if Self::is(Fault::CutsIds) {
                part.stream = cut(&part.stream);
            }
        }
        append
    }

    pub(super) async fn append_as_peers_do(&self, append: Append) -> Result<Appended, AppendError> {
        if Self::is(Fault::StoresHalf) {
            self.store_in_halves(append).await
        } else if Self::is(Fault::LowerPositionsCommitLater) {
            self.commit_later(append).await
        } else if Self::is(Fault::SlowWritersRefuseOthers) {
            self.refuse_others(append).await
        } else if Self::is(Fault::ChecksExistenceAhead) {
            self.check_existence_ahead(append).await
        } else if Self::is(Fault::TakesCommitsForFailures) {
            let stored = self.sound().append(append).await?;
            match stored.position.get() % 4 {
                0 => Err(StoreError::Unavailable("no answer in time".into()).into()),
                _ => Ok(stored),
            }
        } else {
            self.sound().append(append).await
        }
    }

    /// Some positions can be read only when a reader has gone past them.
    async fn commit_later(&self, append: Append) -> Result<Appended, AppendError> {
        let appended = self.sound().append(append).await?;
        let last = appended.position.get();
        if last % 8 == 3 {
            let passed = self.peers().passed.load(SeqCst);
            self.peers().uncommitted().insert(last);
            for _ in 0..1_000 {
                yield_now().await;
                if self.peers().passed.load(SeqCst) > passed {
                    break;
                }
            }
            self.peers().uncommitted().remove(&last);
        }
        Ok(appended)
    }

    /// One lock for everybody, and no patience.
    async fn refuse_others(&self, append: Append) -> Result<Appended, AppendError> {
        if self.peers().busy.swap(true, SeqCst) {
            let reason = "could not serialize access".to_owned();
            let violations = vec![Violation::Transaction { reason }];
            return Err(Conflict { violations }.into());
        }
        yield_now().await;
        let answer = self.sound().append(append).await;
        self.peers().busy.store(false, SeqCst);
        answer
    }

    /// Looks whether the streams exist, and then begins its transaction.
    async fn check_existence_ahead(&self, mut append: Append) -> Result<Appended, AppendError> {
        let mut violations = Vec::new();
        for part in &mut append.streams {
            let expected = part.expected;
            if !matches!(
                expected,
                ExpectedVersion::NoStream | ExpectedVersion::StreamExists
            ) {
                continue;
            }
            let newest = Read::stream(part.stream.clone()).backward().limit(1);
            let newest = self.sound().read(newest).await?;
            let actual = newest.events.first().map(|event| event.version);
            let actual = actual.unwrap_or_default();
            if !expected.allows(actual) {
                violations.push(Violation::Version {
                    stream: part.stream.clone(),
                    expected,
                    actual,
                });
            }
            part.expected = ExpectedVersion::Any;
        }
        if !violations.is_empty() {
            return Err(Conflict { violations }.into());
        }
        yield_now().await;
        self.sound().append(append).await
    }

    /// What the peer takes `read` for.
    pub(super) fn misread_place(read: &mut Read) {
        // It asks for the place behind the cursor.
        if Self::is(Fault::CursorsWrap) && read.direction == Direction::Forward {
            read.cursor = read.cursor.wrapping_add(1).saturating_sub(1);
        }
    }

    pub(super) fn lose_rows(&self, page: &mut Page) {
        if Self::is(Fault::DropsUndecodableRows) {
            page.events
                .retain(|event| event.content_type == ContentType::Json);
        }
        if Self::is(Fault::LowerPositionsCommitLater) {
            let uncommitted = self.peers().uncommitted();
            let read = page.events.len();
            page.events
                .retain(|event| !uncommitted.contains(&event.position.get()));
            if page.events.len() < read && page.through() > Position::ZERO {
                self.peers().passed.fetch_add(1, SeqCst);
            }
        }
    }

    /// The state of now with the version of before.
    pub(super) fn lag(snapshot: &mut Snapshot) {
        if Self::is(Fault::SnapshotsLagBehindTheirState) {
            snapshot.version = Version::new(snapshot.version.get() - 1);
        }
    }
}

fn cut(id: &StreamId) -> StreamId {
    let end = id.as_str().floor_char_boundary(LONGEST_ID);
    id.as_str()[..end].parse().expect("a stream id")
}
