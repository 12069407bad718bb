//! Tests of TLS.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::{failure, get};
use crate::egress::tests::hostile::{Hostile, ServerStep, resolving_to, response};
use crate::egress::{Egress, EgressError, LIMITS, NotSent, ProviderEgress};

/// A certificate authority and its server certificate for `provider.example`.
pub(super) struct Authority {
    directory: tempfile::TempDir,
    acceptor: TlsAcceptor,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(parameters, key);
        let server_key = rcgen::KeyPair::generate().unwrap();
        let server = rcgen::CertificateParams::new(vec!["provider.example".to_owned()]).unwrap();
        let server = server.signed_by(&server_key, &issuer).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![server.der().clone()], key)
            .unwrap();
        Self { directory, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub(super) async fn server(&self, at: &str) -> Hostile {
        let steps = vec![ServerStep::Say(response("200 OK", "text/plain", "hello").into_bytes())];
        Hostile::listening(at.parse().unwrap(), vec![steps], Some(self.acceptor.clone())).await
    }
}

pub(super) fn https(name: &str, port: u16) -> Url {
    Url::parse(&format!("https://{name}:{port}/")).unwrap()
}

// Requirement 12.
#[tokio::test]
async fn certificates_are_verified() {
    let authority = Authority::new();
    let server = authority.server("127.0.0.1:0").await;
    let port = server.address().port();
    let allow = ["127.0.0.0/8".parse().unwrap()];
    let lookup = resolving_to(&[Ipv4Addr::LOCALHOST.into()]);
    let trusting = Egress::assemble(&allow, &[authority.file()], LIMITS, lookup.clone(), None).unwrap();
    assert_eq!(trusting.send(get(https("provider.example", port))).await.unwrap().body, "hello");
    let untrusted = EgressError::NotSent(NotSent::Certificate);
    assert_eq!(failure(&trusting, https("other.example", port)).await, untrusted, "another name");
    assert_eq!(failure(&trusting, https("127.0.0.1", port)).await, untrusted, "an address");
    let strict = Egress::assemble(&allow, &[], LIMITS, lookup, None).unwrap();
    assert_eq!(failure(&strict, https("provider.example", port)).await, untrusted, "an unknown authority");
}

#[tokio::test]
async fn authorities_of_a_provider_are_trusted_for_it_alone() {
    let authority = Authority::new();
    let server = authority.server("127.0.0.1:0").await;
    let url = https("provider.example", server.address().port());
    let lookup = resolving_to(&[Ipv4Addr::LOCALHOST.into()]);
    let file = authority.file();
    let private = ["127.0.0.0/8".parse().unwrap()];
    let egress = Egress::assemble(&private, &[], LIMITS, lookup, None).unwrap();
    let egress = egress
        .with_providers([
            ProviderEgress { name: "own", allow_private: &private, ca: Some(&file) },
            ProviderEgress { name: "other", allow_private: &private, ca: None },
        ])
        .unwrap();
    let untrusted = EgressError::NotSent(NotSent::Certificate);
    let stream = async |name: &str, chosen| {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get(url.as_str()).body(body).unwrap();
        egress.of_provider(name).stream(request, chosen, "one pool").await.map(|response| response.status().as_u16())
    };
    for chosen in [false, true] {
        // First the one that has a connection and a TLS session then.
        let own = egress.of_provider("own").at_chosen_server(chosen);
        assert_eq!(own.send(get(url.clone())).await.unwrap().body, "hello");
        assert_eq!(stream("own", chosen).await, Ok(200));
        for name in ["other", "third"] {
            if name == "third" && chosen {
                continue;
            }
            let other = egress.of_provider(name).at_chosen_server(chosen);
            assert_eq!(failure(&other, url.clone()).await, untrusted, "{name}");
            assert_eq!(stream(name, chosen).await, Err(untrusted), "{name}");
        }
        assert_eq!(stream("own", chosen).await, Ok(200));
    }
    assert_eq!(failure(&egress, url).await, untrusted, "no provider");
}

#[test]
fn a_ca_file_without_certificates_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "nothing\n").unwrap();
    let error = Egress::new(&[], std::slice::from_ref(&empty), std::time::Duration::ZERO, None).err().unwrap();
    assert!(
        error.to_string().starts_with("egress.ca_certificates: ") && error.to_string().contains("empty.pem"),
        "{error}"
    );
    let absent = directory.path().join("absent.pem");
    let error = Egress::new(&[], std::slice::from_ref(&absent), std::time::Duration::ZERO, None).err().unwrap();
    assert!(error.to_string().contains("absent.pem"), "{error}");
}
