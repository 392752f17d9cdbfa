//! A check that the checked-in code matches the contracts in `proto/`.
//!
//! After a change of a contract, run `UPDATE_PROTO=1 cargo test -p factum-compatible-protocols --test generated` to
//! regenerate the files. `protoc` is not needed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use prost::Message as _;

/// The contracts of KurrentDB's protocol.
const KURRENTDB: [&str; 8] = [
    "event_store/client/shared.proto",
    "event_store/client/streams.proto",
    "event_store/client/persistent_subscriptions.proto",
    "event_store/client/gossip.proto",
    "event_store/client/server_features.proto",
    "kurrent/rpc/errors.proto",
    "kurrentdb/protocol/v2/streams/streams.proto",
    "kurrentdb/protocol/v2/streams/errors.proto",
];
/// The contracts of UmaDB's protocol.
const UMADB: [&str; 1] = ["umadb/v1/umadb.proto"];

#[test]
fn generated_code_matches_the_contracts() {
    check("kurrentdb.bin", &KURRENTDB);
    check("umadb.bin", &UMADB);
}

/// Compares the code and the descriptor of `contracts` with the files in the repository.
fn check(descriptor: &str, contracts: &[&str]) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = protox::compile(contracts, [package.join("proto")]).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .bytes(".")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .out_dir(scratch.path())
        .emit_rerun_if_changed(false)
        .compile_fds(files.clone())
        .unwrap();
    for generated in fs::read_dir(scratch.path()).unwrap() {
        let generated = generated.unwrap().path();
        let name = generated.file_stem().unwrap().to_str().unwrap();
        let checked_in = package.join(format!("src/generated/{name}.generated.rs"));
        check_or_update(&checked_in, &fs::read(&generated).unwrap());
    }
    // Reflection returns the comments of the contracts. The comments of their imports are removed.
    for file in &mut files.file {
        if !contracts.contains(&file.name()) {
            file.source_code_info = None;
        }
    }
    check_or_update(
        &package.join("proto").join(descriptor),
        &files.encode_to_vec(),
    );
}

/// Compares the file at `path` with `expected`, or writes it if `UPDATE_PROTO` is set.
fn check_or_update(path: &Path, expected: &[u8]) {
    if std::env::var_os("UPDATE_PROTO").is_some() {
        fs::write(path, expected).expect("the file can be written");
    }
    let actual = fs::read(path).unwrap_or_default();
    assert!(
        actual == expected,
        "{} is out of date; run UPDATE_PROTO=1 cargo test -p factum-compatible-protocols --test generated",
        path.display(),
    );
}
