//! Sealed texts that clients keep for us: only this server, and only for the same owner, can open them. It must not know what is in
//! them.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use store::Record;

use crate::app::App;
use crate::caller::Caller;
use crate::random;
use crate::stored::unix_seconds;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// The form of what is sealed: this byte, a nonce, the ciphertext with its tag.
const FORM: u8 = 1;
/// Where a key that nobody gave is kept.
const RECORD: [&str; 3] = ["secret", "server", "sealing"];

/// The key; found or made before the first request is served.
#[derive(Default)]
pub(crate) struct Sealing(OnceLock<LessSafeKey>);

/// Finds the key: the operator's, or the one that the store keeps, which is made where there is none.
///
/// # Errors
/// Where the store fails.
pub(crate) async fn prepare(app: &App) -> Result<(), store::Error> {
    let key = match app.settings().seal_key {
        Some(key) => key,
        None => kept_key(app).await?,
    };
    app.sealing().0.get_or_init(|| cipher(&key));
    Ok(())
}

/// These bytes, sealed for this owner, as base64.
pub(crate) fn seal(app: &App, caller: &Caller, bytes: &[u8]) -> String {
    let nonce: [u8; NONCE_LEN] = random::bytes();
    let mut sealed = vec![FORM];
    sealed.extend_from_slice(&nonce);
    let mut content = bytes.to_vec();
    let owner = Aad::from(caller.owner.as_bytes());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let key = app.sealing().key();
    key.seal_in_place_append_tag(nonce, owner, &mut content).expect("a text is shorter than 256 GiB");
    sealed.append(&mut content);
    URL_SAFE_NO_PAD.encode(sealed)
}

/// What was sealed for this owner; `None` if it was not, or not here.
pub(crate) fn open(app: &App, caller: &Caller, sealed: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (&form, rest) = bytes.split_first()?;
    let (nonce, content) = rest.split_at_checked(NONCE_LEN).filter(|_| form == FORM)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut content = content.to_vec();
    let owner = Aad::from(caller.owner.as_bytes());
    let text = app.sealing().key().open_in_place(nonce, owner, &mut content).ok()?;
    Some(text.to_vec())
}

impl Sealing {
    /// A server that was not prepared has a key for as long as it runs.
    fn key(&self) -> &LessSafeKey {
        self.0.get_or_init(|| cipher(&random::bytes()))
    }
}

/// Several replicas over one store agree: whoever comes first makes it.
async fn kept_key(app: &App) -> Result<[u8; KEY_BYTES], store::Error> {
    let [kind, owner, id] = RECORD;
    let record = Record {
        kind: kind.to_owned(),
        owner: owner.to_owned(),
        id: id.to_owned(),
        body: STANDARD.encode(random::bytes::<KEY_BYTES>()),
        created: unix_seconds(),
        expires: None,
        version: 1,
    };
    loop {
        if let Some(kept) = app.store().get(kind, owner, id).await? {
            let key = STANDARD.decode(&kept.body).ok().and_then(|bytes| bytes.try_into().ok());
            let unreadable = || store::Error::Database {
                reason: format!("the kept sealing key is not {KEY_BYTES} bytes of base64; give one by server.seal_key"),
            };
            return key.ok_or_else(unreadable);
        }
        match app.store().put(record.clone()).await {
            Ok(()) | Err(store::Error::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

fn cipher(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the cipher's length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_same_owner_opens_a_seal_and_only_unchanged() {
        let app = App::idle().await;
        prepare(&app).await.unwrap();
        let [anna, ben] = ["anna", "ben"].map(|owner| Caller { owner: owner.to_owned() });
        let sealed = seal(&app, &anna, b"a thought");
        assert_eq!(open(&app, &anna, &sealed).as_deref(), Some(&b"a thought"[..]));
        assert_eq!(open(&app, &ben, &sealed), None);
        assert_ne!(seal(&app, &anna, b"a thought"), sealed, "equal texts cannot be told");
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert_eq!(open(&app, &anna, &URL_SAFE_NO_PAD.encode(&changed)), None, "byte {place}");
            assert_eq!(open(&app, &anna, &URL_SAFE_NO_PAD.encode(&bytes[..place])), None, "{place} bytes");
        }
    }

    #[tokio::test]
    async fn the_key_is_made_once_for_all() {
        let app = App::idle().await;
        let (first, second) = (kept_key(&app).await.unwrap(), kept_key(&app).await.unwrap());
        assert_eq!(first, second);
        let [kind, owner, id] = RECORD;
        app.store().replace(kind, owner, id, "not a key".to_owned(), None).await.unwrap();
        assert!(kept_key(&app).await.unwrap_err().to_string().contains("server.seal_key"));
    }
}
