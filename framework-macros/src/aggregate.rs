//! `derive(Aggregate)`: attributes → validity → expansion.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::{Attribute, Data, DeriveInput, Error, Ident, LitStr, Path, Result, Type};

use crate::attr::{Once, Place, listed};
use crate::errors::{Errors, Rejection};
use crate::item::{Item, fields, refuse_attributes, refuse_generics, refuse_union};
use crate::naming::category_fault;
use crate::value::{self, Counted};

static PLACE: Place = Place {
    name: "aggregate",
    title: "`#[aggregate(…)]`",
    keys: &["category", "id", "event", "snapshot", "crate"],
    example: "#[aggregate(category = \"account\", id = Uuid, event = AccountEvent)]",
};

static SNAPSHOT: Place = Place {
    name: "snapshot",
    title: "`snapshot(…)`",
    keys: &["every", "version"],
    example: "snapshot(every = 100)",
};

#[derive(Default)]
struct Keys {
    factum: Once<Path>,
    category: Once<LitStr>,
    id: Once<Type>,
    event: Once<Type>,
    snapshot: Once<Snapshot>,
}

/// `snapshot(every = 100, version = 2)`
struct Snapshot {
    key: Ident,
    every: u64,
    version: u32,
}

struct Model<'a> {
    category: &'a LitStr,
    id: &'a Type,
    event: &'a Type,
    snapshot: Option<&'a Snapshot>,
}

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    if let Some(rejection) = refuse_union(&input.data, "derive `Aggregate` on a struct or an enum")
    {
        return rejection;
    }
    let keys = Keys::read(&input.attrs, &mut errors);
    let item = Item::new(input, &keys.factum);
    let reason = "an aggregate has no parameters: a category stands for the streams of one type";
    refuse_generics(input, reason, &mut errors);
    refuse_misplaced(&input.data, &mut errors);
    let model = keys.model(&mut errors, input);
    match errors.finish(model) {
        Ok(model) => expand(&item, &model),
        Err(rejection) => stub(&item, rejection),
    }
}

impl Keys {
    fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        PLACE.read(attrs, errors, |key, input| {
            if key == "crate" {
                keys.factum.equals(key, input, value::module)
            } else if key == "category" {
                keys.category
                    .equals(key, input, value::text("a category", category_fault))
            } else if key == "id" {
                keys.id.equals(key, input, value::ty)
            } else if key == "event" {
                keys.event.equals(key, input, value::ty)
            } else {
                keys.snapshot.form(key, input, |input| snapshot(key, input))
            }
        });
        keys
    }

    fn model(&self, errors: &mut Errors, input: &DeriveInput) -> Option<Model<'_>> {
        let missing = [
            (self.category.get().is_none(), "`category = \"…\"`"),
            (self.id.get().is_none(), "`id = …`"),
            (self.event.get().is_none(), "`event = …`"),
        ];
        let missing = missing.into_iter().filter(|(missing, _)| *missing);
        let missing: Vec<_> = missing.map(|(_, key)| key.to_owned()).collect();
        if !missing.is_empty() && errors.is_empty() {
            let keys = listed(&missing);
            errors.at(
                &input.ident,
                format!("an aggregate needs {keys} in `#[aggregate(…)]`"),
            );
        }
        Some(Model {
            category: self.category.get()?,
            id: self.id.get()?,
            event: self.event.get()?,
            snapshot: self.snapshot.get(),
        })
    }
}

fn snapshot(key: &Ident, input: ParseStream<'_>) -> Result<Snapshot> {
    let (mut every, mut version) = (
        Once::<Counted<u64>>::default(),
        Once::<Counted<u32>>::default(),
    );
    SNAPSHOT.nested(input, |key, input| {
        if key == "every" {
            every.equals(key, input, value::count)
        } else {
            version.equals(key, input, value::version)
        }
    })?;
    let Some(every) = every.get() else {
        let message = "after how many events? Write `snapshot(every = 100)`";
        return Err(Error::new_spanned(key, message));
    };
    let version = version.get().map_or(1, |version| version.number);
    Ok(Snapshot {
        key: key.clone(),
        every: every.number,
        version,
    })
}

fn refuse_misplaced(data: &Data, errors: &mut Errors) {
    let belongs = "`#[aggregate(…)]` belongs on the type";
    if let Data::Enum(data) = data {
        for variant in &data.variants {
            refuse_attributes(&variant.attrs, &["aggregate"], belongs, errors);
        }
    }
    for field in fields(data) {
        refuse_attributes(&field.attrs, &["aggregate"], belongs, errors);
    }
}

fn expand(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    let factum = &item.factum;
    let head = item.head(&quote!(#factum::Aggregate));
    let doc = &item.doc;
    let Model {
        category,
        id,
        event,
        snapshot,
    } = model;
    let snapshot = snapshot.map(
        |Snapshot {
             key,
             every,
             version,
         }| {
            let (span, factum_there) = (key.span(), item.factum_at(key.span()));
            let json = quote_spanned!(span=> #factum_there::SnapshotPolicy::<Self>::json);
            quote! {
                const SNAPSHOT: ::core::option::Option<#factum::SnapshotPolicy<Self>> =
                    ::core::option::Option::Some(#json(#every, #version));
            }
        },
    );
    quote! {
        #head {
            type Id = #id;
            type Event = #event;
            const CATEGORY: &'static str = #category;
            #doc
            #snapshot
        }
    }
}

/// On bad input: the same impl, with types that the compiler knows to be broken.
fn stub(item: &Item<'_>, rejection: Rejection) -> TokenStream {
    let factum = &item.factum;
    let bounds = quote! {
        ::core::default::Default + ::core::clone::Clone
            + ::core::marker::Send + ::core::marker::Sync + 'static
    };
    let head = item.stub_head(&quote!(#factum::Aggregate), &bounds);
    let (broken, others) = rejection.into_type();
    quote! {
        #others
        #head {
            type Id = #broken;
            type Event = <Self as #factum::Aggregate>::Id;
            const CATEGORY: &'static str = "";
        }
    }
}
