//! The conformance suite for the store in memory, which keeps every guarantee except durability.

use factum_memory::MemoryStore;
use factum_testkit::Backend;

struct Memory(MemoryStore);

impl Backend for Memory {
    type Store = MemoryStore;

    async fn create() -> Self {
        Self(MemoryStore::new())
    }

    async fn open(&self) -> MemoryStore {
        self.0.clone()
    }
}

factum_testkit::conformance_suite!(Memory);

/// The conformance suite with delayed calls and notifications.
mod delayed {
    use factum_memory::MemoryStore;
    use factum_testkit::{Backend, Faults, Faulty};

    struct Delayed(MemoryStore);

    impl Backend for Delayed {
        type Store = Faulty<MemoryStore>;

        async fn create() -> Self {
            Self(MemoryStore::new())
        }

        async fn open(&self) -> Faulty<MemoryStore> {
            Faulty::new(self.0.clone(), 1, Faults::DELAYS)
        }
    }

    factum_testkit::conformance_suite!(Delayed);
}
