use evento::{
    Executor,
    metadata::Event,
    projection::{Projection, ProjectionCursor, Snapshot},
};

#[evento::aggregate]
pub enum Account {
    Deposited { amount: u64, note: String },
}

/// The state of an account, folded by a projection.
pub trait View<E: Executor>:
    ProjectionCursor + Snapshot<E> + Default + Send + Sync + 'static
{
    fn projection() -> Projection<E, Self>;

    fn balance(&self) -> u64;
}

/// The state folded from all events at each load.
#[evento::projection]
#[evento::snapshot(none)]
pub struct Replayed {
    balance: u64,
}

#[evento::handler]
async fn replay(event: Event<Deposited>, view: &mut Replayed) -> anyhow::Result<()> {
    view.balance += event.data.amount;
    Ok(())
}

impl<E: Executor> View<E> for Replayed {
    fn projection() -> Projection<E, Self> {
        Projection::new::<Account>().handler(replay())
    }

    fn balance(&self) -> u64 {
        self.balance
    }
}

/// The state with a snapshot, which each load updates if it finds newer events.
#[evento::projection(bitcode::Encode, bitcode::Decode)]
pub struct Stored {
    balance: u64,
}

#[evento::handler]
async fn store(event: Event<Deposited>, view: &mut Stored) -> anyhow::Result<()> {
    view.balance += event.data.amount;
    Ok(())
}

impl<E: Executor> View<E> for Stored {
    fn projection() -> Projection<E, Self> {
        Projection::new::<Account>().handler(store())
    }

    fn balance(&self) -> u64 {
        self.balance
    }
}
