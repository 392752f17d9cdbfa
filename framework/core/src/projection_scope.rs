//! Detects writes inside of the transaction of a projection, which would wait for that transaction forever.
//!
//! A SQL projection runs while its transaction holds the lock of every writer. `factum-sql` runs its code in
//! [`in_projection`], and the engine and the adapters call [`check_outside_projection`] before they write.

use tokio::task_local;

use crate::error::StoreError;

task_local! {
    /// The name of the projection whose code runs.
    static PROJECTION: &'static str;
}

/// Runs `work`, which is code of the SQL projection `name`.
///
/// Until it ends, [`check_outside_projection`] fails in the code that it polls. Tasks that it spawns are not included.
pub async fn in_projection<F: Future>(name: &'static str, work: F) -> F::Output {
    PROJECTION.scope(name, work).await
}

/// Checks that the caller is not the code of a SQL projection.
///
/// # Errors
/// Returns [`StoreError::InsideProjection`] with the name of the projection.
pub fn check_outside_projection() -> Result<(), StoreError> {
    match PROJECTION.try_get() {
        Ok(projection) => Err(StoreError::InsideProjection { projection }),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn check_fails_only_inside_of_a_projection() {
        assert!(check_outside_projection().is_ok());
        let checked = in_projection("owners", async { check_outside_projection() }).await;
        let error = checked.unwrap_err().to_string();
        assert!(error.contains("projection \"owners\""), "{error}");
        let spawned = in_projection("owners", async {
            tokio::spawn(async { check_outside_projection() }).await
        });
        assert!(spawned.await.is_ok_and(|checked| checked.is_ok()));
        assert!(check_outside_projection().is_ok());
    }
}
