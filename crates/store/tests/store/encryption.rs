//! Encrypted connections to PostgreSQL. The server of these tests may have been built without encryption, so something in
//! front of it takes the encrypted side, with a certificate that is good for `localhost` and the test's authority alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::{Error, Settings, Store, record_channel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::place::{Place, record};
use crate::server::Server;

/// The first message of a client that wants encryption: its length and a code.
const ENCRYPT: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/certificates").join(name)
}

/// Listens, encrypts if `encrypts` says so, and passes everything on. Gives the port, and whether anything came in plain.
async fn front(encrypts: bool) -> (u16, Arc<AtomicBool>) {
    let chain = CertificateDer::pem_file_iter(certificate("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificate("server-key.pem")).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&plain);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, acceptor.clone(), encrypts, Arc::clone(&seen)));
        }
    });
    (port, plain)
}

/// One connection. That it ends early is what some tests are about.
async fn pass(mut client: TcpStream, acceptor: TlsAcceptor, encrypts: bool, plain: Arc<AtomicBool>) {
    let mut first = [0; 8];
    if client.read_exact(&mut first).await.is_err() {
        return;
    }
    let mut server = UnixStream::connect(Server::socket()).await.unwrap();
    if first == ENCRYPT && !encrypts {
        client.write_all(b"N").await.ok();
    } else if first == ENCRYPT {
        client.write_all(b"S").await.unwrap();
        if let Ok(mut client) = acceptor.accept(client).await {
            tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
        }
    } else {
        plain.store(true, Ordering::SeqCst);
        server.write_all(&first).await.unwrap();
        tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
    }
}

fn address(place: &Place, host: &str, port: u16, query: &str) -> String {
    let database = place.address().rsplit('/').next().unwrap();
    format!("postgres://glossa@{host}:{port}/{database}{query}")
}

fn required() -> String {
    format!("?sslmode=require&sslrootcert={}", certificate("authority.pem").display())
}

async fn opened(address: &str) -> Result<Store, Error> {
    Store::open(address, Settings::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn required_is_encrypted() {
    let place = Place::postgres();
    let (port, plain) = front(true).await;
    for query in [required(), required().replace("require", "verify-full")] {
        let store = opened(&address(&place, "localhost", port, &query)).await.unwrap();
        let mut watch = store.watch(&record_channel("k", "o", "a"));
        store.put(record("k", "o", "a", &"x".repeat(100_000))).await.unwrap();
        assert!(watch.changed(Duration::from_secs(100)).await);
        assert_eq!(store.get("k", "o", "a").await.unwrap().unwrap().body.len(), 100_000);
        store.delete("k", "o", "a").await.unwrap();
    }
    assert!(!plain.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_believed() {
    let place = Place::postgres();
    let (port, plain) = front(true).await;
    // Another name than the certificate's, and an authority that did not sign it.
    let other = format!("?sslmode=require&sslrootcert={}", certificate("server.pem").display());
    for address in [address(&place, "127.0.0.1", port, &required()), address(&place, "localhost", port, &other)] {
        let error = opened(&address).await.err().unwrap();
        assert!(matches!(error, Error::Open { .. }) && error.to_string().contains("certificate"), "{error}");
    }
    let (port, unencrypted) = front(false).await;
    let error = opened(&address(&place, "localhost", port, &required())).await.err().unwrap();
    assert!(matches!(error, Error::Open { .. }), "a server without encryption: {error}");
    assert!(!plain.load(Ordering::SeqCst) && !unencrypted.load(Ordering::SeqCst), "nothing was sent in plain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_unless_required() {
    let place = Place::postgres();
    let (port, plain) = front(true).await;
    opened(&address(&place, "localhost", port, "")).await.unwrap();
    assert!(plain.load(Ordering::SeqCst));
    for (query, word) in [
        ("?sslrootcert=/nowhere.pem".to_string(), "sslmode"),
        ("?sslmode=require&sslrootcert=/nowhere.pem".into(), "/nowhere.pem"),
        (format!("?sslmode=require&sslrootcert={}", certificate("server-key.pem").display()), "sslrootcert"),
    ] {
        let error = opened(&address(&place, "localhost", port, &query)).await.err().unwrap();
        assert!(matches!(error, Error::Address { .. }) && error.to_string().contains(word), "{query}: {error}");
    }
}
