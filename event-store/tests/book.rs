//! The pages of the book list the settings and metrics of the server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use clap::CommandFactory as _;
use event_store::metrics::EVENT_STORE_METRICS;
use event_store::settings::ServerSettings;
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

#[test]
fn book_lists_the_settings_of_the_server() {
    let page = page("event-store/operation.md");
    let command = ServerSettings::command();
    let names = command
        .get_arguments()
        .filter_map(|argument| argument.get_long());
    assert!(names.count() > 15);
    let mut missing = String::new();
    for argument in command.get_arguments() {
        let Some(long) = argument.get_long() else {
            continue;
        };
        let code = |text: &str| match text {
            "" => String::new(),
            text => format!("`{text}`"),
        };
        let env = argument
            .get_env()
            .map(|env| env.to_string_lossy().into_owned());
        let env = code(&env.unwrap_or_default());
        let is_flag = argument.get_action().takes_values();
        let defaults = argument.get_default_values().iter().filter(|_| is_flag);
        let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
        let default = code(&defaults.join(","));
        let help = argument.get_help().unwrap().to_string();
        let row = format!("| `--{long}` | {env} | {default} | {help} |\n");
        if !page.contains(&row) {
            missing.push_str(&row);
        }
    }
    assert_eq!(missing, "", "the page does not have these rows:\n{missing}");
}
