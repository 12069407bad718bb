//! One row of the audit log, written in the transaction that it describes, in a chain of keyed
//! hashes.
//!
//! The columns are a closed list, and the type of each cannot hold a secret.

use super::audit_context::{AuditContext, DeniedRequest, ProxiedRequest};
use super::manifest::Manifest;
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, ApprovalId, CredentialId, ProviderName, UserId};
use crate::store::{AuditRow, Tx};
use crate::vault::crypto::encoding::{number, text};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys;
use crate::vault::error::VaultError;

macro_rules! actions {
    ($($action:ident $name:literal $outcome:literal,)+) => {
                /// An action.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Action {
            $($action,)+
        }

        impl Action {
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)+
                }
            }

            /// Returns `ok`, `failed` for an attempt, or `denied` if the caller was not allowed.
            fn outcome(self) -> &'static str {
                match self {
                    $(Self::$action => $outcome,)+
                }
            }
        }

        /// The name and the result of every action.
        const ACTIONS: &[(&str, &str)] = &[$(($name, $outcome)),+];
    };
}

actions! {
    VaultCreate "vault.create" "ok",
    VaultBackup "vault.backup" "ok",
    VaultRestore "vault.restore" "ok",
    VaultPromote "vault.promote" "ok",
    VaultRollback "vault.accept_rollback" "ok",
    VaultRepair "vault.repair" "ok",
    UserAdd "user.add" "ok",
    UserRemove "user.remove" "ok",
    KeyCreate "key.create" "ok",
    KeyUpdate "key.update" "ok",
    KeyRevoke "key.revoke" "ok",
    GrantAdd "grant.add" "ok",
    GrantRemove "grant.remove" "ok",
    ApprovalRequest "approval.request" "ok",
    ApprovalApprove "approval.approve" "ok",
    ApprovalDeny "approval.deny" "ok",
    ApprovalUse "approval.use" "ok",
    LoginBegin "login.begin" "ok",
    LoginTake "login.take" "ok",
    LoginFail "login.fail" "failed",
    CredentialCreate "credential.create" "ok",
    CredentialReplace "credential.replace" "ok",
    CredentialRetitle "credential.retitle" "ok",
    CredentialRead "credential.read" "ok",
    CredentialDelete "credential.delete" "ok",
    CredentialChange "credential.change" "ok",
    CredentialNoExport "credential.no_export" "ok",
    CredentialImport "credential.import" "ok",
    CredentialExport "credential.export" "ok",
    RefreshBegin "refresh.begin" "ok",
    RefreshFinish "refresh.finish" "ok",
    RefreshFail "refresh.fail" "failed",
    NeedsReauth "credential.needs_reauth" "failed",
    RevocationFinish "revocation.finish" "ok",
    RevocationGiveUp "revocation.give_up" "failed",
    ClientRegister "client.register" "ok",
    ClientForget "client.forget" "ok",
    SigningKeyCreate "signing_key.create" "ok",
    SlotAdd "slot.add" "ok",
    SlotRemove "slot.remove" "ok",
    RootRenew "root.renew" "ok",
    RotationBegin "rotation.begin" "ok",
    RotationEnd "rotation.end" "ok",
    AuditPrune "audit.prune" "ok",
    RequestRefuse "request.refuse" "denied",
    ProxyCaCreate "proxy_ca.create" "ok",
    ProxyRequest "proxy.request" "ok",
    ProxyRefuse "proxy.refuse" "denied",
}

/// Returns the names of all actions.
pub fn audit_actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(name, _)| *name)
}

/// The object of an action.
#[derive(Clone, Copy, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) user: Option<&'a UserId>,
    pub(crate) provider: Option<&'a ProviderName>,
    pub(crate) credential: Option<&'a CredentialId>,
    pub(crate) api_key: Option<&'a ApiKeyId>,
    /// The limits of a new API key, or the changes of one: fixed words, ids and names of providers.
    pub(crate) key_terms: Option<&'a str>,
    /// A request that needs approval, and the API key that sent it.
    pub(crate) approval: Option<(&'a ApprovalId, &'a ApiKeyId)>,
    /// The first and the last of some rows of the audit log.
    pub(crate) rows: Option<(u64, u64)>,
    pub(crate) refusal: Option<&'a DeniedRequest>,
    /// A request that is sent with the credential.
    pub(crate) request: Option<&'a ProxiedRequest>,
    /// The reason of a failed login, in one word.
    pub(crate) failure: Option<&'static str>,
    pub(crate) slot: Option<i64>,
    pub(crate) data_key: Option<u32>,
    /// Revisions of a credential's two records that were written with this; `WriteTxn` sets them.
    pub(crate) revisions: Option<(i64, Option<i64>)>,
}

impl Subject<'_> {
    /// The object that has no column of its own, after its kind.
    fn other(&self) -> Option<String> {
        let terms =
            self.key_terms.filter(|terms| !terms.is_empty()).map_or_else(String::new, |terms| format!(" {terms}"));
        let key = self.api_key.map(|id| format!("key:{id}{terms}"));
        let approval = self.approval.map(|(id, key)| approval_subject(id, key));
        let slot = self.slot.map(|id| format!("slot:{id}"));
        let data_key = self.data_key.map(|version| format!("data-key:{version}"));
        let revisions = self.revisions.map(|(summary, secret)| match secret {
            Some(secret) => format!("revision:{summary}.{secret}"),
            None => format!("revision:{summary}"),
        });
        let rows = self.rows.map(|(first, last)| format!("rows:{first}-{last}"));
        let refusal = self.refusal.map(ToString::to_string);
        let request = self.request.map(ToString::to_string);
        let failure = self.failure.map(|reason| format!("failed:{reason}"));
        key.or(approval).or(slot).or(data_key).or(revisions).or(rows).or(refusal).or(request).or(failure)
    }
}

