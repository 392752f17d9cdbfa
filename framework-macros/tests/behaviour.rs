//! What the derived impls do.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod behaviour {
    mod commands;
    mod events;
    mod ids;
    mod legacy;
    mod personal;
    mod process_instances;
    mod process_managers;
    mod upcasting;
}
