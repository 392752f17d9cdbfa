//! A check that the checked-in code matches the contract in `proto/`.
//!
//! After a change of the contract, run `UPDATE_PROTO=1 cargo test -p factum-store-protocol --test generated` to regenerate
//! the files. `protoc` is not needed. `sdks/generate` regenerates the messages of the SDKs.

use std::fs;
use std::path::Path;

use prost::Message as _;

const CONTRACT: [&str; 2] = [
    "factum/store/v1/groups.proto",
    "factum/store/v1/store.proto",
];

/// The messages that the server sends in encoded form.
const ENCODED: [&str; 3] = ["ReadStreamResponse", "ReadAllResponse", "SubscribeResponse"];

#[test]
fn generated_code_matches_the_contract() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = protox::compile(CONTRACT, [package.join("proto")]).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let generated = || {
        let builder = tonic_prost_build::configure();
        builder
            .bytes(".")
            .out_dir(scratch.path())
            .emit_rerun_if_changed(false)
    };
    let compile = |builder: tonic_prost_build::Builder| {
        builder.compile_fds(files.clone()).unwrap();
        fs::read(scratch.path().join("factum.store.v1.rs")).unwrap()
    };
    let client = compile(generated().build_server(false));
    let mut server = generated()
        .build_client(false)
        .codec_path("crate::codec::ServerCodec")
        .extern_path(".factum.store.v1", "crate::v1");
    for message in ENCODED {
        let encoded = format!("crate::encoded::{message}");
        server = server.extern_path(format!(".factum.store.v1.{message}"), encoded);
    }
    let server = compile(server);

    // Reflection returns the comments of the contract. The comments of its imports are removed.
    let imports = |file: &&mut prost_types::FileDescriptorProto| !CONTRACT.contains(&file.name());
    for file in files.file.iter_mut().filter(imports) {
        file.source_code_info = None;
    }
    check_or_update(&package.join("src/generated/client.generated.rs"), &client);
    check_or_update(&package.join("src/generated/server.generated.rs"), &server);
    let descriptors = package.join("proto/factum.store.v1.bin");
    check_or_update(&descriptors, &files.encode_to_vec());
}

/// Compares the file at `path` with `expected`, or writes it if `UPDATE_PROTO` is set.
fn check_or_update(path: &Path, expected: &[u8]) {
    if std::env::var_os("UPDATE_PROTO").is_some() {
        fs::write(path, expected).expect("the file can be written");
    }
    let actual = fs::read(path).unwrap_or_default();
    assert!(
        actual == expected,
        "{} is out of date; run UPDATE_PROTO=1 cargo test -p factum-store-protocol --test generated",
        path.display(),
    );
}
