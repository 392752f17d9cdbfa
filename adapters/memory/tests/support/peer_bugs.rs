//! Faults that real event stores had.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};

use factum::store::{
    Append, AppendError, Appended, Conflict, ContentType, Direction, EventStore, ExpectedVersion,
    Page, Read, Snapshot, StoreError, Violation,
};
use factum::{Position, StreamId, Version};
use tokio::task::yield_now;

use super::{Broken, Fault};

/// The state that all handles of a store share.
#[derive(Default)]
pub struct PeerState {
    /// The assigned positions of transactions that are not committed yet.
    uncommitted: Mutex<HashSet<u64>>,
    /// The number of pages that skipped one of them.
    skipped: AtomicU64,
    /// Set while a writer holds the lock.
    busy: AtomicBool,
}

impl PeerState {
    fn uncommitted(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.uncommitted.lock().expect("a lock")
    }
}

/// The maximum length of the column for ids, in bytes.
const MAX_ID: usize = 255;

impl<const FAULT: usize> Broken<FAULT> {
    fn peers(&self) -> &PeerState {
        &self.0.shared.peers
    }

    /// Returns `append` as the peer understands it.
    pub fn misread_by_peer(mut append: Append) -> Append {
        for part in &mut append.streams {
            // The next version overflows to a negative number, which means any version.
            if Self::is(Fault::VersionsWrap)
                && part.expected == ExpectedVersion::Exact(Version::MAX)
            {
                part.expected = ExpectedVersion::Any;
            }
            if Self::is(Fault::TruncatesIds) {
                part.stream = truncate(&part.stream);
            }
        }
        append
    }

    pub async fn append_as_peers(&self, append: Append) -> Result<Appended, AppendError> {
        if Self::is(Fault::StoresPartially) {
            self.store_in_two_appends(append).await
        } else if Self::is(Fault::LowerPositionsCommitLater) {
            self.commit_later(append).await
        } else if Self::is(Fault::SlowWritersRejectOthers) {
            self.reject_others(append).await
        } else if Self::is(Fault::ChecksExistenceBeforeTransaction) {
            self.check_existence_before_transaction(append).await
        } else if Self::is(Fault::ReportsCommitsAsFailures) {
            let stored = self.correct().append(append).await?;
            match stored.position.get() % 4 {
                0 => Err(StoreError::Unavailable("no answer in time".into()).into()),
                _ => Ok(stored),
            }
        } else {
            self.correct().append(append).await
        }
    }

    /// Makes some positions readable only after a reader has skipped them.
    async fn commit_later(&self, append: Append) -> Result<Appended, AppendError> {
        let appended = self.correct().append(append).await?;
        let last = appended.position.get();
        if last % 8 == 3 {
            let skipped = self.peers().skipped.load(SeqCst);
            self.peers().uncommitted().insert(last);
            for _ in 0..1_000 {
                yield_now().await;
                if self.peers().skipped.load(SeqCst) > skipped {
                    break;
                }
            }
            self.peers().uncommitted().remove(&last);
        }
        Ok(appended)
    }

    /// Rejects all appends while another one runs.
    async fn reject_others(&self, append: Append) -> Result<Appended, AppendError> {
        if self.peers().busy.swap(true, SeqCst) {
            let reason = "could not serialize access".to_owned();
            let violations = vec![Violation::Transaction { reason }];
            return Err(Conflict { violations }.into());
        }
        yield_now().await;
        let result = self.correct().append(append).await;
        self.peers().busy.store(false, SeqCst);
        result
    }

    /// Checks whether the streams exist, and then begins the transaction.
    async fn check_existence_before_transaction(
        &self,
        mut append: Append,
    ) -> Result<Appended, AppendError> {
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
            let newest = self.correct().read(newest).await?;
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
        self.correct().append(append).await
    }

    /// Changes `read` into what the peer understands.
    pub fn misread_cursor(read: &mut Read) {
        // The peer adds one to the cursor, which overflows.
        if Self::is(Fault::CursorsWrap) && read.direction == Direction::Forward {
            read.cursor = read.cursor.wrapping_add(1).saturating_sub(1);
        }
    }

    pub fn lose_rows(&self, page: &mut Page) {
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
                self.peers().skipped.fetch_add(1, SeqCst);
            }
        }
    }

    /// Combines the current state with the previous version.
    pub fn lag(snapshot: &mut Snapshot) {
        if Self::is(Fault::SnapshotVersionLagsState) {
            snapshot.version = Version::new(snapshot.version.get() - 1);
            // The engine ignores a snapshot whose position is not the one of its version.
            snapshot.position = Position::new(snapshot.position.get() - 1);
        }
    }
}

fn truncate(id: &StreamId) -> StreamId {
    let end = id.as_str().floor_char_boundary(MAX_ID);
    id.as_str()[..end].parse().expect("a stream id")
}
