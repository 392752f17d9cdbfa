//! Gossip, the features of the server, and services that it does not have.

use std::collections::BTreeSet;

use factum_compatible_protocols::kurrentdb::DESCRIPTOR;
use factum_compatible_protocols::kurrentdb::client::Empty;
use factum_compatible_protocols::kurrentdb::client::gossip::gossip_client::GossipClient;
use factum_compatible_protocols::kurrentdb::client::gossip::member_info::VNodeState;
use factum_compatible_protocols::kurrentdb::client::server_features::server_features_client::ServerFeaturesClient;
use prost::Message as _;

use crate::client::Connected;

#[tokio::test]
async fn gossip_lists_the_node_at_the_address_of_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let connected = Connected::start(dir.path()).await;
    let mut client = GossipClient::new(connected.channel.clone());
    let cluster = client.read(Empty {}).await.unwrap().into_inner();
    let [member] = &*cluster.members else {
        panic!("{cluster:?}");
    };
    assert_eq!(
        (member.state(), member.is_alive),
        (VNodeState::Leader, true)
    );
    let end_point = member.http_end_point.clone().unwrap();
    let address = connected.server.address();
    assert_eq!(end_point.address, address.ip().to_string());
    assert_eq!(end_point.port, u32::from(address.port()));
}

#[tokio::test]
async fn features_list_methods_of_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let connected = Connected::start(dir.path()).await;
    let mut client = ServerFeaturesClient::new(connected.channel.clone());
    let features = client.get_supported_methods(Empty {}).await.unwrap();
    let features = features.into_inner();
    let files = prost_types::FileDescriptorSet::decode(DESCRIPTOR).unwrap();
    let mut known = BTreeSet::new();
    for file in &files.file {
        for service in &file.service {
            let service_name = format!("{}.{}", file.package(), service.name());
            for method in &service.method {
                let path = format!("{service_name}/{}", method.name());
                known.insert(path.to_lowercase());
            }
        }
    }
    let listed = features.methods.iter().map(|method| {
        let path = format!("{}/{}", method.service_name, method.method_name);
        assert!(
            known.contains(&path),
            "{path} is not a method of the protocol"
        );
        path
    });
    let listed: BTreeSet<String> = listed.collect();
    for method in ["append", "batchappend", "delete", "read", "tombstone"] {
        let path = format!("event_store.client.streams.streams/{method}");
        assert!(listed.contains(&path), "{path} is missing");
    }
    assert!(features.event_store_server_version.starts_with("26."));
}
