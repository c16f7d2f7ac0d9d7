//! What the server keeps: stored responses, conversations, background responses, compaction, the WebSocket; killed and restarted;
//! as several replicas.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod background;
mod compaction;
mod conversations;
mod killed;
mod limits;
#[expect(dead_code, reason = "the store's own tests need more of it")]
#[path = "../../../store/tests/store/server.rs"]
mod postgres;
#[path = "../../src/published_schema.rs"]
mod published_schema;
mod replicas;
mod responses;
mod sockets;
mod support;
