//! What the server keeps: stored responses, conversations, background responses, compaction, the WebSocket; killed and restarted.

mod background;
mod compaction;
mod conversations;
mod killed;
mod responses;
mod support;
