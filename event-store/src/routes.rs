//! [`routes`]: the services of all protocols.

use anyhow::Result;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::persistent_subscriptions_server::PersistentSubscriptionsServer;
use factum_compatible_protocols::umadb::dcb_server::DcbServer;
use factum_compatible_protocols::{kurrentdb, umadb};
use factum_store_protocol::v1::consumer_group_service_server::ConsumerGroupServiceServer;
use factum_store_protocol::v1::event_store_service_server::EventStoreServiceServer;
use factum_store_protocol::v1::state_service_server::StateServiceServer;
use factum_store_protocol::{DESCRIPTOR, MAX_MESSAGE_BYTES};
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

use crate::health::HealthChecks;
use crate::kurrentdb::{PersistentServices, StreamServices};
use crate::native::{Native, NativeGroups};
use crate::serving::Serving;
use crate::umadb::UmaDb;

/// The encoded `FileDescriptorSet`s of all services.
pub const DESCRIPTORS: &[&[u8]] = &[
    DESCRIPTOR,
    kurrentdb::DESCRIPTOR,
    umadb::DESCRIPTOR,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Creates the services of all protocols, with health and reflection.
///
/// # Errors
/// Returns an error if a descriptor is not valid.
pub fn routes(serving: &Serving) -> Result<Routes> {
    let reflection = || {
        let reflection = tonic_reflection::server::Builder::configure();
        let all = DESCRIPTORS.iter();
        all.fold(reflection, |reflection, descriptor| {
            reflection.register_encoded_file_descriptor_set(descriptor)
        })
    };
    let native = Native::new(
        serving.stores.clone(),
        serving.backend,
        serving.stop.clone(),
    );
    let kurrentdb = StreamServices::new(serving.stores.clone(), serving.stop.clone());
    let persistent = PersistentServices::new(
        serving.stores.clone(),
        serving.groups.clone(),
        serving.stop.clone(),
    );
    let groups = NativeGroups::new(
        serving.stores.clone(),
        serving.groups.clone(),
        serving.stop.clone(),
    );
    let umadb = UmaDb::new(serving.stores.clone(), serving.stop.clone());
    let health = HealthChecks::new(serving.readiness.clone(), serving.stop.clone(), DESCRIPTORS)?;
    let mut routes = Routes::builder();
    kurrentdb.add_to(&mut routes);
    routes
        .add_service(
            EventStoreServiceServer::new(native.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            StateServiceServer::new(native)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            ConsumerGroupServiceServer::new(groups)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            PersistentSubscriptionsServer::new(persistent)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            DcbServer::new(umadb)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(HealthServer::new(health))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(routes.routes())
}
