//! A progress bar for a projection; if the output is not a terminal, a few lines of text.

use std::time::Duration;

use factum::Position;
use factum::runtime::{ConsumerState, ConsumerStatus};
use factum_examples::outln;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

/// Shows the progress of the projection until `work` is done.
pub(crate) async fn show<T>(
    mut status: watch::Receiver<ConsumerStatus>,
    work: impl Future<Output = T>,
) -> T {
    let style =
        ProgressStyle::with_template("  {bar:30.green/dim} {human_pos} of {human_len}{msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    // The bar is hidden and draws nothing if the output is not a terminal.
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style);
    let mut work = std::pin::pin!(work);
    let mut printed = 0;
    let done = loop {
        let now = status.borrow_and_update().clone();
        if let Some(position) = build_position(&now) {
            let (position, head) = (position.get(), now.head.get());
            bar.set_length(head);
            bar.set_position(position);
            bar.set_message(pace(&now));
            let tenths = position * 10 / head.max(1);
            if bar.is_hidden() && tenths > printed && tenths < 10 {
                let (position, head) = (HumanCount(position), HumanCount(head));
                outln!("  {position} of {head}{}", pace(&now));
                printed = tenths;
            }
        }
        tokio::select! {
            done = &mut work => break done,
            Ok(()) = status.changed() => {}
        }
    };
    let end = status.borrow().clone();
    let position = end.position.get();
    let message = format!(": build {} is active", end.build);
    bar.set_length(position);
    bar.set_position(position);
    if bar.is_hidden() {
        let position = HumanCount(position);
        outln!("  {position} of {position}{message}");
    }
    bar.finish_with_message(message);
    done
}

/// Returns the position of the new build, or of the active build while it catches up.
fn build_position(status: &ConsumerStatus) -> Option<Position> {
    let active = (status.state != ConsumerState::Live).then_some(status.position);
    status.building.map(|(_, position)| position).or(active)
}

fn pace(status: &ConsumerStatus) -> String {
    let rate = HumanCount(status.rate as u64);
    match status.remaining() {
        Some(Duration::ZERO) | None => String::new(),
        Some(remaining) => format!(", {rate} events/s, {:.1} s left", remaining.as_secs_f64()),
    }
}
