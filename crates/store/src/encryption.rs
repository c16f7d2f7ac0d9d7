//! Encrypted connections to PostgreSQL: whether, and whom to believe.
//! It must not know what is sent.
//!
//! With `sslmode=require` (or `verify-full`, the same here) the server must show a certificate for its name that one of our
//! authorities signed: those of `sslrootcert=FILE`, or else the system's. Without it nothing is encrypted: encryption that
//! anybody on the way may take part in or strike out would only look like one.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Result, postgres_reason};

/// The parts of an address, and how to encrypt if it asks for it.
pub(crate) fn parse(address: &str) -> Result<(Config, Option<MakeRustlsConnect>)> {
    let (address, authorities) = without_authorities(address);
    let address = address.replace("sslmode=verify-full", "sslmode=require");
    let mut config: Config = address.parse().map_err(|error| Error::Address { reason: postgres_reason(&error) })?;
    if config.get_ssl_mode() == SslMode::Require {
        return Ok((config, Some(connector(authorities.as_deref())?)));
    }
    if authorities.is_some() {
        return Err(Error::Address { reason: "sslrootcert without sslmode=require".into() });
    }
    config.ssl_mode(SslMode::Disable);
    Ok((config, None))
}

/// Takes `sslrootcert=FILE` out of the address, since the library does not know it.
fn without_authorities(address: &str) -> (String, Option<String>) {
    let Some((before, query)) = address.split_once('?') else { return (address.to_string(), None) };
    let (ours, others): (Vec<&str>, Vec<&str>) = query.split('&').partition(|part| part.starts_with("sslrootcert="));
    let file = ours.last().and_then(|part| part.split_once('=')).map(|(_, file)| file.replace("%2F", "/"));
    (format!("{before}?{}", others.join("&")), file)
}

fn connector(authorities: Option<&str>) -> Result<MakeRustlsConnect> {
    let failed = |reason: String| Error::Address { reason };
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(file) => {
            let unreadable = |error: &dyn std::fmt::Display| failed(format!("sslrootcert={file}: {error}"));
            let certificates = CertificateDer::pem_file_iter(Path::new(file)).map_err(|error| unreadable(&error))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(failed(
            "sslmode=require, but there is no certificate of an authority: name one by sslrootcert=FILE".into(),
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| failed(error.to_string()))?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}
