//! The keys of `#[event(…)]`.

use syn::parse::ParseStream;
use syn::{Attribute, Ident, LitStr, Path, Result};

use crate::attr::{Once, Place};
use crate::errors::Errors;
use crate::naming::name_fault;
use crate::value::{self, Counted};

pub(super) static ENUM: Place = Place {
    name: "event",
    title: "`#[event(…)]` on an enum",
    keys: &["prefix", "legacy", "retired", "crate"],
    example: "#[event(prefix = \"account\")]",
};

pub(super) static STRUCT: Place = Place {
    name: "event",
    title: "`#[event(…)]` on a struct",
    keys: &[
        "prefix", "name", "alias", "version", "upcast", "legacy", "retired", "crate",
    ],
    example: "#[event(prefix = \"account\")]",
};

static VARIANT: Place = Place {
    name: "event",
    title: "`#[event(…)]` on a variant",
    keys: &["name", "alias", "version", "upcast"],
    example: "#[event(name = \"account.opened\")]",
};

/// On the type.
#[derive(Default)]
pub(super) struct ContainerKeys {
    pub(super) factum: Once<Path>,
    prefix: Once<LitStr>,
    pub(super) legacy: Once<Vec<Path>>,
    pub(super) retired: Once<Vec<LitStr>>,
    pub(super) kind: KindKeys,
}

/// On a variant, or on a struct.
#[derive(Default)]
pub(super) struct KindKeys {
    pub(super) name: Once<LitStr>,
    pub(super) aliases: Once<Vec<LitStr>>,
    pub(super) version: Once<Counted<u32>>,
    pub(super) upcast: Once<Vec<Path>>,
}

impl ContainerKeys {
    pub(super) fn read(place: &Place, attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        place.read(attrs, errors, |key, input| {
            if key == "crate" {
                keys.factum.equals(key, input, value::module)
            } else if key == "prefix" {
                keys.prefix
                    .equals(key, input, value::text("a prefix", name_fault))
            } else if key == "legacy" {
                keys.legacy.equals(key, input, value::paths)
            } else if key == "retired" {
                keys.retired.equals(key, input, names)
            } else {
                keys.kind.entry(key, input)
            }
        });
        keys
    }

    pub(super) fn prefix(&self) -> Option<String> {
        self.prefix.get().map(LitStr::value)
    }
}

impl KindKeys {
    pub(super) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        VARIANT.read(attrs, errors, |key, input| keys.entry(key, input));
        keys
    }

    fn entry(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        if key == "name" {
            self.name
                .equals(key, input, value::text("a stored name", name_fault))
        } else if key == "alias" {
            self.aliases.equals(key, input, names)
        } else if key == "version" {
            self.version.equals(key, input, value::version)
        } else {
            self.upcast.equals(key, input, value::paths)
        }
    }
}

/// `"account.nudged"` or `["account.nudged", "account.poked"]`
fn names(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    value::list(input, |input| {
        value::text("a stored name", name_fault)(input)
    })
}
