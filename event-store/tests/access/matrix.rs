//! Each RPC, called as each role for an object of its own and for another one, with the outcome of the table of permissions.

use std::collections::BTreeSet;
use std::path::Path;

use event_store::access::{Need, RPCS};
use prost_reflect::MethodDescriptor;
use tonic::Code;

use crate::dynamic_client::{call, code, methods};
use crate::requests::requests;
use crate::server::{ADMIN, Authorization, Connection, Server, append, user};

/// The prefixes of a role that owns the objects `order-…`.
const OWN: &str = r#"["order-", "umadb-", "umadb/tracking/order-"]"#;

/// The categories of objects: that of the prefixes, and one that looks like it.
const OWN_CATEGORY: &str = "order";
const OTHER_CATEGORY: &str = "orders";

/// A user, and the permissions that it has for its own objects.
struct Caller {
    user: &'static str,
    permissions: &'static [&'static str],
}

const CALLERS: &[Caller] = &[
    Caller {
        user: "nobody",
        permissions: &[],
    },
    Caller {
        user: "reader",
        permissions: &["read"],
    },
    Caller {
        user: "writer",
        permissions: &["append"],
    },
    Caller {
        user: "editor",
        permissions: &["read", "append"],
    },
    Caller {
        user: "keeper",
        permissions: &["documents"],
    },
    Caller {
        user: "manager",
        permissions: &["groups"],
    },
    Caller {
        user: "consumer",
        permissions: &["groups", "read"],
    },
];

/// Returns whether the table allows a user an RPC for an object.
fn is_allowed(need: Need, path: &str, caller: &Caller, category: &str) -> bool {
    // These requests name no streams.
    let names_streams = !path.starts_with("/umadb.v1.") && !path.ends_with("/ListEventTypes");
    let is_own = category == OWN_CATEGORY || !names_streams && need != Need::Documents;
    let has = |permission: &str| caller.permissions.contains(&permission) && is_own;
    match need {
        // No request has the key of an append.
        Need::Nothing | Need::User | Need::GroupsVisible | Need::AppendResult => true,
        Need::ReadStream | Need::ReadVisible => has("read"),
        Need::Append => has("append"),
        Need::ReadAndAppend => has("read") && has("append"),
        Need::Documents => has("documents"),
        Need::Groups => has("groups"),
        Need::GroupEvents => has("groups") && has("read"),
        Need::Admin => false,
    }
}

fn server() -> Server {
    let mut users = ADMIN.clone();
    for caller in CALLERS {
        users.push_str(&format!("[roles.{}]\n", caller.user));
        for permission in caller.permissions {
            users.push_str(&format!("{permission} = {OWN}\n"));
        }
        users.push_str(&user(caller.user, &format!("{:?}", caller.user)));
    }
    Server::start(&users)
}

fn connection(server: &Server, authorization: Authorization) -> Connection {
    Connection::new(server.channel(), authorization)
}

/// Creates the group of a request, unless the request does.
async fn create_group(
    server: &Server,
    methods: &[(String, MethodDescriptor)],
    path: &str,
    name: &str,
) {
    let (service, _) = path.rsplit_once('/').unwrap();
    let creations = [
        format!("{service}/CreateGroup"),
        format!("{service}/Create"),
    ];
    let creation = methods.iter().find(|(known, _)| creations.contains(known));
    if let Some((known, method)) = creation.filter(|(known, _)| known != path) {
        let root = connection(server, Authorization::token_of("root"));
        let created = call(root, method, &requests(known, name).unwrap()).await;
        assert!(
            matches!(code(&created), Code::Ok | Code::Unimplemented),
            "{created:?}"
        );
    }
}

#[test]
fn table_has_every_rpc_once() {
    let described: BTreeSet<String> = methods().into_iter().map(|(path, _)| path).collect();
    let listed: BTreeSet<String> = RPCS.iter().map(|rpc| rpc.path.to_owned()).collect();
    assert_eq!(
        listed, described,
        "add new RPCs to the table RPCS of the server"
    );
    assert_eq!(listed.len(), RPCS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_needs_the_permission_of_the_table() {
    let server = server();
    let mut streams = server.events_of("root");
    let mut failures = Vec::new();
    let methods = methods();
    for (number, (path, method)) in methods.iter().enumerate() {
        let need = RPCS
            .iter()
            .find(|rpc| rpc.path == *path)
            .map(|rpc| rpc.need);
        let need = need.unwrap_or_else(|| panic!("no need for {path} in the table RPCS"));
        let requests_for = |name: &str| {
            requests(path, name).unwrap_or_else(|| panic!("no requests for {path} in requests.rs"))
        };
        for category in [OTHER_CATEGORY, OWN_CATEGORY] {
            // Another name for each call, because some streams are deleted.
            let name = |who: &str| format!("{category}-{who}-{number}");
            let mut check = |who: &str, actual: Code, expected: Option<Code>| {
                let is_refused = matches!(actual, Code::PermissionDenied | Code::Unauthenticated);
                let is_expected = match expected {
                    Some(expected) => actual == expected,
                    None => !is_refused && actual != Code::Unimplemented,
                };
                if !is_expected {
                    failures.push(format!("{path} as {who} for {category}: {actual:?}"));
                }
            };
            // The objects exist, so that only the permission decides.
            let callers = CALLERS.iter().map(|caller| caller.user);
            for who in callers.chain(["anybody", "root"]) {
                streams.append(append(&[&name(who)])).await.unwrap();
                create_group(&server, &methods, path, &name(who)).await;
            }
            let anonymous = connection(&server, Authorization::none());
            let answer = call(anonymous, method, &requests_for(&name("anybody"))).await;
            let expected = (need != Need::Nothing).then_some(Code::Unauthenticated);
            check("anybody", code(&answer), expected);
            for caller in CALLERS {
                let known = connection(&server, Authorization::token_of(caller.user));
                let answer = call(known, method, &requests_for(&name(caller.user))).await;
                let allowed = is_allowed(need, path, caller, category);
                let expected = (!allowed).then_some(Code::PermissionDenied);
                check(caller.user, code(&answer), expected);
            }
            let root = connection(&server, Authorization::token_of("root"));
            let answer = call(root, method, &requests_for(&name("root"))).await;
            check("root", code(&answer), None);
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Run it with `UPDATE_DOCS=1` to write the table into the page.
#[test]
fn page_has_the_table_of_permissions() {
    const BEGIN: &str = "| RPC | needs |\n|---|---|\n";
    let mut table = BEGIN.to_owned();
    let mut last = "";
    for rpc in RPCS {
        let (service, method) = rpc.path.trim_start_matches('/').split_once('/').unwrap();
        if service != last {
            table.push_str(&format!("| **`{service}`** | |\n"));
            last = service;
        }
        table.push_str(&format!("| `{method}` | {} |\n", rpc.need.describe()));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../docs/src/event-store/permissions.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, after) = page.split_once(BEGIN).unwrap();
    let rest = after.split_once("\n\n").map_or("", |(_, rest)| rest);
    let expected = match rest.is_empty() {
        true => format!("{before}{table}"),
        false => format!("{before}{table}\n{rest}"),
    };
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(
        page == expected,
        "the table is out of date; run the test with UPDATE_DOCS=1"
    );
}