/// Names an approval, and the API key that asked for it, in a row's subject.
pub(crate) fn approval_subject(id: &ApprovalId, key: &ApiKeyId) -> String {
    format!("approval:{id} key:{key}")
}

/// Reads the id of an API key from a row's subject.
pub(crate) fn api_key_in(subject: &str) -> Option<&str> {
    subject.strip_prefix("key:")?.split(' ').next()
}

/// Reads the revisions of a credential's metadata and secret from a row's subject.
pub(crate) fn revisions_in(subject: &str) -> Option<(i64, Option<i64>)> {
    let revisions = subject.strip_prefix("revision:")?;
    match revisions.split_once('.') {
        Some((summary, secret)) => Some((summary.parse().ok()?, Some(secret.parse().ok()?))),
        None => Some((revisions.parse().ok()?, None)),
    }
}

/// Appends a row, and advances the manifest's head to it.
pub(crate) fn append(
    tx: &Tx<'_>,
    keyring: &Keyring,
    manifest: &mut Manifest,
    at: UnixTime,
    action: Action,
    subject: Subject<'_>,
    who: &AuditContext,
) -> Result<(), VaultError> {
    let (key_version, key) = (keyring.audit.version, &keyring.audit.current().chain);
    manifest.audit_length += 1;
    let mut row = AuditRow {
        seq: i64::try_from(manifest.audit_length).expect("no log reaches 2^63 rows"),
        at: at.0,
        action: action.name().into(),
        result: action.outcome().into(),
        actor: who.actor.to_string(),
        user: subject.user.map(ToString::to_string),
        provider: subject.provider.map(ToString::to_string),
        credential: subject.credential.map(ToString::to_string),
        subject: subject.other(),
        address: who.address.map(|address| address.to_string()),
        request_id: who.request_id.map(|id| id.to_string()),
        key_version,
        mac: [0; 32],
    };
    row.mac = link(key, &keyring.vault_id, &manifest.audit_head, &row);
    manifest.audit_head = row.mac;
    tx.append_audit(&row)?;
    Ok(())
}

/// Computes the MAC over the row and the MAC of the row before it.
pub(crate) fn link(key: &keys::Key, vault_id: &[u8; 16], before: &[u8; 32], row: &AuditRow) -> [u8; 32] {
    let numbers = [Some(row.seq), Some(row.at), Some(i64::from(row.key_version))].map(number);
    let texts = [&row.user, &row.provider, &row.credential, &row.subject, &row.address, &row.request_id]
        .map(|t| text(t.as_deref()));
    let fixed: [&[u8]; 6] =
        [b"strongroom audit 1", vault_id, before, row.action.as_bytes(), row.result.as_bytes(), row.actor.as_bytes()];
    keys::mac(key, fixed.into_iter().chain(numbers.iter().chain(&texts).map(Vec::as_slice)))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn row() -> AuditRow {
        AuditRow {
            seq: 7,
            at: 8,
            action: "a".into(),
            result: "ok".into(),
            actor: "system".into(),
            user: None,
            provider: None,
            credential: None,
            subject: None,
            address: None,
            request_id: None,
            key_version: 1,
            mac: [0; 32],
        }
    }

    #[test]
    fn every_action_is_documented_with_its_result() {
        let documented: Vec<&str> = include_str!("../../../docs/audit-log.md")
            .lines()
            .filter(|line| {
                line.starts_with("| `")
                    && (line.contains(" | ok |") || line.contains(" | failed |") || line.contains(" | denied |"))
            })
            .collect();
        for (name, outcome) in ACTIONS {
            let row = format!("| `{name}` | {outcome} |");
            assert!(documented.iter().any(|line| line.starts_with(&row)), "docs/audit-log.md lacks {row}");
        }
        assert_eq!(
            documented.len(),
            ACTIONS.len(),
            "docs/audit-log.md has an action that does not exist, or one twice"
        );
    }

    #[test]
    fn chain_covers_every_column_and_the_row_before() {
        let (key, vault) = (Zeroizing::new([1; 32]), [2; 16]);
        let x = || Some("x".to_owned());
        let mut macs = vec![link(&key, &vault, &[0; 32], &row()), link(&key, &vault, &[1; 32], &row())];
        for changed in [
            AuditRow { seq: 9, ..row() },
            AuditRow { at: 9, ..row() },
            AuditRow { action: "b".into(), ..row() },
            AuditRow { result: "no".into(), ..row() },
            AuditRow { actor: "x".into(), ..row() },
            AuditRow { user: x(), ..row() },
            AuditRow { provider: x(), ..row() },
            AuditRow { credential: x(), ..row() },
            AuditRow { subject: x(), ..row() },
            AuditRow { address: x(), ..row() },
            AuditRow { request_id: x(), ..row() },
            AuditRow { user: Some(String::new()), ..row() },
            AuditRow { key_version: 2, ..row() },
        ] {
            macs.push(link(&key, &vault, &[0; 32], &changed));
        }
        let count = macs.len();
        macs.sort_unstable();
        macs.dedup();
        assert_eq!(macs.len(), count);
    }
}
