//! The store in memory keeps every promise but that of outliving its process.

use factum::async_trait;
use factum_memory::MemoryStore;
use factum_testkit::Backend;

struct Memory(MemoryStore);

#[async_trait]
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

/// Calls and wake-ups that come late change nothing.
mod late {
    use factum::async_trait;
    use factum_memory::MemoryStore;
    use factum_testkit::{Backend, Faults, Faulty};

    struct Late(MemoryStore);

    #[async_trait]
    impl Backend for Late {
        type Store = Faulty<MemoryStore>;

        async fn create() -> Self {
            Self(MemoryStore::new())
        }

        async fn open(&self) -> Faulty<MemoryStore> {
            Faulty::new(self.0.clone(), 1, Faults::DELAYS)
        }
    }

    factum_testkit::conformance_suite!(Late);
}
