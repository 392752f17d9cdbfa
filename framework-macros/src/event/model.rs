//! [`EventModel`]: the event types of the input, validated.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Data, DataEnum, DataStruct, DeriveInput, Fields, Ident, LitStr, Path, Variant};

use super::attr::{EventAttr, EventTypeAttr};
use super::personal::{PersonalFieldModel, personal_fields};
use super::serde_attr::check_serde_attributes;
use crate::errors::Errors;
use crate::field::{TagField, tag_fields};
use crate::naming::snake_case;

/// An enum or a struct that derives `Event`.
pub struct EventModel<'a> {
    pub is_enum: bool,
    /// The variants of the enum, or the struct.
    pub types: Vec<EventTypeModel<'a>>,
    /// The types of legacy events.
    pub legacy: Vec<Path>,
    /// The event types that readers skip.
    pub retired: Vec<LitStr>,
}

impl<'a> EventModel<'a> {
    /// Creates the model, and adds all errors in the input to `errors`.
    pub fn new(input: &'a DeriveInput, attr: &EventAttr, errors: &mut Errors) -> Option<Self> {
        let (is_enum, types) = match &input.data {
            Data::Struct(data) => (false, vec![struct_type(&input.ident, attr, data, errors)?]),
            Data::Enum(data) => {
                check_serde_attributes(input, data, errors);
                (true, enum_types(&input.ident, attr, data, errors))
            }
            Data::Union(_) => return None,
        };
        let (legacy, retired) = (attr.legacy(), attr.retired());
        check_aliases(&types, &retired, errors);
        Some(Self {
            is_enum,
            types,
            legacy,
            retired,
        })
    }

    /// Returns the path of an event type: `Self::Variant`, or `Self` for a struct.
    pub fn path(&self, event_type: &EventTypeModel<'_>) -> TokenStream {
        let ident = event_type.ident;
        if self.is_enum {
            quote!(Self::#ident)
        } else {
            quote!(Self)
        }
    }
}

/// One event type: a variant of the enum, or the struct.
pub struct EventTypeModel<'a> {
    ident: &'a Ident,
    /// The stored name.
    pub name: String,
    /// The stored name in the attribute.
    explicit_name: Option<LitStr>,
    /// The former stored names.
    pub aliases: Vec<LitStr>,
    /// The schema version.
    pub version: u32,
    pub upcasters: Vec<Path>,
    pub tags: Vec<TagField>,
    pub personal: Vec<PersonalFieldModel>,
}

impl<'a> EventTypeModel<'a> {
    /// Creates the model without its fields; `None` if the explicit name is not valid.
    ///
    /// The default name must not replace a name that is not valid, because it could be a duplicate of another.
    fn new(ident: &'a Ident, attr: &EventTypeAttr, prefix: Option<&str>) -> Option<Self> {
        if attr.name.is_invalid() {
            return None;
        }
        let default_name = || snake_case(&ident.unraw().to_string());
        let explicit_name = attr.name.value().cloned();
        let name = match (&explicit_name, prefix) {
            (Some(name), _) => name.value(),
            (None, Some(prefix)) => format!("{prefix}.{}", default_name()),
            (None, None) => default_name(),
        };
        Some(Self {
            ident,
            name,
            explicit_name,
            aliases: attr.aliases(),
            version: attr.schema_version.version(),
            upcasters: attr.schema_version.upcasters().to_vec(),
            tags: Vec::new(),
            personal: Vec::new(),
        })
    }

    /// Returns the name of the variant or the struct.
    pub fn rust_name(&self) -> String {
        self.ident.unraw().to_string()
    }
}

/// Returns the event type of a struct.
fn struct_type<'a>(
    ident: &'a Ident,
    attr: &EventAttr,
    data: &DataStruct,
    errors: &mut Errors,
) -> Option<EventTypeModel<'a>> {
    attr.event_type.schema_version.check_upcasters(errors);
    let event_type = EventTypeModel::new(ident, &attr.event_type, attr.prefix().as_deref());
    add_fields(event_type, &data.fields, errors)
}

/// Returns the event types of an enum.
fn enum_types<'a>(
    ident: &Ident,
    attr: &EventAttr,
    data: &'a DataEnum,
    errors: &mut Errors,
) -> Vec<EventTypeModel<'a>> {
    if data.variants.is_empty() {
        let message = "an event enum must have at least one variant; each variant is an event type";
        errors.push_at(ident, message);
    }
    let prefix = attr.prefix();
    let types: Vec<_> = data
        .variants
        .iter()
        .filter_map(|variant| variant_type(variant, prefix.as_deref(), errors))
        .collect();
    check_duplicate_names(&types, errors);
    types
}

fn variant_type<'a>(
    variant: &'a Variant,
    prefix: Option<&str>,
    errors: &mut Errors,
) -> Option<EventTypeModel<'a>> {
    let attr = EventTypeAttr::parse(&variant.attrs, errors);
    attr.schema_version.check_upcasters(errors);
    let event_type = EventTypeModel::new(&variant.ident, &attr, prefix);
    add_fields(event_type, &variant.fields, errors)
}

/// Adds the fields to `event_type`, and their errors even if there is no event type.
fn add_fields<'a>(
    event_type: Option<EventTypeModel<'a>>,
    fields: &Fields,
    errors: &mut Errors,
) -> Option<EventTypeModel<'a>> {
    let (tags, personal) = (tag_fields(fields, errors), personal_fields(fields, errors));
    Some(EventTypeModel {
        tags,
        personal,
        ..event_type?
    })
}

/// Checks that no alias and no retired name is also the name or an alias of an event type.
fn check_aliases(types: &[EventTypeModel<'_>], retired: &[LitStr], errors: &mut Errors) {
    let mut owners: BTreeMap<String, &Ident> = BTreeMap::new();
    for event_type in types {
        owners
            .entry(event_type.name.clone())
            .or_insert(event_type.ident);
    }
    for event_type in types {
        for alias in &event_type.aliases {
            let name = alias.value();
            if let Some(owner) = owners.insert(name.clone(), event_type.ident) {
                let message =
                    format!("alias `{name}` is already in use by `{owner}`; remove this alias");
                errors.push_at(alias, message);
            }
        }
    }
    for literal in retired {
        let name = literal.value();
        if let Some(owner) = owners.get(&name) {
            let message =
                format!("retired event type `{name}` is still in use by `{owner}`; remove it here");
            errors.push_at(literal, message);
        }
    }
}

/// Checks that no two event types have the same name.
fn check_duplicate_names(types: &[EventTypeModel<'_>], errors: &mut Errors) {
    let mut owners = BTreeMap::<&str, &Ident>::new();
    for event_type in types {
        let EventTypeModel { ident, name, .. } = event_type;
        let Some(owner) = owners.get(name.as_str()) else {
            owners.insert(name, ident);
            continue;
        };
        let message = format!(
            "duplicate event type `{name}`, already in use by `{owner}`; give `{ident}` another name with \
             `#[event(name = \"…\")]`"
        );
        match &event_type.explicit_name {
            Some(literal) => errors.push_at(literal, message),
            None => errors.push_at(ident, message),
        }
    }
}
