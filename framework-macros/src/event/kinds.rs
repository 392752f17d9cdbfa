//! [`Kind`]: one kind of event, checked.

use std::collections::BTreeMap;

use syn::ext::IdentExt;
use syn::{Fields, Ident, LitStr, Path, Variant};

use super::keys::{ContainerKeys, KindKeys};
use super::personal::{Personal, personal};
use crate::errors::Errors;
use crate::field::{Tagged, tagged};
use crate::naming::snake_case;

/// A variant, or the struct itself.
pub(super) struct Kind<'a> {
    /// The variant, or the struct.
    pub(super) ident: &'a Ident,
    /// The stored name.
    pub(super) name: String,
    /// The stored name as the user wrote it.
    written: Option<LitStr>,
    /// The names before.
    pub(super) aliases: Vec<LitStr>,
    pub(super) version: u32,
    pub(super) upcasters: Vec<Path>,
    pub(super) tags: Vec<Tagged>,
    pub(super) personal: Vec<Personal>,
}

/// The only kind of a struct.
pub(super) fn of_struct<'a>(
    ident: &'a Ident,
    keys: &ContainerKeys,
    fields: &Fields,
    errors: &mut Errors,
) -> Option<Kind<'a>> {
    check_upcasters(&keys.kind, errors);
    let kind = kind(ident, &keys.kind, keys.prefix().as_deref());
    with_fields(kind, fields, errors)
}

/// The kind that a variant is.
pub(super) fn of_variant<'a>(
    variant: &'a Variant,
    prefix: Option<&str>,
    errors: &mut Errors,
) -> Option<Kind<'a>> {
    let keys = KindKeys::read(&variant.attrs, errors);
    check_upcasters(&keys, errors);
    let kind = kind(&variant.ident, &keys, prefix);
    with_fields(kind, &variant.fields, errors)
}

/// With what the attributes on the fields say; they are read even where there is no kind, for their mistakes.
fn with_fields<'a>(
    kind: Option<Kind<'a>>,
    fields: &Fields,
    errors: &mut Errors,
) -> Option<Kind<'a>> {
    let (tags, personal) = (tagged(fields, errors), personal(fields, errors));
    Some(Kind {
        tags,
        personal,
        ..kind?
    })
}

/// `None` if the name could not be read: that is reported, and must not meet another name by accident.
fn kind<'a>(ident: &'a Ident, keys: &KindKeys, prefix: Option<&str>) -> Option<Kind<'a>> {
    let snake = || snake_case(&ident.unraw().to_string());
    let name = match (keys.name.key(), prefix) {
        (Some(_), _) => keys.name.get()?.value(),
        (None, Some(prefix)) => format!("{prefix}.{}", snake()),
        (None, None) => snake(),
    };
    Some(Kind {
        ident,
        name,
        written: keys.name.get().cloned(),
        aliases: keys.aliases.get().cloned().unwrap_or_default(),
        version: keys.version.get().map_or(1, |version| version.number),
        upcasters: keys.upcast.get().cloned().unwrap_or_default(),
        tags: Vec::new(),
        personal: Vec::new(),
    })
}

/// Each step from an older form to the next needs its upcaster.
fn check_upcasters(keys: &KindKeys, errors: &mut Errors) {
    let unreadable = |key: Option<&Ident>, read: bool| key.is_some() && !read;
    if unreadable(keys.version.key(), keys.version.get().is_some())
        || unreadable(keys.upcast.key(), keys.upcast.get().is_some())
    {
        return;
    }
    let version = keys.version.get().map_or(1, |version| version.number);
    let needed = version as usize - 1;
    let given = keys.upcast.get().map_or(0, Vec::len);
    if given == needed {
        return;
    }
    let plural = if needed == 1 { "upcaster" } else { "upcasters" };
    let message = match needed {
        0 => "version 1 needs no upcaster: raise `version` with each change of the stored form"
            .into(),
        _ if given == 0 => format!(
            "version {version} needs {needed} {plural}, one for each step up from version 1: \
             write `upcast = {}`",
            if needed == 1 {
                "v1_to_v2"
            } else {
                "[v1_to_v2, …]"
            }
        ),
        _ => format!(
            "version {version} needs {needed} {plural}, one for each step up from version 1: \
             `upcast` names {given}"
        ),
    };
    match (keys.upcast.key(), keys.version.get()) {
        (Some(key), _) => errors.at(key, message),
        (None, Some(version)) => errors.at(&version.literal, message),
        (None, None) => {}
    }
}

/// A name that is read as one kind cannot be read as another, or not at all.
pub(super) fn refuse_ambiguous(kinds: &[Kind<'_>], retired: &[LitStr], errors: &mut Errors) {
    let mut taken: BTreeMap<String, &Ident> = BTreeMap::new();
    for kind in kinds {
        taken.entry(kind.name.clone()).or_insert(kind.ident);
    }
    for kind in kinds {
        for alias in &kind.aliases {
            if let Some(first) = taken.insert(alias.value(), kind.ident) {
                errors.at(
                    alias,
                    format!("`{}` is read as `{first}` already", alias.value()),
                );
            }
        }
    }
    for name in retired {
        if let Some(kind) = taken.get(&name.value()) {
            let message = format!("`{}` is read as `{kind}`: it is not retired", name.value());
            errors.at(name, message);
        }
    }
}

/// Two kinds under one stored name could not be told apart when they are read.
pub(super) fn refuse_duplicates(kinds: &[Kind<'_>], errors: &mut Errors) {
    let mut taken = BTreeMap::<&str, &Ident>::new();
    for kind in kinds {
        let Some(first) = taken.get(kind.name.as_str()) else {
            taken.insert(&kind.name, kind.ident);
            continue;
        };
        let Kind { ident, name, .. } = kind;
        let message = format!(
            "`{name}` is already the stored name of `{first}`: give `{ident}` another with \
             `#[event(name = \"…\")]`"
        );
        match &kind.written {
            Some(written) => errors.at(written, message),
            None => errors.at(ident, message),
        }
    }
}
