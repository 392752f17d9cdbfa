//! Batches of appends end at a number of bytes.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    unused_macros,
    reason = "a test fails by panicking and uses a part of the support"
)]

#[path = "support/lines.rs"]
mod lines;
#[path = "support/people.rs"]
mod people;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;

use factum::store::{
    Append, ContentType, EventStore as _, ExpectedVersion, Metadata, NewEvent, new_event_id,
};
use factum_testkit::Backend;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use people::{File, Schema};

const APPENDS: usize = 16;

fn append(number: usize) -> Append {
    let event = NewEvent {
        id: new_event_id(),
        name: "file.uploaded".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: format!("\"{}\"", "x".repeat(6 * 1024 * 1024)).into(),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    let stream = format!("file-{number}").parse().unwrap();
    Append::stream(stream, ExpectedVersion::NoStream, vec![event])
}

/// Returns the number of events in each batch since the last call.
fn batches(recorder: &Snapshotter) -> Vec<f64> {
    let mut batches = Vec::new();
    for (key, _, _, value) in recorder.snapshot().into_vec() {
        if key.key().name() == "factum_batch_events"
            && let DebugValue::Histogram(sizes) = value
        {
            batches.extend(sizes.into_iter().map(|size| size.0));
        }
    }
    batches
}

async fn append_concurrently<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let appends: Vec<Append> = (0..APPENDS).map(append).collect();
    let appends = appends.into_iter().map(|append| {
        let store = store.clone();
        tokio::spawn(async move { store.append(append).await.map(drop) })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap().unwrap();
    }
}

// The only test of this binary: the recorder is global.
#[tokio::test(flavor = "multi_thread")]
async fn batch_ends_at_a_number_of_bytes() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    append_concurrently::<File>().await;
    let sqlite = batches(&snapshotter);
    let mut all = vec![sqlite];
    if Schema::available() {
        append_concurrently::<Schema>().await;
        all.push(batches(&snapshotter));
    }
    for batches in all {
        assert_eq!(batches.iter().sum::<f64>(), APPENDS as f64, "{batches:?}");
        // The third event of 6 MiB exceeds the 16 MiB at which a batch ends.
        assert!(batches.iter().all(|events| *events <= 3.0), "{batches:?}");
    }
}
