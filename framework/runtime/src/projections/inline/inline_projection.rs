//! [`Inline`]: read models that are brought up to date by the transaction that appends. For adapters.
//!
//! An inline projection is an ordinary one, with the same builds, checkpoints and tables, that the store itself moves on:
//! whoever reads behind an append's answer finds its effect, and what an event cannot be taken by it rejects the append.
//! What has to be done is decided here; an adapter implements [`InlineTransaction`], and calls, for each inline projection,
//!
//! - [`Inline::build`] at open, each time in a transaction of its own, as long as [`Inline::builds_on`] says so;
//! - in each transaction that appends: [`Inline::catch_up`] ahead of the appends, and, where it was
//!   [`Standing::Current`] and something was appended, [`Inline::take`] behind them, with what [`recorded`] makes of them.
//!
//! An adapter to which questions are dear tells what it has committed to [`Inline::committed`], and begins the next transaction
//! with what [`Inline::expected`] answers instead of `catch_up`: it makes the changes that [`Current::moves`] asks for together
//! with the appends, and then calls [`Inline::project`]. If the documents have moved, nothing is done, and it looks after all.
//!
//! A transaction has the lock under which positions are given from its beginning. Where `take` fails, it is rolled back;
//! if it held several appends, each is then stored alone, so that only the one at fault is rejected.
//!
//! Nothing is parked by an append: what fails there was never stored. A build with parked events is left to
//! [`Projections`](super::Projections) until they are settled, and so is one that was begun with several partitions.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::transaction::InlineTransaction;
use crate::consumer::BatchError;
use crate::consumer::{self, Build, Control, VersionedControl};
use crate::consumer::{Checkpoint, checkpoint_of, lease_key};
use factum_core::document::{Changes, Revision, encode};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::{MAX_PAGE, Page, Read};
use factum_engine::error::{StoreError, error_chain};
use factum_engine::event_set::EventSet as _;
use factum_engine::projection::Projection;

/// How long a projection that fails behind the head is left alone.
const REST: Duration = Duration::from_secs(1);

/// An inline projection: what it is, and what this process knows of it.
#[derive(Debug)]
pub struct Inline {
    pub name: String,
    pub version: u32,
    pub query: Query,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
pub struct Known {
    /// The documents that were there last: they are asked for at once.
    keys: Vec<String>,
    /// It failed behind the head, and is left alone until then.
    rests: Option<Instant>,
    /// Why it was left, so that it is told of once.
    left: Option<Left>,
    /// How the transaction left it that moved it last, if nothing else is known of it.
    pub current: Option<Current>,
}

/// It cannot take what is stored.
#[derive(Debug, thiserror::Error)]
#[error("the inline projection {name:?} cannot be built")]
struct CannotBuild {
    name: String,
    #[source]
    error: BatchError,
}

/// Puts the inline projections of a store into the order in which their documents are locked, that of their names.
///
/// # Errors
/// [`StoreError::Failed`] if two have one name.
pub fn in_order<M>(
    mut models: Vec<M>,
    inline: impl Fn(&M) -> &Inline,
) -> Result<Vec<M>, StoreError> {
    models.sort_by(|one, other| inline(one).name.cmp(&inline(other).name));
    let mut pairs = models.windows(2);
    let same = pairs.find(|pair| inline(&pair[0]).name == inline(&pair[1]).name);
    if let Some(pair) = same {
        let name = &inline(&pair[0]).name;
        let reason = format!("two inline projections have the name {name:?}");
        return Err(StoreError::Failed(reason.into()));
    }
    Ok(models)
}

/// How an inline projection stands at the beginning of a transaction.
#[derive(Debug)]
pub enum Standing {
    /// It has taken every event.
    Current(Current),
    /// It has come up to here, and there is more.
    Behind(Position),
    /// It is not this store's to move.
    Left(Left),
}

/// Why an inline projection is not moved on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Left {
    /// Readers see a newer version, and nothing is left of this one.
    #[error("readers see a newer version of it")]
    Superseded,
    /// Somebody has paused it.
    #[error("it is paused")]
    Paused,
    /// Events are parked, which those behind them wait for.
    #[error("it has parked events")]
    Parked,
    /// It failed behind the head a moment ago.
    #[error("it failed a moment ago")]
    Resting,
}

