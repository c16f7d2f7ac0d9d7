//! Blobs: written in pieces, seen only when whole, read in any pieces.

use std::time::Duration;

use store::{Attached, BLOB_CALL_BYTES_MAX, Error, Upload};

use crate::place::{Place, record};

fn with(upload: &Upload) -> Attached {
    Attached { blob: Some(upload.clone()), ..Attached::default() }
}

pub(crate) async fn written_then_seen(place: Place) {
    let store = place.open().await;
    let upload = store.begin_upload("o").await.unwrap();
    assert_eq!(store.write_upload(&upload, b"hello ".to_vec()).await.unwrap(), 6);
    assert_eq!(store.write_upload(&upload, b"world".to_vec()).await.unwrap(), 11);
    store.put_with(record("k", "o", "a", ""), with(&upload)).await.unwrap();
    let read = async |offset, length| store.read_blob("k", "o", "a", offset, length).await.unwrap().unwrap();
    assert_eq!(read(0, 100).await, b"hello world");
    assert_eq!(read(4, 4).await, b"o wo");
    assert_eq!(read(6, 5).await, b"world");
    assert_eq!(read(11, 5).await, b"");
    assert_eq!(read(u64::MAX, 5).await, b"");
    assert_eq!(read(3, 0).await, b"");
    store.put(record("k", "o", "b", "")).await.unwrap();
    assert_eq!(store.read_blob("k", "o", "b", 0, 5).await.unwrap(), None);
    assert_eq!(store.read_blob("k", "o", "c", 0, 5).await.unwrap(), None);
}

/// Larger than a row, read across the rows' borders.
pub(crate) async fn pieces_meet(place: Place) {
    let store = place.open().await;
    let byte = |place: usize| u8::try_from(place * 31 % 251).unwrap();
    let all: Vec<u8> = (0..3_000_000).map(byte).collect();
    let upload = store.begin_upload("o").await.unwrap();
    for piece in [&all[..1], &all[1..2_500_000], &all[2_500_000..2_500_010], &all[2_500_010..]] {
        store.write_upload(&upload, piece.to_vec()).await.unwrap();
    }
    store.put_with(record("k", "o", "a", ""), with(&upload)).await.unwrap();
    for (offset, length) in [(0, 3_000_000), (0, 1), (1, 1), (1_048_576, 1), (1_048_570, 2_000_000), (2_499_999, 12)] {
        let read = store.read_blob("k", "o", "a", offset as u64, length).await.unwrap().unwrap();
        assert!(read == all[offset..(offset + length).min(all.len())], "{length} bytes from {offset}");
    }
    assert!(store.read_blob("k", "o", "a", 0, BLOB_CALL_BYTES_MAX + 1).await.is_err());
    assert!(store.write_upload(&upload, vec![0; BLOB_CALL_BYTES_MAX + 1]).await.is_err());
}

pub(crate) async fn dropped_and_swept(place: Place) {
    let store = place.open().await;
    let [dropped, idle, busy] = [0; 3].map(|_| store.begin_upload("o"));
    let (dropped, idle, busy) = (dropped.await.unwrap(), idle.await.unwrap(), busy.await.unwrap());
    for upload in [&dropped, &idle, &busy] {
        store.write_upload(upload, vec![1; 100]).await.unwrap();
    }
    assert!(store.drop_upload(&dropped).await.unwrap());
    assert!(!store.drop_upload(&dropped).await.unwrap());
    place.pass(place.settings().upload_idle - Duration::from_secs(1));
    store.write_upload(&busy, vec![1; 100]).await.unwrap();
    place.pass(Duration::from_secs(1));
    let swept = store.sweep().await.unwrap();
    assert_eq!((swept.uploads, swept.bytes), (1, 100));
    for gone in [dropped, idle] {
        let number = gone.number;
        assert_eq!(store.write_upload(&gone, vec![1]).await.unwrap_err(), Error::UploadGone { number });
        assert!(store.put_with(record("k", "o", "a", ""), with(&gone)).await.is_err());
    }
    assert_eq!(store.get("k", "o", "a").await.unwrap(), None, "the record comes with its blob or not at all");
    store.put_with(record("k", "o", "a", ""), with(&busy)).await.unwrap();
    assert_eq!(store.read_blob("k", "o", "a", 0, 300).await.unwrap().unwrap().len(), 200);
}

pub(crate) async fn only_whole(place: Place) {
    let store = place.open().await;
    let upload = store.begin_upload("o").await.unwrap();
    store.write_upload(&upload, vec![1; 10]).await.unwrap();
    store.put_with(record("k", "o", "a", ""), with(&upload)).await.unwrap();
    assert!(store.write_upload(&upload, vec![2]).await.is_err(), "a blob that is seen does not change");
    assert!(store.put_with(record("k", "o", "b", ""), with(&upload)).await.is_err(), "nor has it two records");
    assert!(!store.drop_upload(&upload).await.unwrap());
    assert_eq!(store.read_blob("k", "o", "a", 0, 99).await.unwrap().unwrap(), [1; 10]);
}
