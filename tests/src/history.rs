//! Records what concurrent clients do with a store, and checks that the responses are linearizable.
//!
//! A run ([`run()`]) lets clients append and read at random while subscribers follow the log, and records when
//! each call started and ended. The checker ([`History::check`]) compares the history with the rules of a store.
//! The correctness condition is linearizability (Herlihy and Wing, *Linearizability: A Correctness Condition
//! for Concurrent Objects*, 1990), of the store as a whole, not of each stream: every call takes effect, or
//! observes the store, at one instant between its start and its end.
//!
//! In general, the check needs a search (Wing and Gong, *Testing and Verifying Concurrent Objects*, 1993; Lowe,
//! *Testing for Linearizability*, 2017). No search is needed here, because the positions give the order of the
//! writes (Gibbons and Korach, *Testing Shared Memories*, 1997). The state of a store is its log up to some head.
//! Two rules follow:
//!
//! 1. Each response is valid at the heads of one interval. For example, a stream is at version 3 from the position
//!    of its third event until just before its fourth. A stored append moves the head from the end of the previous
//!    append to its own end. A page contains its head.
//! 2. Each call, in the order in which they started, gets the smallest head at which its response is valid and
//!    that is not before a head of a call that had already ended. If there is none, no order of the calls
//!    explains the responses.
//!
//! The smallest head is always the best choice, because it leaves the most heads to later calls. Sorting the
//! calls dominates the cost: O(n log n). A false conflict violates rule 2: the response is valid at no head
//! that the call could observe. So do a stale read, and an append that was stored before an append that had
//! already ended.
//!
//! A call that ended with an error of the backend is *pending* (Herlihy and Wing): it may take effect at any time
//! after its start, or never.

mod anomaly;
mod calls;
mod check;
mod log;
mod random;
mod run;

pub use anomaly::Anomaly;
pub use calls::{Call, History, Kind, Response, Subscriber, Tally};
pub use run::{Plan, run};
