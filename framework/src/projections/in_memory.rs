//! [`InMemory`]: a read model in the memory of the process, filled anew at every start.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;

use super::{ProjectionError, ReadModel};
use crate::event_set::EventSet as _;
use crate::place::Position;
use crate::projection::{ProjectSet, Projection};
use crate::query::Query;
use crate::read::Page;

/// A read model in memory: give a clone to [`Projections`](crate::Projections), read the other. It is
/// filled from the first event at every start of the program.
pub struct InMemory<P>(Arc<Inner<P>>);

struct Inner<P> {
    make: Box<dyn Fn() -> P + Send + Sync>,
    state: RwLock<State<P>>,
}

struct State<P> {
    model: P,
    position: Position,
}

impl<P: Projection> InMemory<P> {
    /// A read model that starts as the default of its type.
    #[must_use]
    pub fn new() -> Self
    where
        P: Default,
    {
        Self::from_fn(P::default)
    }

    /// A read model that starts, and starts again on a rebuild, as `make` says.
    #[must_use]
    pub fn from_fn(make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        let state = RwLock::new(State {
            model: make(),
            position: Position::ZERO,
        });
        Self(Arc::new(Inner {
            make: Box::new(make),
            state,
        }))
    }

    /// Looks at the read model. The projection waits meanwhile, so do not hold it for long, and not across
    /// an `await`.
    pub fn read<R>(&self, look: impl FnOnce(&P) -> R) -> R {
        look(&self.state().model)
    }

    fn state(&self) -> RwLockReadGuard<'_, State<P>> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Projection + Default> Default for InMemory<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Clone for InMemory<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Projection> fmt::Debug for InMemory<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory")
            .field("name", &P::NAME)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<P> ReadModel for InMemory<P>
where
    P: Projection + ProjectSet<<P as Projection>::Events>,
{
    fn name(&self) -> &str {
        P::NAME
    }

    fn query(&self) -> Query {
        Query::names(P::Events::names())
    }

    async fn open(&self) -> Result<Position, ProjectionError> {
        Ok(self.state().position)
    }

    async fn project(&self, page: &Page) -> Result<(), ProjectionError> {
        // All are decoded before the first has an effect.
        let steps: Vec<_> = page
            .events
            .iter()
            .map(P::prepare)
            .collect::<Result<_, _>>()?;
        let mut state = self.0.state.write().map_err(|_| {
            "a projection panicked here before, the read model may be torn: rebuild it".to_owned()
        })?;
        for step in steps {
            step(&mut state.model);
        }
        state.position = page.through();
        Ok(())
    }

    async fn reset(&self) -> Result<(), ProjectionError> {
        let model = (self.0.make)();
        self.0.state.clear_poison();
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        *state = State {
            model,
            position: Position::ZERO,
        };
        Ok(())
    }
}
