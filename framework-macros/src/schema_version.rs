//! [`SchemaVersionArgs`]: the keys `version` and `upcast` of events, commands and process managers.

use syn::parse::ParseStream;
use syn::{Ident, Path, Result};

use crate::attr::AttrArg;
use crate::errors::Errors;
use crate::parse::{self, Number};

/// The keys `version` and `upcast` of an attribute.
#[derive(Default)]
pub struct SchemaVersionArgs {
    version: AttrArg<Number<u32>>,
    upcast: AttrArg<Vec<Path>>,
}

impl SchemaVersionArgs {
    /// Parses `= value` after the key `version`.
    pub fn parse_version(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        self.version.parse_assignment(key, input, parse::version)
    }

    /// Parses `= value` after the key `upcast`.
    pub fn parse_upcast(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        self.upcast.parse_assignment(key, input, parse::paths)
    }

    /// Returns the schema version; the default is 1.
    pub fn version(&self) -> u32 {
        self.version.value().map_or(1, |version| version.value)
    }

    /// Returns the upcasters, in the order of the versions.
    pub fn upcasters(&self) -> &[Path] {
        self.upcast.value().map_or(&[], Vec::as_slice)
    }

    /// Checks that there is one upcaster for each step from version 1.
    pub fn check_upcasters(&self, errors: &mut Errors) {
        if self.version.is_invalid() || self.upcast.is_invalid() {
            return;
        }
        let version = self.version();
        let needed = version as usize - 1;
        let found = self.upcasters().len();
        if needed == found {
            return;
        }
        let upcasters = if needed == 1 { "upcaster" } else { "upcasters" };
        let next_step = match (found, needed) {
            (0, 1) => "write `upcast = v1_to_v2`".to_owned(),
            (0, _) => "write `upcast = [v1_to_v2, …]`".to_owned(),
            _ => format!("`upcast` names {found}"),
        };
        let message = if needed == 0 {
            "version 1 has no upcasters; increase `version` when the schema changes, or remove `upcast`"
                .to_owned()
        } else {
            format!(
                "version {version} needs {needed} {upcasters}, one for each step from version 1; {next_step}"
            )
        };
        match (self.upcast.key(), self.version.value()) {
            (Some(key), _) => errors.push_at(key, message),
            (None, Some(version)) => errors.push_at(&version.literal, message),
            (None, None) => {}
        }
    }
}
