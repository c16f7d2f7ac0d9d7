//! Files: kept byte for byte, listed, deleted, bounded. It must not know batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agent::Agent;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use serde_json::json;
use server::Settings;

use crate::support::Api;

async fn api(settings: Settings) -> Api {
    Api::new(Agent::scripted(""), settings).await
}

#[tokio::test]
async fn a_file_comes_back_as_it_was() {
    let api = api(Settings::default()).await;
    let content: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    let (status, file) = api.upload(&[("purpose", "user_data")], &content).await;
    assert_eq!(status, StatusCode::OK, "{file}");
    let id = file["id"].as_str().unwrap();
    assert!(id.starts_with("file-"));
    assert_eq!(
        (&file["bytes"], &file["filename"], &file["object"]),
        (&json!(3_000_000), &json!("a.jsonl"), &json!("file"))
    );
    assert_eq!(api.content(id).await, content);
    assert_eq!(api.json("GET", &format!("/v1/files/{id}"), None).await, (StatusCode::OK, file.clone()));
    let (_, deleted) = api.json("DELETE", &format!("/v1/files/{id}"), None).await;
    assert_eq!(deleted, json!({ "id": id, "object": "file", "deleted": true }));
    for (method, path) in [("GET", ""), ("DELETE", ""), ("GET", "/content")] {
        let (status, body) = api.json(method, &format!("/v1/files/{id}{path}"), None).await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    }
}

#[tokio::test]
async fn files_are_listed_by_page_and_purpose() {
    let api = api(Settings::default()).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let purpose = if number % 2 == 0 { "batch" } else { "user_data" };
        let (_, file) = api.upload(&[("purpose", purpose)], b"x").await;
        ids.push(file["id"].as_str().unwrap().to_owned());
    }
    let listed = async |query: &str| {
        let (status, list) = api.json("GET", &format!("/v1/files{query}"), None).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        let ids: Vec<String> =
            list["data"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect();
        (ids, list["has_more"].as_bool().unwrap())
    };
    let pick = |indices: &[usize]| indices.iter().map(|&index| ids[index].clone()).collect::<Vec<_>>();
    assert_eq!(listed("").await, (pick(&[4, 3, 2, 1, 0]), false));
    assert_eq!(listed("?limit=2&order=asc").await, (pick(&[0, 1]), true));
    assert_eq!(listed(&format!("?limit=2&order=asc&after={}", ids[1])).await, (pick(&[2, 3]), true));
    assert_eq!(listed("?purpose=batch&limit=3").await, (pick(&[4, 2, 0]), false));
    assert_eq!(listed("?purpose=batch&limit=2").await, (pick(&[4, 2]), true));
    let (status, refused) = api.json("GET", "/v1/files?order=up", None).await;
    assert_eq!((status, &refused["error"]["param"]), (StatusCode::BAD_REQUEST, &json!("order")));
    let (status, empty) = api.upload(&[("purpose", "user_data")], b"").await;
    assert_eq!((status, &empty["bytes"]), (StatusCode::OK, &json!(0)), "{empty}");
    assert!(api.content(empty["id"].as_str().unwrap()).await.is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name() {
    let api = api(Settings { file_bytes_max: 1000, ..Settings::default() }).await;
    for (fields, param) in [
        (vec![], "purpose"),
        (vec![("purpose", "party")], "purpose"),
        (vec![("purpose", "batch"), ("colour", "red")], "colour"),
        (vec![("purpose", "batch"), ("expires_after[anchor]", "now")], "expires_after.anchor"),
        (
            vec![("purpose", "batch"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "1")],
            "expires_after.seconds",
        ),
    ] {
        let (status, body) = api.upload(&fields, b"x").await;
        assert_eq!((status, &body["error"]["param"]), (StatusCode::BAD_REQUEST, &json!(param)), "{body}");
    }
    let (status, body) = api.upload(&[("purpose", "batch")], &[b'x'; 1001]).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("file_too_large")));
    let (status, body) = api.json("POST", "/v1/files", Some(&json!({}))).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_multipart")));
    let (status, file) = api
        .upload(
            &[("purpose", "batch"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")],
            b"x",
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(file["expires_at"].as_i64().unwrap() - file["created_at"].as_i64().unwrap(), 3600);
}

#[tokio::test]
async fn a_form_that_never_says_anything_or_breaks_off_is_refused_and_leaves_nothing() {
    let api = api(Settings { body_bytes_max: 100_000, ..Settings::default() }).await;
    let head = "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n";
    let endless_head = format!("{head}x: {}", "a".repeat(1 << 20));
    let broken_off = format!("{head}\r\n{}", "a".repeat(3 << 20));
    for (form, whole) in [(endless_head, true), (broken_off.clone(), true), (broken_off, false)] {
        let pieces: Vec<Bytes> = form.as_bytes().chunks(10_000).map(Bytes::copy_from_slice).collect();
        let count = pieces.len();
        let read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let pieces = pieces.into_iter().map(Ok).chain((!whole).then(|| Err(std::io::Error::other("gone"))));
        // Pieces come one by one, as from a network.
        let stream = futures_util::stream::unfold(pieces, move |mut pieces| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                pieces.next().map(|piece| (piece, pieces))
            }
        });
        let request = Request::post("/v1/files").header("content-type", "multipart/form-data; boundary=edge");
        let (status, body) = api.bytes(request.body(Body::from_stream(stream)).unwrap()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body:?}");
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("invalid_multipart"), "{text}");
        if form.contains("x: ") {
            assert!(read.load(Ordering::Relaxed) < count / 5, "read on to the end");
        }
    }
    let emptied = async {
        while api.store.stats().await.unwrap().bytes > 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), emptied).await.expect("what was uploaded is gone");
}
