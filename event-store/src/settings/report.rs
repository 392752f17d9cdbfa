//! [`SettingsReport`]: each setting with its value and its source.

use std::fmt;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::store_place::StoreUrl;

/// The settings of a server with their values and sources. Passwords are not contained.
#[derive(Debug, Clone)]
pub struct SettingsReport(Vec<ReportedSetting>);

#[derive(Debug, Clone)]
struct ReportedSetting {
    name: String,
    value: Option<String>,
    source: String,
}

impl SettingsReport {
    /// Creates the report of the arguments of `command`.
    #[must_use]
    pub fn new(command: &Command, matches: &ArgMatches) -> Self {
        let ids = matches.ids().map(clap::Id::as_str);
        let known: Vec<&str> = ids.collect();
        let arguments = command.get_arguments().filter(|argument| {
            let id = argument.get_id().as_str();
            !["help", "version", "print_settings"].contains(&id)
        });
        let reported = arguments.map(|argument| {
            let id = argument.get_id().as_str();
            let source = known
                .contains(&id)
                .then(|| matches.value_source(id))
                .flatten();
            ReportedSetting {
                name: argument.get_long().unwrap_or(id).to_owned(),
                value: source.and_then(|_| value(matches, id)),
                source: source_text(argument, source),
            }
        });
        Self(reported.collect())
    }

    /// Logs the settings that are not defaults.
    pub fn log(&self) {
        for setting in self.0.iter().filter(|setting| setting.source != DEFAULT) {
            let ReportedSetting {
                name,
                value,
                source,
            } = setting;
            tracing::info!(name, value, source, "setting");
        }
    }
}

const DEFAULT: &str = "default";

fn value(matches: &ArgMatches, id: &str) -> Option<String> {
    let values = matches.get_raw(id)?;
    let values = values.map(|value| {
        let Ok(url) = value.to_string_lossy().parse::<StoreUrl>();
        url.to_string()
    });
    Some(values.collect::<Vec<_>>().join(","))
}

fn source_text(argument: &Arg, source: Option<ValueSource>) -> String {
    match source {
        Some(ValueSource::CommandLine) => {
            let long = argument.get_long().unwrap_or_default();
            format!("flag --{long}")
        }
        Some(ValueSource::EnvVariable) => {
            let name = argument.get_env().map(|name| name.to_string_lossy());
            format!("environment variable {}", name.unwrap_or_default())
        }
        _ => DEFAULT.to_owned(),
    }
}

impl fmt::Display for SettingsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ReportedSetting {
            name,
            value,
            source,
        } in &self.0
        {
            let value = value.as_deref().unwrap_or("not set");
            writeln!(f, "{name:<20} {value:<28} {source}")?;
        }
        Ok(())
    }
}
