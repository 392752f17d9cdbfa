use std::marker::PhantomData;

use benchmark_harness::{
    Args, Bank, NOTE, Scenario,
    anyhow::{Context, Result},
};
use evento::{Executor, WriteError};

use crate::{
    account::{Deposited, View},
    subscription,
};

/// Maintenance of the database tables before a measurement.
pub type Settle = Box<dyn Fn() -> futures::future::BoxFuture<'static, Result<()>> + Send + Sync>;

pub struct EventoBank<E, V> {
    pub executor: E,
    pub tuning: &'static str,
    pub settle: Option<Settle>,
    pub view: PhantomData<fn() -> V>,
}

impl<E: Executor + Clone, V: View<E>> EventoBank<E, V> {
    async fn view(&self, account: &str) -> Result<V> {
        Ok(V::projection()
            .load(account)
            .execute(&self.executor)
            .await?
            .unwrap_or_default())
    }
}

impl<E: Executor + Clone + 'static, V: View<E>> Bank for EventoBank<E, V> {
    const SIDE: &'static str = "evento 2.0.0-alpha.38";

    fn note(&self, scenario: Scenario) -> String {
        let more = match scenario {
            Scenario::Hot => "; snapshots; retries on conflict",
            Scenario::LoadSnapshot => "; snapshots",
            Scenario::CatchUp => "; ephemeral subscription, chunks of 1000",
            _ => "",
        };
        format!("{}{more}", self.tuning)
    }

    fn unsupported(&self, args: &Args) -> Option<&'static str> {
        (args.scenario == Scenario::Transfer).then_some("a commit applies to one aggregate")
    }

    async fn deposit(&self, account: u64, events: usize) -> Result<()> {
        let account = name(account);
        loop {
            let view = self.view(&account).await?;
            view.balance()
                .checked_add(events as u64)
                .context("the balance overflows")?;
            let mut write = evento::append(&account);
            write.original_version(view.get_aggregate_version());
            for _ in 0..events {
                write.event(&Deposited {
                    amount: 1,
                    note: NOTE.to_owned(),
                });
            }
            match write.commit(&self.executor).await {
                Err(WriteError::InvalidOriginalVersion) => {}
                done => return done.map(drop).context("cannot commit a deposit"),
            }
        }
    }

    async fn load(&self, account: u64) -> Result<u64> {
        Ok(self.view(&name(account)).await?.balance())
    }

    async fn catch_up(&self, events: usize) -> Result<usize> {
        subscription::count(&self.executor, events).await
    }

    async fn settle(&self) -> Result<()> {
        match &self.settle {
            Some(settle) => settle().await,
            None => Ok(()),
        }
    }
}

fn name(account: u64) -> String {
    format!("account-{account}")
}
