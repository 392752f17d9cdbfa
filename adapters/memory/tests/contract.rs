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

factum::store_contract!(Memory);
