//! TLS by rustls, from files in PEM. It must not know HTTP.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::ServeError;

/// What makes connections encrypted.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, ServeError> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |error: &dyn std::fmt::Display| ServeError::Tls { path, what: error.to_string() }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(certificate)(&error))?;
    if chain.is_empty() {
        return Err(unusable(certificate)(&"no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key)(&error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(certificate)(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| unusable(key)(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
