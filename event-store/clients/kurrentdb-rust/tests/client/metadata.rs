//! The metadata of streams.

use std::time::Duration;

use kurrentdb::{
    Acl, Error, StreamAclBuilder, StreamMetadata, StreamMetadataBuilder, StreamMetadataResult,
};

use crate::support::{client, events, new_name, numbers};

async fn metadata(client: &kurrentdb::Client, stream: &str) -> StreamMetadataResult {
    client
        .get_stream_metadata(stream, &Default::default())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_return_as_they_were_set() {
    let (client, stream) = (client(), new_name("hive"));
    client
        .append_to_stream(stream.as_str(), &Default::default(), events(0..5))
        .await
        .unwrap();
    assert!(metadata(&client, &stream).await.is_not_found());
    let acl = StreamAclBuilder::new()
        .add_read_roles("admin")
        .add_write_roles("ada")
        .build();
    let all: Vec<StreamMetadata> = vec![
        StreamMetadataBuilder::new()
            .max_age(Duration::from_secs(3_600))
            .acl(Acl::Stream(acl))
            .build(),
        StreamMetadataBuilder::new()
            .acl(Acl::UserStream)
            .insert_custom_property("owner", "ada")
            .build(),
        StreamMetadataBuilder::new().max_count(2).build(),
    ];
    for (version, expected) in all.iter().enumerate() {
        client
            .set_stream_metadata(stream.as_str(), &Default::default(), expected)
            .await
            .unwrap();
        let StreamMetadataResult::Success(found) = metadata(&client, &stream).await else {
            panic!("expected metadata");
        };
        assert_eq!(found.metadata(), expected);
        assert_eq!(found.version(), version as u64);
    }
    let read = client
        .read_stream(stream.as_str(), &Default::default())
        .await;
    assert_eq!(numbers(read).await, [3, 4]);
    let truncated = StreamMetadataBuilder::new().truncate_before(4).build();
    client
        .set_stream_metadata(stream.as_str(), &Default::default(), &truncated)
        .await
        .unwrap();
    let read = client
        .read_stream(stream.as_str(), &Default::default())
        .await;
    assert_eq!(numbers(read).await, [4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_a_stream_with_a_tombstone_are_deleted() {
    let (client, stream) = (client(), new_name("hive"));
    client
        .append_to_stream(stream.as_str(), &Default::default(), events(0..1))
        .await
        .unwrap();
    client
        .tombstone_stream(stream.as_str(), &Default::default())
        .await
        .unwrap();
    let found = client
        .get_stream_metadata(stream.as_str(), &Default::default())
        .await;
    assert!(matches!(found, Err(Error::ResourceDeleted)), "{found:?}");
}
