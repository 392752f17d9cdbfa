//! The members of the cluster: one node, which is the leader, at the address that the client used.

use std::net::SocketAddr;

use factum::Timestamp;
use factum_compatible_protocols::kurrentdb::client::gossip::member_info::VNodeState;
use factum_compatible_protocols::kurrentdb::client::gossip::{ClusterInfo, EndPoint, MemberInfo};
use tonic::codegen::http::uri::Authority;
use uuid::Uuid;

use super::event::UuidNotation;

/// The number of seconds from 1 January 0001 to 1 January 1970.
const EPOCH_SECONDS: i64 = 62_135_596_800;

/// The number of units of 100 nanoseconds in a second.
const TICKS: i64 = 10_000_000;

/// Returns the cluster as a client sees it that has sent its request to `authority`.
///
/// `local` is the address of the server, for clients that send no authority.
#[must_use]
pub fn cluster(
    node: Uuid,
    authority: Option<&Authority>,
    local: Option<SocketAddr>,
) -> ClusterInfo {
    let end_point = match (authority, local) {
        (Some(authority), local) => EndPoint {
            // The brackets of an IPv6 address belong to the URI.
            address: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority
                .port_u16()
                .or(local.map(|local| local.port()))
                .unwrap_or(0)
                .into(),
        },
        (None, Some(local)) => EndPoint {
            address: local.ip().to_string(),
            port: local.port().into(),
        },
        (None, None) => EndPoint::default(),
    };
    let now = Timestamp::now().as_micros();
    let member = MemberInfo {
        instance_id: Some(UuidNotation::Text.message(node)),
        time_stamp: EPOCH_SECONDS * TICKS + now.saturating_mul(10),
        state: VNodeState::Leader.into(),
        is_alive: true,
        http_end_point: Some(end_point),
    };
    ClusterInfo {
        members: vec![member],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_has_the_address_that_the_client_used() {
        let end_point = |authority: Option<&'static str>| {
            let authority = authority.map(Authority::from_static);
            let local = Some(SocketAddr::from(([127, 0, 0, 1], 50_051)));
            let cluster = cluster(Uuid::nil(), authority.as_ref(), local);
            let member = cluster.members.into_iter().next().unwrap();
            assert_eq!(member.state(), VNodeState::Leader);
            let end_point = member.http_end_point.unwrap();
            (end_point.address, end_point.port)
        };
        assert_eq!(
            end_point(Some("store.example:2113")),
            ("store.example".to_owned(), 2113)
        );
        assert_eq!(end_point(Some("[::1]:2113")), ("::1".to_owned(), 2113));
        assert_eq!(
            end_point(Some("store.example")),
            ("store.example".to_owned(), 50_051)
        );
        assert_eq!(end_point(None), ("127.0.0.1".to_owned(), 50_051));
    }
}
