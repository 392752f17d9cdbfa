//! A store with personal data keeps every promise of the store inside.

use factum::async_trait;
use factum::privacy::{DocumentKeys, MasterKey, PersonalDataStore};
use factum_memory::MemoryStore;
use factum_testkit::Backend;

struct Sealed {
    store: MemoryStore,
    keys: MemoryStore,
}

#[async_trait]
impl Backend for Sealed {
    type Store = PersonalDataStore<MemoryStore>;

    async fn create() -> Self {
        Self {
            store: MemoryStore::new(),
            keys: MemoryStore::new(),
        }
    }

    async fn open(&self) -> Self::Store {
        let keys = DocumentKeys::open(self.keys.clone(), MasterKey::new(&[7; 32])).await;
        PersonalDataStore::new(self.store.clone(), keys.expect("keys"))
    }
}

factum_testkit::conformance_suite!(Sealed);
