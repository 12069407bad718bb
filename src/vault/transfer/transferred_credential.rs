//! A whole credential for the move to another vault: metadata, secret, and the client registration
//! if it has one.

use zeroize::Zeroizing;

use crate::store::CredentialRow;
use crate::vault::credentials::credential_record::{read_summary, write_summary};
use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::registrations::{ClientRegistration, RegisteredAt};
use crate::vault::secrets::credential_secret::CredentialSecret;

/// Tags of the fields. A tag is never reused with another meaning.
mod tag {
    pub(super) const USER: u8 = 1;
    pub(super) const ID: u8 = 2;
    pub(super) const PROVIDER: u8 = 3;
    pub(super) const KIND: u8 = 4;
    pub(super) const STATUS: u8 = 5;
    pub(super) const IN_DOUBT: u8 = 6;
    pub(super) const CREATED_AT: u8 = 7;
    pub(super) const UPDATED_AT: u8 = 8;
    pub(super) const EXPIRES_AT: u8 = 9;
    pub(super) const LAST_USED_AT: u8 = 10;
    pub(super) const REFRESH_AT: u8 = 11;
    pub(super) const SUMMARY: u8 = 12;
    pub(super) const SECRET: u8 = 13;
    pub(super) const ISSUER: u8 = 14;
    pub(super) const REDIRECT_URI: u8 = 15;
    pub(super) const REGISTRATION: u8 = 16;
}

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

impl TransferredCredential {
    /// Encodes the fields to seal.
    pub(crate) fn write(&self) -> Zeroizing<Vec<u8>> {
        let summary = &self.summary;
        let fields = FieldWriter::new()
            .text(tag::USER, summary.user.as_str())
            .text(tag::ID, &summary.id.to_string())
            .text(tag::PROVIDER, summary.provider.as_str())
            .text(tag::KIND, summary.kind.name())
            .text(tag::STATUS, summary.status.name())
            .int(tag::IN_DOUBT, summary.refreshing.in_doubt_since.map(|at| at.0))
            .int(tag::CREATED_AT, Some(summary.created_at.0))
            .int(tag::UPDATED_AT, Some(summary.updated_at.0))
            .int(tag::EXPIRES_AT, summary.expires_at.map(|at| at.0))
            .int(tag::LAST_USED_AT, summary.last_used_at.map(|at| at.0))
            .int(tag::REFRESH_AT, summary.refreshing.refresh_at.map(|at| at.0))
            .bytes(tag::SUMMARY, &write_summary(summary))
            .bytes(tag::SECRET, &self.material.write());
        match &self.registration {
            None => fields,
            Some((at, client)) => fields
                .text(tag::ISSUER, &at.issuer)
                .text(tag::REDIRECT_URI, &at.redirect_uri)
                .bytes(tag::REGISTRATION, &client.write(at)),
        }
        .finish()
    }

    /// Reads the output of [`TransferredCredential::write`]; `None` if it is malformed.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::read(bytes)?;
        let row = CredentialRow {
            user: fields.owned(tag::USER)?,
            id: fields.owned(tag::ID)?,
            provider: fields.owned(tag::PROVIDER)?,
            kind: fields.owned(tag::KIND)?,
            status: fields.owned(tag::STATUS)?,
            in_doubt: fields.int(tag::IN_DOUBT),
            created_at: fields.int(tag::CREATED_AT)?,
            updated_at: fields.int(tag::UPDATED_AT)?,
            expires_at: fields.int(tag::EXPIRES_AT),
            last_used_at: fields.int(tag::LAST_USED_AT),
            refresh_at: fields.int(tag::REFRESH_AT),
            revision: 1,
            secret_revision: 1,
            data_key: 0,
            summary: Vec::new(),
        };
        let summary = read_summary(&row, fields.bytes(tag::SUMMARY)?)?;
        let material = CredentialSecret::read(summary.kind, summary.host.as_ref(), fields.bytes(tag::SECRET)?)?;
        let registration = match fields.bytes(tag::REGISTRATION) {
            None => None,
            Some(client) => {
                let at =
                    RegisteredAt { issuer: fields.owned(tag::ISSUER)?, redirect_uri: fields.owned(tag::REDIRECT_URI)? };
                Some((at, ClientRegistration::read(client)?))
            }
        };
        Some(Self { summary, material, registration })
    }
}

/// For property tests and fuzz targets: a decoded credential is the same after encoding and
/// decoding again.
#[cfg(any(test, fuzzing))]
pub(crate) fn reads_as_written(bytes: &[u8]) {
    let Some(read) = TransferredCredential::read(bytes) else { return };
    let written = read.write();
    let again = TransferredCredential::read(&written).expect("what was written can be read");
    assert!(*again.write() == *written);
}
