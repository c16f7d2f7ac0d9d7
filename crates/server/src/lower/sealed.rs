//! What a sealed thought holds: its text, and its tokens as sampled, so that a client that keeps the conversation itself hands back
//! exactly what the model wrote. It must not know how it is sealed.

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::history::HistoryItem;
use crate::seal;

/// A thought with its tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Thought {
    /// What it says.
    pub(crate) text: String,
    /// Its tokens as sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<Vec<u32>>,
}

impl Thought {
    /// The bytes to be sealed.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a thought is made of strings and numbers")
    }

    /// What a client hands back; `None` if it was not sealed here, or for somebody else.
    pub(crate) fn open(app: &App, caller: &Caller, sealed: &str) -> Option<Self> {
        serde_json::from_slice(&seal::open(app, caller, sealed)?).ok()
    }
}

/// The `encrypted_content` of a reasoning item that was kept without.
pub(crate) fn reasoning(app: &App, caller: &Caller, item: &HistoryItem) -> String {
    let parts = item.value["content"].as_array().into_iter().flatten();
    let text = parts.filter_map(|part| part["text"].as_str()).collect();
    seal::seal(app, caller, &Thought { text, tokens: item.tokens.clone() }.to_bytes())
}
