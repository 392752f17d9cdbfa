//! A progress bar of what a projection is at; where nobody watches a terminal, a line now and then.

use std::time::Duration;

use factum::{Position, ProjectionState, ProjectionStatus};
use factum_examples::say;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

/// Shows how the projection comes on until `work` is done. Every number is the status's.
pub(crate) async fn show<T>(
    mut status: watch::Receiver<ProjectionStatus>,
    work: impl Future<Output = T>,
) -> T {
    let style =
        ProgressStyle::with_template("  {bar:30.green/dim} {human_pos} of {human_len}{msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    // A hidden bar, as it is where the output is no terminal, draws nothing.
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style);
    let mut work = std::pin::pin!(work);
    let mut told = 0;
    let done = loop {
        let now = status.borrow_and_update().clone();
        if let Some(position) = filled(&now) {
            let (position, head) = (position.get(), now.head.get());
            bar.set_length(head);
            bar.set_position(position);
            bar.set_message(pace(&now));
            let tenths = position * 10 / head.max(1);
            if bar.is_hidden() && tenths > told && tenths < 10 {
                let (position, head) = (HumanCount(position), HumanCount(head));
                say!("  {position} of {head}{}", pace(&now));
                told = tenths;
            }
        }
        tokio::select! {
            done = &mut work => break done,
            Ok(()) = status.changed() => {}
        }
    };
    let end = status.borrow().clone();
    let position = end.position.get();
    let message = format!(": readers see build {}", end.build);
    bar.set_length(position);
    bar.set_position(position);
    if bar.is_hidden() {
        let position = HumanCount(position);
        say!("  {position} of {position}{message}");
    }
    bar.finish_with_message(message);
    done
}

/// The position that the build beside has come to; without one, that of what readers see, until it is full.
fn filled(status: &ProjectionStatus) -> Option<Position> {
    let served = (status.state != ProjectionState::Live).then_some(status.position);
    status.building.map(|(_, position)| position).or(served)
}

fn pace(status: &ProjectionStatus) -> String {
    let rate = HumanCount(status.rate as u64);
    match status.remaining() {
        Some(Duration::ZERO) | None => String::new(),
        Some(left) => format!(", {rate} events/s, {:.1} s left", left.as_secs_f64()),
    }
}
