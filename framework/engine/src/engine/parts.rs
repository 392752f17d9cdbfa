//! The parts of what a command looks at, one by one.

use super::execute_error::ExecuteError;
use super::receipt::Receipt;
use crate::boundary::{Boundary, Part};
use crate::command::{Command, Decide};
use crate::few::Few;
use factum_core::stream_id::StreamId;

pub type Slots<C> = <<C as Command>::On as Boundary>::Slots;
pub type Decision<C> = <<C as Command>::On as Boundary>::Decision;

pub fn parts<C: Decide>(slots: &mut Slots<C>) -> Few<&mut dyn Part> {
    let mut parts = Few::new();
    C::On::parts(slots, &mut parts);
    parts
}

/// The streams, each of which a command may name only once.
pub fn streams<C: Decide>(slots: &mut Slots<C>) -> Result<Few<StreamId>, ExecuteError<C::Error>> {
    let mut streams: Few<StreamId> = Few::new();
    for part in parts::<C>(slots) {
        let Some(stream) = part.stream() else {
            continue;
        };
        if streams.contains(stream) {
            return Err(ExecuteError::DuplicateStream {
                stream: stream.clone(),
            });
        }
        streams.push(stream.clone());
    }
    Ok(streams)
}

/// The receipt of a decision that nothing needs to happen.
pub fn unchanged<C: Decide>(slots: &mut Slots<C>, attempts: u32) -> Receipt {
    let parts = parts::<C>(slots);
    let versions = parts
        .iter()
        .filter_map(|part| Some((part.stream()?.clone(), part.version())));
    let position = parts
        .iter()
        .map(|part| part.position())
        .max()
        .unwrap_or_default();
    Receipt::nothing(position, versions.collect(), attempts)
}
