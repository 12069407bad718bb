//! A whole credential for the move to another vault: metadata, secret, and the client registration
//! if it has one.

use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::crypto::fields::fields;
#[cfg(any(test, fuzzing))]
use crate::vault::crypto::fields::{Value as _, encode};
use crate::vault::registrations::{ClientRegistration, RegisteredAt};
use crate::vault::secrets::credential_secret::CredentialSecret;

/// A whole credential. It has no `Debug`, because it contains the secret.
#[derive(Clone)]
pub struct TransferredCredential {
    /// The metadata.
    pub summary: CredentialMetadata,
    /// The secret.
    pub material: CredentialSecret,
    /// The client registration at its authorization server (RFC 7591): no other client can
    /// refresh its tokens.
    pub registration: Option<(RegisteredAt, ClientRegistration)>,
}

fields! {
    TransferredCredential {
        1 summary,
        2 material,
        3 registration,
    }
}

/// For property tests and fuzz targets: a decoded credential is the same after encoding and
/// decoding again.
#[cfg(any(test, fuzzing))]
pub(crate) fn reads_as_written(bytes: &[u8]) {
    let Some(read) = TransferredCredential::read(bytes) else { return };
    let written = encode(&read);
    let again = TransferredCredential::read(&written).expect("what was written can be read");
    assert!(*encode(&again) == *written);
}
