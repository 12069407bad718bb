//! The vault as a whole, against a real file.

mod api_keys;
#[path = "../approvals/tests.rs"]
mod approvals;
mod audit;
mod backups;
mod caches;
mod credentials;
mod damage;
mod epoch;
mod grants;
mod moving;
mod opening;
mod pending;
mod refreshing;
mod registrations;
mod repair;
mod rotation;
mod slots;
mod verification;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use super::crypto::{key_encoding, record};
use super::txn::manifest::{Manifest, Tally};
use super::*;
use crate::clock::{Clock, UnixTime};
use crate::id::{CredentialId, ProviderName, UserId};
use crate::random::Random;
use crate::secret::Secret;

/// Retry time of a queued revocation in these tests.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// A vault in a folder of its own, the key that opens it and the clock that it goes by.
struct Bench {
    vault: Vault,
    key: MasterKey,
    clock: Clock,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, clock) = (MasterKey::generate(Random), Clock::manual(UnixTime(1_800_000_000)));
        let vault = Vault::create(&folder.path().join("v.db"), &key, clock.clone(), Random).unwrap();
        Self { vault, key, clock, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("v.db")
    }

    /// A second process, as far as the vault can tell.
    fn beside(&self) -> Vault {
        Vault::open(&self.path(), &self.key, OpenMode::Command, self.clock.clone(), Random).unwrap()
    }

    /// Opens the vault again and returns the result.
    fn reopen_as(&self, key: &MasterKey) -> Result<Vault, VaultError> {
        Vault::open(&self.path(), key, OpenMode::Command, self.clock.clone(), Random)
    }

    /// An attacker with a SQL shell.
    fn attack(&self, sql: &str) {
        let connection = Connection::open(self.path()).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    async fn add(&self, user: &str, provider: &str, material: CredentialSecret) -> CredentialMetadata {
        self.vault.credentials().insert(new(user, provider, material), &AuditContext::command_line()).await.unwrap()
    }

    async fn connect(&self, user: &str, account: Option<&str>) -> CredentialMetadata {
        let new = NewCredential { account: account.map(Into::into), ..new(user, "github", tokens("at", "rt")) };
        self.vault.credentials().insert(new, &AuditContext::command_line()).await.unwrap()
    }

    async fn read(&self, of: &CredentialMetadata) -> Option<(CredentialMetadata, CredentialSecret)> {
        self.vault.credentials().read_secret(&of.user, &of.id, &AuditContext::system()).await.unwrap()
    }

    async fn replace(&self, of: &CredentialMetadata, new: NewCredential) -> Option<CredentialMetadata> {
        match self.vault.credentials().replace(replacement(of), new, &AuditContext::system()).await.unwrap() {
            ReplaceOutcome::Done(summary) => Some(*summary),
            _ => None,
        }
    }

    async fn delete(&self, of: &CredentialMetadata, revocation: RevocationScope) -> Option<DeletedCredential> {
        self.vault.credentials().delete(&of.user, &of.id, revocation, WEEK, &AuditContext::system()).await.unwrap()
    }

    /// Counts every record again and holds that against the manifest.
    fn assert_manifest_holds(&self) {
        let sealed: [(&str, &str, &str, &str, &str); 8] = [
            ("user", "sealed", "id", "id", "revision"),
            ("credential", "summary", "user", "id", "revision"),
            ("credential_secret", "secret", "user", "id", "revision"),
            ("pending_authorization", "sealed", "user", "lower(hex(state_hash))", "revision"),
            ("revocation", "sealed", "user", "id", "revision"),
            ("client_registration", "sealed", "''", "lower(hex(lookup))", "revision"),
            ("signing_key", "sealed", "''", "id", "revision"),
            ("approval", "sealed", "key", "id", "revision"),
        ];
        let wrong = self.vault.core().read(|view, _| Ok(view.wrong_usage(9)?)).unwrap();
        assert!(wrong.is_empty(), "the usage of {wrong:?} was not counted");
        let keyring = self.vault.core().keyring();
        let manifest = self.vault.core().read(Manifest::load).unwrap();
        let connection = Connection::open(self.path()).unwrap();
        let mut tally = Tally::default();
        for (table, column, user, id, revision) in sealed {
            let mut statement =
                connection.prepare(&format!("SELECT {user}, {id}, {revision}, {column} FROM {table}")).unwrap();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let (user, id): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
                let (revision, blob): (i64, Vec<u8>) = (row.get(2).unwrap(), row.get(3).unwrap());
                let place = record::RecordAad { table, column, row: &id, revision, user: &user, ..Default::default() };
                tally.add(&record::item(&keyring, &place, &blob).unwrap());
            }
        }
        assert_eq!(manifest.records, tally);
        let verdict = self.vault.audit().verify(&mut |fault| panic!("{fault}")).unwrap();
        assert_eq!((verdict.sound, verdict.last), (manifest.audit_length - manifest.audit_base, manifest.audit_length));
        self.vault.api_keys().list().expect("the API keys hold against their sum");
    }

    /// Number of audit rows of an action.
    fn audited(&self, action: &str) -> i64 {
        let connection = Connection::open(self.path()).unwrap();
        connection.query_row("SELECT count(*) FROM audit WHERE action = ?", [action], |row| row.get(0)).unwrap()
    }
}

