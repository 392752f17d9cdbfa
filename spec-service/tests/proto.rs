//! A check that the checked-in gRPC code matches the contract in `proto/`.
//!
//! After a change of the contract, run `UPDATE_PROTO=1 cargo test -p spec-service --test proto` to regenerate the
//! files. `protoc` is not needed.

use std::fs;
use std::path::Path;

use prost::Message;

/// The folder of the contract, with a file for each service.
const CONTRACT: &str = "spec/v1";
const CODE: &str = "src/grpc/generated.rs";
/// The contract in binary form, for server reflection.
const DESCRIPTORS: &str = "proto/spec.v1.bin";

#[test]
fn generated_code_matches_the_contract() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let contract = contract(package);
    let mut files = protox::compile(&contract, [package.join("proto")]).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .codec_path("crate::grpc::codec::ContractCodec")
        .out_dir(scratch.path())
        .emit_rerun_if_changed(false)
        .compile_fds(files.clone())
        .unwrap();
    let code = fs::read(scratch.path().join("spec.v1.rs")).unwrap();

    // Reflection returns the comments of the contract. The comments of its imports are removed.
    for file in &mut files.file {
        if !contract.iter().any(|name| name == file.name()) {
            file.source_code_info = None;
        }
    }
    check_or_update(&package.join(CODE), &code);
    check_or_update(&package.join(DESCRIPTORS), &files.encode_to_vec());
}

/// Returns the files of the contract, in the order of their names.
fn contract(package: &Path) -> Vec<String> {
    let files = fs::read_dir(package.join("proto").join(CONTRACT));
    let files = files.expect("the folder of the contract exists");
    let names = files.map(|file| {
        let name = file.expect("the folder can be read").file_name();
        name.into_string().expect("the name is UTF-8")
    });
    let mut names: Vec<String> = names.map(|name| format!("{CONTRACT}/{name}")).collect();
    names.sort();
    names
}

/// Compares the file at `path` with `expected`, or writes it if `UPDATE_PROTO` is set.
fn check_or_update(path: &Path, expected: &[u8]) {
    if std::env::var_os("UPDATE_PROTO").is_some() {
        fs::write(path, expected).expect("the file can be written");
    }
    let actual = fs::read(path).unwrap_or_default();
    assert!(
        actual == expected,
        "{} is out of date; run UPDATE_PROTO=1 cargo test -p spec-service --test proto",
        path.display(),
    );
}
