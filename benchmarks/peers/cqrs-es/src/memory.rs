use std::fs::File;

use benchmark_harness::{
    Scenario,
    anyhow::{Result, bail},
};
use cqrs_es::mem_store::MemStore;
use rustix::{
    io::dup,
    stdio::{dup2_stdout, stdout},
};

use crate::{account::Account, bank::Backend};

/// The store that `cqrs-es` provides for tests.
#[derive(Default)]
pub struct Memory(MemStore<Account>);

impl Backend for Memory {
    type Store = MemStore<Account>;

    fn store(&self) -> MemStore<Account> {
        self.0.clone()
    }

    fn note(&self, _: Scenario) -> String {
        "not durable; MemStore checks no version and prints each load and commit (here to /dev/null)"
            .to_owned()
    }

    fn unsupported(&self, scenario: Scenario) -> Option<&'static str> {
        match scenario {
            Scenario::LoadSnapshot => Some("MemStore has no snapshots"),
            Scenario::CatchUp => Some("MemStore has no replay"),
            _ => None,
        }
    }

    async fn replay(&self) -> Result<usize> {
        bail!("MemStore has no replay")
    }

    async fn settle(&self) -> Result<()> {
        Ok(())
    }
}

/// Redirects the output of `MemStore` to `/dev/null` until `work` is done.
pub async fn silenced<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let original = dup(stdout())?;
    dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    let done = work.await;
    dup2_stdout(original)?;
    done
}
