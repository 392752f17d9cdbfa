//! Behaviour of the generated impls.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

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
