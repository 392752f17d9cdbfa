//! The checked-in gRPC code is what the contract in `proto/` generates.
//!
//! After a change of the contract, `UPDATE_PROTO=1 cargo test -p spec-service --test proto` writes
//! the files anew. No `protoc` is needed.

use std::fs;
use std::path::Path;

use prost::Message;

const CONTRACT: &str = "spec/v1/spec.proto";
const CODE: &str = "src/grpc/generated.rs";
/// The contract in binary form, for server reflection.
const DESCRIPTORS: &str = "proto/spec.v1.bin";

#[test]
fn the_checked_in_code_is_what_the_contract_generates() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = protox::compile([CONTRACT], [package.join("proto")]).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .out_dir(scratch.path())
        .emit_rerun_if_changed(false)
        .compile_fds(files.clone())
        .unwrap();
    let code = fs::read(scratch.path().join("spec.v1.rs")).unwrap();

    // Comments stay in our own file only: they are the documentation that reflection shows.
    for file in files.file.iter_mut().filter(|file| file.name() != CONTRACT) {
        file.source_code_info = None;
    }
    hold(&package.join(CODE), &code);
    hold(&package.join(DESCRIPTORS), &files.encode_to_vec());
}

/// Compares the file at `path` with `wanted`, or writes it if the environment says so.
fn hold(path: &Path, wanted: &[u8]) {
    if std::env::var_os("UPDATE_PROTO").is_some() {
        fs::write(path, wanted).expect("the file can be written");
    }
    let found = fs::read(path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is out of date; run UPDATE_PROTO=1 cargo test -p spec-service --test proto",
        path.display(),
    );
}
