//! The bank of the tutorial, support for the examples, and the programs of the book as documentation tests.

#[expect(
    missing_docs,
    reason = "the tutorial explains the code, which must match it"
)]
pub mod bank;
pub mod output;

#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../docs/src/errors.md")]
    mod errors {}
    #[doc = include_str!("../../docs/src/evolution.md")]
    mod evolution {}
    #[doc = include_str!("../../docs/src/living-docs.md")]
    mod living_docs {}
    #[doc = include_str!("../../docs/src/operations.md")]
    mod operations {}
    #[doc = include_str!("../../docs/src/process-managers.md")]
    mod process_managers {}
    #[doc = include_str!("../../docs/src/personal-data.md")]
    mod personal_data {}
    #[doc = include_str!("../../docs/src/projections.md")]
    mod projections {}
    #[doc = include_str!("../../docs/src/tutorial/account.md")]
    mod tutorial_account {}
    #[doc = include_str!("../../docs/src/tutorial/customers.md")]
    mod tutorial_customers {}
    #[doc = include_str!("../../docs/src/tutorial/disk.md")]
    mod tutorial_disk {}
    #[doc = include_str!("../../docs/src/tutorial/read-models.md")]
    mod tutorial_read_models {}
    #[doc = include_str!("../../docs/src/tutorial/transfer.md")]
    mod tutorial_transfer {}
}
