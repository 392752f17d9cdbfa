//! The conformance suite on a store that encrypts personal data.

use factum::privacy::{DocumentKeys, MasterKey, PersonalDataStore};
use factum_memory::MemoryStore;
use factum_testkit::Backend;

struct EncryptedMemory {
    store: MemoryStore,
    keys: MemoryStore,
}

impl Backend for EncryptedMemory {
    type Store = PersonalDataStore<MemoryStore>;

    async fn create() -> Self {
        Self {
            store: MemoryStore::new(),
            keys: MemoryStore::new(),
        }
    }

    async fn open(&self) -> Self::Store {
        let keys = DocumentKeys::open(self.keys.clone(), MasterKey::new(&[7; 32])).await;
        let store = PersonalDataStore::open(self.store.clone(), keys.expect("keys")).await;
        store.expect("the key store of the log")
    }
}

factum_testkit::conformance_suite!(EncryptedMemory);
