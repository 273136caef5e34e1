//! Builds the one HTTP client: time-outs, connection pool, trusted certificates, proxy.
//!
//! HTTP/1.1 only. Only the settings decide: proxies of the environment (`HTTPS_PROXY` and its kin) are not used, so
//! that a variable meant for a shell cannot redirect tokens.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Proxy, Url, redirect, retry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;

use crate::config::Douyin;

/// Unused connections are closed after this time, before the peer's own limit (commonly 60 s) cuts one in use.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The client cannot be built from the settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A base URL is none; its value is not repeated, as it may hold a password.
    #[error("{key} is not an http:// or https:// URL")]
    Url {
        /// The setting.
        key: &'static str,
    },
    /// A base URL holds a user name or password: they would be sent as a header of ours, and stand in traces.
    #[error("{key} holds a user name or a password; the platform takes neither, leave them out")]
    Credentials {
        /// The setting.
        key: &'static str,
    },
    /// `douyin.proxy` is no URL of a known kind; its value is not repeated, as it may hold a password.
    #[error("douyin.proxy is not a URL of the form http://, https:// or socks5://[user:password@]host:port")]
    Proxy,
    /// `douyin.ca_file` cannot be read as PEM.
    #[error("cannot read certificates from douyin.ca_file {path}: {source}")]
    CaFile {
        /// The file.
        path: String,
        /// What went wrong.
        source: pem::Error,
    },
    /// `douyin.ca_file` has no usable certificate.
    #[error(
        "douyin.ca_file {path} holds no certificate that can be trusted; it should be PEM of certificate authorities"
    )]
    NoCertificate {
        /// The file.
        path: String,
    },
    /// Neither the machine nor the settings name a trusted authority.
    #[error("this machine has no trusted certificates: install its ca-certificates package, or set douyin.ca_file")]
    NoRoots,
    /// The TLS library refuses its own defaults.
    #[error("tls cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP library refuses the settings.
    #[error("the http client cannot be set up; check [douyin]")]
    Build,
}

/// A client for `urls` that keeps up to `max_in_flight` connections open per host.
pub(super) fn build(douyin: &Douyin, urls: &[&Url], max_in_flight: usize) -> Result<Client, ClientError> {
    let proxy = douyin.proxy.as_ref().map(|url| proxy(url.expose_secret())).transpose()?;
    let builder = Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(redirect::Policy::none())
        // The engine alone repeats an attempt; with no repeat to come, the client keeps no copy of the request either.
        .retry(retry::never().max_retries_per_request(0))
        .referer(false)
        .connect_timeout(douyin.connect_timeout)
        .timeout(douyin.request_timeout)
        .pool_max_idle_per_host(max_in_flight)
        .pool_idle_timeout(IDLE_MAX)
        .tcp_nodelay(true)
        .tls_backend_preconfigured(tls(douyin, needs_roots(douyin, urls))?);
    let builder = match proxy {
        Some(proxy) => builder.proxy(proxy),
        None => builder,
    };
    builder.build().map_err(|_| ClientError::Build)
}

/// Joins a base URL and the path of an endpoint; a path of the base stays.
pub(super) fn endpoint(key: &'static str, base: &str, path: &str) -> Result<Url, ClientError> {
    url(key, &format!("{}{path}", base.trim_end_matches('/')))
}

/// A URL that may be asked.
pub(super) fn url(key: &'static str, text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).map_err(|_| ClientError::Url { key })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ClientError::Url { key });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::Credentials { key });
    }
    Ok(url)
}

fn proxy(url: &str) -> Result<Proxy, ClientError> {
    let url = Url::parse(url).map_err(|_| ClientError::Proxy)?;
    // The HTTP library takes other kinds, too, and then does not use them.
    match (url.scheme(), url.has_host()) {
        ("http" | "https" | "socks5" | "socks5h", true) => Proxy::all(url).map_err(|_| ClientError::Proxy),
        _ => Err(ClientError::Proxy),
    }
}

/// The machine's certificates are read only where TLS is spoken: that costs some 10 ms, and a bare container has none.
fn needs_roots(douyin: &Douyin, urls: &[&Url]) -> bool {
    let proxy_tls = douyin.proxy.as_ref().is_some_and(|proxy| proxy.expose_secret().starts_with("https"));
    proxy_tls || urls.iter().any(|url| url.scheme() == "https")
}

fn tls(douyin: &Douyin, needs_roots: bool) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    if needs_roots {
        // A certificate of the machine that cannot be read is no reason to refuse the others.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Some(path) = &douyin.ca_file {
        add_file(&mut roots, path)?;
    }
    if needs_roots && roots.is_empty() {
        return Err(ClientError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), ClientError> {
    let path = file.display().to_string();
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates {
        Ok(certificates) => match roots.add_parsable_certificates(certificates) {
            (0, _) => Err(ClientError::NoCertificate { path }),
            _ => Ok(()),
        },
        Err(source) => Err(ClientError::CaFile { path, source }),
    }
}
