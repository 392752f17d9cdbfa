//! The pages of the book list the metrics of the server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use event_store::metrics::EVENT_STORE_METRICS;
use factum::metrics::Metric;
use factum_server::metrics::SERVER_METRICS;

fn page(path: &str) -> String {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src");
    std::fs::read_to_string(book.join(path)).unwrap()
}

#[track_caller]
fn assert_rows(page: &str, metrics: &[Metric]) {
    for metric in metrics {
        let labels = metric.labels.iter().map(|label| format!("`{label}`"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let (name, kind, unit) = (metric.name, metric.kind.as_str(), metric.unit);
        let row = format!(
            "| `{name}` | {kind} | {unit} | {labels} | {} |\n",
            metric.meaning
        );
        assert!(
            page.contains(&row),
            "the page does not have this row: {row}"
        );
    }
}

#[test]
fn book_lists_the_metrics_of_the_server() {
    assert_rows(&page("event-store/operation.md"), EVENT_STORE_METRICS);
    assert_rows(&page("reference/metrics.md"), SERVER_METRICS);
}