/// Every event up to the head has been taken.
#[derive(Debug, Clone)]
pub struct Current {
    pub head: Position,
    /// The control and its revision, where `builds` are all that it says to move.
    pub control: Option<(String, Revision)>,
    pub builds: Vec<Held>,
}

/// The newest event, and from where on a build is nearly full.
pub type Extent = (Position, Position);

/// A build, and how far it has come.
#[derive(Debug, Clone)]
pub struct Held {
    pub build: Build,
    pub key: String,
    pub revision: Revision,
    pub checkpoint: Checkpoint,
}

impl Held {
    /// Readers see it, or nothing, or it is nearly full.
    pub fn is_wanted(&self, control: &Control, near: Position) -> bool {
        let serves = control
            .active
            .is_none_or(|serving| serving == self.build.number);
        serves || self.checkpoint.position >= near
    }

    pub fn advance(&self, position: Position) -> Result<(Checkpoint, Changes), StoreError> {
        let next = Checkpoint {
            position,
            stopped: None,
            ..self.checkpoint.clone()
        };
        let changes = Changes::new().put_if(&self.key, self.revision, encode(&next)?);
        Ok((next, changes))
    }
}

impl Inline {
    /// The projection `P`.
    #[must_use]
    pub fn of<P: Projection>() -> Self {
        Self {
            name: P::NAME.to_owned(),
            version: P::VERSION,
            query: Query::names(P::Events::names()),
            known: Mutex::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins what is not there yet, and takes what is stored, at most a page of it; `head` is the newest event.
    ///
    /// # Errors
    /// [`BatchError`]; what it did is undone then.
    pub async fn build(
        &self,
        inside: &mut (impl InlineTransaction + ?Sized),
        head: Position,
    ) -> Result<Standing, BatchError> {
        let (control, found) = self.look(inside).await?;
        match self.left(&control.control, &found) {
            Some(left) => Ok(Standing::Left(left)),
            None => self.fill(inside, control, (head, Position::ZERO)).await,
        }
    }

    /// What a store that opens does about what [`build`](Self::build) has answered, once that transaction has ended. `true`:
    /// it builds on.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Failed`] names the projection if it cannot take what is stored.
    pub fn builds_on(&self, built: Result<Standing, BatchError>) -> Result<bool, StoreError> {
        match built {
            Ok(standing) => Ok(matches!(standing, Standing::Behind(_))),
            // Somebody else has moved it.
            Err(BatchError::LeaseLost) => Ok(true),
            Err(BatchError::Store(error)) => Err(error),
            Err(error) => {
                let name = self.name.clone();
                Err(StoreError::Failed(CannotBuild { name, error }.into()))
            }
        }
    }

    /// Takes what others have appended, at most a page of it; `head` is the newest event. What is left to others to fill
    /// stays so until it is nearly full.
    ///
    /// # Errors
    /// [`StoreError`]. What else fails is undone, and costs nobody his append: the projection is left as it was.
    pub async fn catch_up(
        &self,
        inside: &mut (impl InlineTransaction + ?Sized),
        head: Position,
    ) -> Result<Standing, StoreError> {
        let rests = {
            let mut known = self.known();
            known.current = None;
            known.rests
        };
        if rests.is_some_and(|until| Instant::now() < until) {
            return Ok(Standing::Left(Left::Resting));
        }
        let (control, found) = self.look(inside).await?;
        if let Some(left) = self.left(&control.control, &found) {
            return Ok(Standing::Left(left));
        }
        let near = Position::new(head.get().saturating_sub(MAX_PAGE as u64));
        let count = found.len();
        let wanted: Vec<Held> = found
            .into_iter()
            .filter(|held| held.is_wanted(&control.control, near))
            .collect();
        let is_all = wanted.len() == count;
        let is_full = |held: &Held| held.checkpoint.position >= head && head > Position::ZERO;
        if !wanted.is_empty() && wanted.iter().all(is_full) && is_shown(&control.control, &wanted) {
            let key = consumer::control_key(&self.name);
            return Ok(Standing::Current(Current {
                head,
                control: is_all.then_some((key, control.revision)),
                builds: wanted,
            }));
        }
        match self.fill(inside, control, (head, near)).await {
            Ok(standing) => Ok(standing),
            Err(BatchError::Store(error)) => Err(error),
            Err(error) => {
                let text = error_chain(&error);
                warn!(
                    name = self.name,
                    error = text,
                    "an inline projection is behind and fails"
                );
                self.known().rests = Some(Instant::now() + REST);
                Ok(Standing::Left(Left::Resting))
            }
        }
    }

    /// What the documents say, and the builds that are this projection's to move.
    pub async fn look(
        &self,
        inside: &mut (impl InlineTransaction + ?Sized),
    ) -> Result<(VersionedControl, Vec<Held>), StoreError> {
        let mut keys = std::mem::take(&mut self.known().keys);
        let control_key = consumer::control_key(&self.name);
        if keys.is_empty() {
            keys.push(control_key.clone());
        }
        loop {
            let found = inside.find(&keys).await?;
            let of_control = found.iter().find(|document| document.key == control_key);
            let control = VersionedControl::decode(of_control)?;
            let mut needed = vec![control_key.clone()];
            let builds: Vec<Build> = self.builds(&control.control).copied().collect();
            needed.extend(
                builds
                    .iter()
                    .map(|build| lease_key(&self.name, build.number, 0)),
            );
            if needed.iter().any(|key| !keys.contains(key)) {
                keys = needed;
                continue;
            }
            let held = builds.into_iter().map(|build| {
                let key = lease_key(&self.name, build.number, 0);
                let (revision, checkpoint) = checkpoint_of(&found, &key, Position::ZERO)?;
                Ok(Held {
                    build,
                    key,
                    revision,
                    checkpoint,
                })
            });
            let held = held.collect::<Result<_, StoreError>>()?;
            self.known().keys = needed;
            return Ok((control, held));
        }
    }

    pub fn builds<'c>(&self, control: &'c Control) -> impl Iterator<Item = &'c Build> {
        let own = control.builds_of(self.version);
        own.filter(|build| build.partitions == 1 && !build.retired)
    }

    /// Why it is not to be moved on, which is told of once.
    fn left(&self, control: &Control, found: &[Held]) -> Option<Left> {
        let served = control.active_build().map(|served| served.version);
        let left = if control.paused {
            Some(Left::Paused)
        } else if found.iter().any(|held| held.checkpoint.dead_letters > 0) {
            Some(Left::Parked)
        } else {
            (found.is_empty() && served > Some(self.version)).then_some(Left::Superseded)
        };
        let mut known = self.known();
        if let Some(left) = left.filter(|_| known.left != left) {
            warn!(name = self.name, reason = %left, "an inline projection is not moved on");
        }
        known.left = left;
        left
    }

    pub async fn page(
        &self,
        inside: &mut (impl InlineTransaction + ?Sized),
        after: Position,
    ) -> Result<Page, StoreError> {
        let read = Read::all(self.query.clone()).after(after).limit(MAX_PAGE);
        let mut page = inside.read(&read).await?;
        // The keys lie outside of the transaction.
        factum_core::personal::redact(&mut page.events)?;
        Ok(page)
    }

    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn is_shown(control: &Control, full: &[Held]) -> bool {
    full.last()
        .is_none_or(|newest| control.active >= Some(newest.build.number))
}
