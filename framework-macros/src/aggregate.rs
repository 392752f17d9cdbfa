//! `derive(Aggregate)`: parses the attributes, validates them and generates the impl.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Attribute, DeriveInput, Error, Ident, LitStr, Path, Result, Type};

use crate::attr::{AttrArg, AttrSpec, join_with_and};
use crate::container::{Container, check_no_generics, check_only_on_type, union_error};
use crate::errors::{Errors, into_type_and_items};
use crate::naming::check_category;
use crate::parse::{self, Number};
use crate::stored_fields::check_stored_fields;

static SPEC: AttrSpec = AttrSpec {
    name: "aggregate",
    title: "`#[aggregate(…)]`",
    keys: &["category", "id", "event", "snapshot", "crate"],
    example: "#[aggregate(category = \"account\", id = Uuid, event = AccountEvent)]",
};

static SNAPSHOT_SPEC: AttrSpec = AttrSpec {
    name: "snapshot",
    title: "`snapshot(…)`",
    keys: &["every", "version", "max_bytes"],
    example: "snapshot(every = 100)",
};

/// The keys of `#[aggregate(…)]`.
#[derive(Default)]
struct AggregateAttr {
    factum: AttrArg<Path>,
    category: AttrArg<LitStr>,
    id: AttrArg<Type>,
    event: AttrArg<Type>,
    snapshot: AttrArg<SnapshotArgs>,
}

/// The keys of `snapshot(…)`.
struct SnapshotArgs {
    key: Ident,
    every: u64,
    version: u32,
    max_bytes: Option<usize>,
}

/// A type that derives `Aggregate`, with its keys validated.
struct AggregateModel<'a> {
    category: &'a LitStr,
    id: &'a Type,
    event: &'a Type,
    snapshot: Option<&'a SnapshotArgs>,
}

/// Returns the generated code of `derive(Aggregate)`.
pub fn derive(input: &DeriveInput) -> TokenStream {
    let next_step = "derive `Aggregate` on a struct or an enum";
    if let Some(error) = union_error(&input.data, next_step) {
        return error;
    }
    let mut errors = Errors::default();
    let attr = AggregateAttr::parse(&input.attrs, &mut errors);
    let container = Container::new(input, &attr.factum);
    let reason = "a category belongs to exactly one type";
    check_no_generics(input, "an aggregate", reason, &mut errors);
    check_only_on_type(&input.data, "aggregate", &mut errors);
    if attr.snapshot.value().is_some() {
        let loss =
            "a snapshot would lose the field, so a loaded state would differ from a replayed one";
        check_stored_fields(&input.data, loss, &mut errors);
    }
    let model = AggregateModel::new(input, &attr, &mut errors);
    match errors.finish(model) {
        Ok(model) => expand(&container, &model),
        Err(error) => stub(&container, error),
    }
}

impl AggregateAttr {
    fn parse(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut attr = Self::default();
        SPEC.parse(attrs, errors, |key, input| {
            if key == "crate" {
                attr.factum.parse_assignment(key, input, parse::module_path)
            } else if key == "category" {
                let category = parse::string("a category", check_category);
                attr.category.parse_assignment(key, input, category)
            } else if key == "id" {
                attr.id.parse_assignment(key, input, parse::ty)
            } else if key == "event" {
                attr.event.parse_assignment(key, input, parse::ty)
            } else {
                attr.snapshot
                    .parse_with(key, input, |input| SnapshotArgs::parse(key, input))
            }
        });
        attr
    }
}

impl SnapshotArgs {
    fn parse(key: &Ident, input: ParseStream<'_>) -> Result<Self> {
        let mut every = AttrArg::<Number<u64>>::default();
        let mut version = AttrArg::<Number<u32>>::default();
        let mut max_bytes = AttrArg::<Number<usize>>::default();
        SNAPSHOT_SPEC.parse_nested(input, |key, input| {
            if key == "every" {
                every.parse_assignment(key, input, parse::snapshot_interval)
            } else if key == "max_bytes" {
                max_bytes.parse_assignment(key, input, parse::snapshot_size)
            } else {
                version.parse_assignment(key, input, parse::version)
            }
        })?;
        let Some(every) = every.value() else {
            let message = "missing key `every`; write `snapshot(every = 100)` for a snapshot after every 100 events";
            return Err(Error::new_spanned(key, message));
        };
        Ok(Self {
            key: key.clone(),
            every: every.value,
            version: version.value().map_or(1, |version| version.value),
            max_bytes: max_bytes.value().map(|bytes| bytes.value),
        })
    }
}

