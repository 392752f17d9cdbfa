//! The store in memory keeps every promise but that of outliving its process.

use factum::async_trait;
use factum::testkit::Backend;
use factum_memory::MemoryStore;

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

factum::conformance_suite!(Memory);

/// Calls and wake-ups that come late change nothing.
mod late {
    use factum::async_trait;
    use factum::testkit::{Backend, Faults, Faulty};
    use factum_memory::MemoryStore;

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

    factum::conformance_suite!(Late);
}
