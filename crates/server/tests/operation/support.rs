//! A server over a scripted model, and requests to it. It must not know what is asked.

use agent::Agent;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::Value;
use server::{App, Parts, Settings, Workers, router};
use store::Store;

/// A server.
pub(crate) struct Api {
    pub(crate) router: Router,
    pub(crate) workers: Workers,
    pub(crate) store: Store,
}

impl Api {
    pub(crate) async fn new(agent: Agent, settings: Settings) -> Self {
        let store = Store::open("sqlite::memory:", store::Settings::default()).await.unwrap();
        Self::over(agent, settings, store).await
    }

    pub(crate) async fn over(agent: Agent, settings: Settings, store: Store) -> Self {
        let app = App::new(Parts { agent, store: store.clone(), models: vec!["tiny".into()], settings, keys: None });
        let workers = app.start().await.unwrap();
        Self { router: router(app), workers, store }
    }

    pub(crate) async fn bytes(&self, request: Request<Body>) -> (StatusCode, Bytes) {
        let response = tower::ServiceExt::oneshot(self.router.clone(), request).await.unwrap();
        let status = response.status();
        (status, to_bytes(response.into_body(), usize::MAX).await.unwrap())
    }

    pub(crate) async fn json(&self, method: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let (status, bytes) = self.bytes(Request::builder().method(method).uri(path).body(body).unwrap()).await;
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{path}: {error}: {bytes:?}")))
    }

    /// Uploads a file; fields stand before it.
    pub(crate) async fn upload(&self, fields: &[(&str, &str)], content: &[u8]) -> (StatusCode, Value) {
        let mut form = Vec::new();
        for (name, value) in fields {
            form.extend(
                format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
            );
        }
        form.extend(b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n");
        form.extend(content);
        form.extend(b"\r\n--edge--\r\n");
        let request = Request::post("/v1/files").header("content-type", "multipart/form-data; boundary=edge");
        let (status, bytes) = self.bytes(request.body(Body::from(form)).unwrap()).await;
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    pub(crate) async fn content(&self, id: &str) -> Bytes {
        let request = Request::get(format!("/v1/files/{id}/content")).body(Body::empty()).unwrap();
        let (status, bytes) = self.bytes(request).await;
        assert_eq!(status, StatusCode::OK);
        bytes
    }
}
