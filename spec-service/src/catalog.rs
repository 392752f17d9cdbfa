//! The catalog of the events, commands and projections of the service.

use factum::schema::catalog::{Catalog, States};
use uuid::Uuid;

use crate::access::domain::{NamespaceId, TenantId};
use crate::content::{Content, DEFAULT_MAX_BYTES};
use crate::search::SearchTable;
use crate::specs::domain::{
    CreateSpec, DeleteSpec, DeprecateSpec, PublishSpec, QualifiedName, Spec, SpecId, SpecName,
    UpdateSpec,
};
use crate::specs::table::SpecTable;
use crate::webhooks::WebhookDirectory;
use crate::webhooks::domain::{
    ChangeWebhook, CreateWebhook, DeleteWebhook, DisableWebhook, EnableWebhook, ReplayDeliveries,
    RotateSecret, Webhook,
};

/// Returns the catalog of the domain, with the lifecycle of a specification.
pub fn catalog() -> Catalog {
    Catalog::new("The Spec Service")
        .about(
            "The events and commands of a specification, and the projections that consume the events. \
             Generated from the types of the service.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .aggregate::<Spec>()
        .command::<CreateSpec>()
        .command::<UpdateSpec>()
        .command::<PublishSpec>()
        .command::<DeprecateSpec>()
        .command::<DeleteSpec>()
        .projection::<SpecTable>()
        .aggregate::<Webhook>()
        .command::<CreateWebhook>()
        .command::<ChangeWebhook>()
        .command::<RotateSecret>()
        .command::<DisableWebhook>()
        .command::<EnableWebhook>()
        .command::<ReplayDeliveries>()
        .command::<DeleteWebhook>()
        .projection::<WebhookDirectory>()
        .projection::<SearchTable>()
        .states(lifecycle())
}

/// Returns the commands that the catalog tries in every state.
fn lifecycle() -> States<Spec> {
    let spec = SpecId(Uuid::nil());
    let content = sample_content();
    let author = "ada".to_owned();
    let create = CreateSpec {
        spec,
        path: QualifiedName {
            tenant: TenantId::default(),
            namespace: NamespaceId::default(),
            name: SpecName::parse("sample").expect("the sample name is valid"),
        },
        author: author.clone(),
        description: None,
        content: content.clone(),
        reason: None,
    };
    let update = UpdateSpec {
        spec,
        author,
        content,
        description: None,
        expected_version: None,
        reason: None,
    };
    let label = |spec: &Spec| {
        spec.life()
            .map_or("not created", |life| life.state.as_str())
    };
    States::of(label)
        .when(create)
        .when(update)
        .when(PublishSpec {
            spec,
            version: None,
            reason: None,
        })
        .when(DeprecateSpec {
            spec,
            reason: "replaced".to_owned(),
        })
        .when(DeleteSpec { spec, reason: None })
}

fn sample_content() -> Content {
    Content::parse(b"limit: 250\n", DEFAULT_MAX_BYTES).expect("the sample content is valid")
}