fn new(user: &str, provider: &str, material: CredentialSecret) -> NewCredential {
    NewCredential {
        user: user.parse().unwrap(),
        provider: provider.parse().unwrap(),
        title: "a title".into(),
        material,
        scopes: Some(vec!["repo".into(), "user:email".into()]),
        username: Some("octocat".into()),
        server: None,
        inputs: None,
        account: Some("42".into()),
        client_id: Some("client".into()),
        expires_at: Some(UnixTime(1_900_000_000)),
        refresh_at: None,
        exportable: Exportable(true),
    }
}

fn reconnecting(of: &CredentialMetadata) -> LoginTerms {
    let reconnect = Some(replacement(of));
    LoginTerms { reconnect, only_existing: false, begun_at: None, revocation: RevocationScope::Never, retry_for: WEEK }
}

fn replacement(of: &CredentialMetadata) -> Replacement {
    Replacement { id: of.id, any_account: false, revocation: RevocationScope::Never, retry_for: WEEK }
}

fn title(title: &str) -> CredentialUpdate {
    CredentialUpdate { title: Some(title.into()), secret: None, exportable: None }
}

fn tokens(access: &str, refresh: &str) -> CredentialSecret {
    CredentialSecret::OAuth2(Tokens {
        renewal: None,
        access_token: Secret::new(access),
        refresh_token: Some(Secret::new(refresh)),
        token_type: "Bearer".into(),
        lifetime: Some(Duration::from_secs(3600)),
        refresh_expires_at: Some(UnixTime(2_000_000_000)),
        metadata: BTreeMap::from([("team".to_owned(), serde_json::json!({"id": "T1"}))]),
        dpop_key: None,
        redirect_uri: None,
        discovery: None,
        issued_by: None,
        replaced: None,
    })
}

fn api_key(key: &str) -> CredentialSecret {
    CredentialSecret::ApiKey(Secret::new(key))
}

fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

/// The secret texts of a material, to compare.
fn texts(material: &CredentialSecret) -> Vec<String> {
    match material {
        CredentialSecret::OAuth2(t) => {
            let refresh = t.refresh_token.as_ref().map_or_else(String::new, |secret| secret.expose().to_owned());
            vec![t.access_token.expose().to_owned(), refresh, format!("{:?} {:?}", t.lifetime, t.metadata)]
        }
        CredentialSecret::ApiKey(key) => vec![key.expose().to_owned()],
        CredentialSecret::UserPassword { username, password } => {
            vec![username.expose().into(), password.expose().into()]
        }
        CredentialSecret::HostScoped { host, headers } => {
            let headers = headers.iter().map(|(name, value)| format!("{name}: {}", value.expose()));
            std::iter::once(host.to_string()).chain(headers).collect()
        }
    }
}
