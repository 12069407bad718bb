//! A credential to import, and its comparison with another one.

use crate::id::CredentialId;
use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::crypto::fields::encode;
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};

/// A credential to import.
#[derive(Clone)]
pub struct ImportCandidate {
    pub(super) summary: CredentialMetadata,
    pub(super) material: CredentialSecret,
    pub(super) keeps_times: bool,
}

impl ImportCandidate {
    /// The metadata of the candidate.
    pub fn summary(&self) -> &CredentialMetadata {
        &self.summary
    }

    /// Sets the credential with the first token of the same login, whose id may differ from the
    /// other vault.
    pub fn came_beside(&mut self, first: CredentialId) {
        if let Some(beside) = &mut self.summary.beside {
            beside.of = first;
        }
    }

    /// Returns true if the other has the same id or origin.
    pub(super) fn is_called_the_same(&self, other: &CredentialMetadata) -> bool {
        let same_user = self.summary.user == other.user;
        let same_origin = self.summary.origin.is_some() && self.summary.origin == other.origin;
        same_user && (self.summary.id == other.id || same_origin)
    }

    fn can_be_compared(&self, other: &CredentialMetadata) -> bool {
        let mine = &self.summary;
        (&mine.user, &mine.provider, mine.kind) == (&other.user, &other.provider, other.kind) && mine.host == other.host
    }

    /// Returns true if the other is the same: by name, by account, or by secret.
    pub(super) fn is_the_same(&self, other: &CredentialMetadata, material: &CredentialSecret) -> bool {
        if self.is_called_the_same(other) {
            return true;
        }
        if !self.can_be_compared(other) {
            return false;
        }
        match (&self.material, material) {
            (CredentialSecret::OAuth2(mine), CredentialSecret::OAuth2(theirs)) => {
                is_same_account(&self.summary, other) || share_a_token(mine, theirs)
            }
            (mine, theirs) => *encode(mine) == *encode(theirs),
        }
    }
}

/// Returns true if both belong to one known account, through what may be one client.
fn is_same_account(one: &CredentialMetadata, other: &CredentialMetadata) -> bool {
    let may_be_one_client = one.client_id.is_none() || other.client_id.is_none() || one.client_id == other.client_id;
    one.account.is_some() && one.account == other.account && may_be_one_client
}

fn share_a_token(one: &Tokens, other: &Tokens) -> bool {
    let same_refresh = match (&one.refresh_token, &other.refresh_token) {
        (Some(one), Some(other)) => one.equals(other.expose()),
        _ => false,
    };
    same_refresh || one.access_token.equals(other.access_token.expose())
}
