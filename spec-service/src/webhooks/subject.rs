//! [`subject_of`]: the specification that an event is about.

use factum::Engine;
use factum::engine::LoadError;
use factum::store::RecordedEvent;

use crate::specs::domain::{Life, QualifiedName, Spec, SpecId};

/// Returns the name of the specification that `event` is about, or `None` if it is about none.
///
/// The name, the namespace and the tenant of a specification never change.
///
/// # Errors
/// Returns an error if the specification cannot be loaded.
pub async fn subject_of(
    engine: &Engine,
    event: &RecordedEvent,
) -> Result<Option<QualifiedName>, LoadError> {
    let Ok(id) = event.stream.key().parse().map(SpecId) else {
        return Ok(None);
    };
    let spec = engine.load::<Spec>(&id).await?;
    Ok(spec.life().map(Life::path))
}
