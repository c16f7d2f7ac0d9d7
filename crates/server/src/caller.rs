//! Who asks. It must not know how that was found out.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;

/// Whoever sent a request. Records, prefixes and limits belong to the owner; nobody sees another owner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The owner's name; several keys may share one.
    pub(crate) owner: String,
}

/// What a key lets its owner do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Use the model.
    User,
    /// And read metrics and everything about the server.
    Admin,
}

impl Caller {
    /// The caller of a server that asks for no keys.
    pub(crate) fn anyone() -> Self {
        Self { owner: "default".to_owned() }
    }

    /// Separates this owner's prefixes from others'.
    pub(crate) fn tenant(&self) -> Vec<u8> {
        self.owner.as_bytes().to_vec()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    /// What the layer that checks keys has left; without keys everybody is the same.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(Self::anyone))
    }
}
