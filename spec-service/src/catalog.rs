//! The catalog of the service: what its types say of the domain.

use factum::schema::catalog::{Catalog, States};
use uuid::Uuid;

use crate::domain::{
    Content, CreateSpec, DEFAULT_MAX_BYTES, DeleteSpec, DeprecateSpec, PublishSpec, Spec, SpecId,
    SpecName, UpdateSpec,
};
use crate::wiring::SpecTable;

/// The domain of specifications, with the states that a specification goes through.
pub fn catalog() -> Catalog {
    Catalog::new("The Spec Service")
        .about(
            "What can happen to a specification, what can be asked of it, and who takes note. Made from the \
             types of the service.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .aggregate::<Spec>()
        .command::<CreateSpec>()
        .command::<UpdateSpec>()
        .command::<PublishSpec>()
        .command::<DeprecateSpec>()
        .command::<DeleteSpec>()
        .projection::<SpecTable>()
        .states(life())
}

/// Every command, to be tried in every state.
fn life() -> States<Spec> {
    let spec = SpecId(Uuid::nil());
    let content = sample_content();
    let create = CreateSpec {
        spec,
        name: SpecName::parse("sample").expect("the name is a sound one"),
        description: None,
        content: content.clone(),
    };
    let update = UpdateSpec {
        spec,
        content,
        description: None,
        expected_version: None,
    };
    let label = |spec: &Spec| spec.life().map_or("not there", |life| life.state.as_str());
    States::of(label)
        .when(create)
        .when(update)
        .when(PublishSpec {
            spec,
            version: None,
        })
        .when(DeprecateSpec {
            spec,
            reason: "There is a better one.".to_owned(),
        })
        .when(DeleteSpec { spec, reason: None })
}

fn sample_content() -> Content {
    Content::parse(b"limit: 250\n", DEFAULT_MAX_BYTES).expect("the content is a sound one")
}