impl<'a> AggregateModel<'a> {
    fn new(input: &DeriveInput, attr: &'a AggregateAttr, errors: &mut Errors) -> Option<Self> {
        let required = [
            (attr.category.value().is_none(), "`category = \"…\"`"),
            (attr.id.value().is_none(), "`id = …`"),
            (attr.event.value().is_none(), "`event = …`"),
        ];
        let missing = required.into_iter().filter(|(is_missing, _)| *is_missing);
        let missing: Vec<_> = missing.map(|(_, key)| key.to_owned()).collect();
        // An earlier error can be about the same key.
        if !missing.is_empty() && errors.is_empty() {
            let missing = join_with_and(&missing);
            errors.push_at(
                &input.ident,
                format!("missing {missing} in `#[aggregate(…)]`"),
            );
        }
        Some(Self {
            category: attr.category.value()?,
            id: attr.id.value()?,
            event: attr.event.value()?,
            snapshot: attr.snapshot.value(),
        })
    }
}

fn expand(container: &Container<'_>, model: &AggregateModel<'_>) -> TokenStream {
    let private = &container.private;
    let head = container.impl_head(&quote!(#private::Aggregate));
    let doc = &container.doc;
    let AggregateModel {
        category,
        id,
        event,
        snapshot,
    } = model;
    let snapshot = snapshot.map(|snapshot| snapshot_constant(container, snapshot));
    let (span, private_at_event) = (event.span(), container.private_at(event.span()));
    let event_of_form = quote_spanned!(span=> <#event as #private_at_event::EventForm>::Event);
    quote! {
        #head {
            type Id = #id;
            type Event = #event_of_form;
            type Applied = #event;
            const CATEGORY: &'static str = #category;
            #doc
            #snapshot
        }
    }
}

/// Returns the constant `SNAPSHOT`; an error about the bounds of a snapshot points at the key.
fn snapshot_constant(container: &Container<'_>, snapshot: &SnapshotArgs) -> TokenStream {
    let SnapshotArgs {
        key,
        every,
        version,
        max_bytes,
    } = snapshot;
    let max_bytes = max_bytes.map(|bytes| quote!(.max_bytes(#bytes)));
    let (span, private_at_key) = (key.span(), container.private_at(key.span()));
    let json = quote_spanned!(span=> #private_at_key::SnapshotPolicy::<Self>::json);
    let private = &container.private;
    quote! {
        const SNAPSHOT: ::core::option::Option<#private::SnapshotPolicy<Self>> =
            ::core::option::Option::Some(#json(#every, #version).equals(|state, loaded| {
                #[allow(unused_imports)]
                use #private::{ViaNothing as _, ViaPartialEq as _};
                (&#private::Compared::<Self>(state, loaded)).compare()
            }) #max_bytes);
    }
}

/// Returns an impl of `Aggregate` with an invalid type for invalid input, and the compile errors.
fn stub(container: &Container<'_>, error: Error) -> TokenStream {
    let private = &container.private;
    let bounds = quote! {
        ::core::default::Default + ::core::clone::Clone
            + ::core::marker::Send + ::core::marker::Sync + 'static
    };
    let head = container.stub_impl_head(&quote!(#private::Aggregate), &bounds);
    let (invalid_type, errors) = into_type_and_items(error);
    quote! {
        #errors
        #head {
            type Id = #invalid_type;
            type Event = <Self as #private::Aggregate>::Id;
            type Applied = <Self as #private::Aggregate>::Id;
            const CATEGORY: &'static str = "";
        }
    }
}
