//! The factum store on SQLite. Its schema stands in `migrations/`; the store itself is not written yet.
