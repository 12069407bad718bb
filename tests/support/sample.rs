//! A vault with something of everything in it, made through the public interface, and what may be read from it: for tests
//! that damage the file or edit it, thousands of times.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use serde_json::json;
use strongroom::clock::{Clock, UnixTime};
use strongroom::permission::Permission;
use strongroom::random::Random;
use strongroom::secret::Secret;
use strongroom::vault::{
    AuditContext, BackupStop, ClientRegistration, CredentialPage, CredentialSecret, Existing, KeyHolder, KeyLimits,
    MasterKey, NewApiKey, OpenMode, RegisteredAt, RequestToApprove, Unmatched, Vault, VaultError,
};

use super::chance::Chance;
use super::{Server, Setup};

/// The texts of a credential's secrets that it has or ever had, by its id.
type Histories = BTreeMap<String, BTreeSet<Vec<String>>>;

/// The vault, as three files. It stands still.
pub struct Sample {
    key: String,
    clock: Clock,
    /// The whole vault, in one file.
    pub database: Vec<u8>,
    /// The same, with its last changes still in the write-ahead log.
    pub early: Vec<u8>,
    pub log: Vec<u8>,
    pub backup: Vec<u8>,
    secrets: BTreeMap<String, Vec<String>>,
    histories: Histories,
    keys: BTreeSet<String>,
}

/// Outcome of reading a vault after tampering.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It does not open.
    Refused,
    /// It opens, and `vault verify` names what is wrong.
    Named,
    /// It is as it was.
    Right,
    /// It is as it was at some earlier moment: the end of the write-ahead log is gone.
    Earlier,
    /// Not detected.
    Wrong(String),
}

impl Sample {
    pub async fn new() -> Self {
        let folder = in_memory();
        let path = folder.path().join("strongroom.db");
        let (key, clock) = (MasterKey::generate(Random), Clock::manual(UnixTime(1_800_000_000)));
        let vault = Vault::create(&path, &key, clock.clone(), Random).expect("a new vault");
        let mut histories = Histories::new();
        let server = fill(&vault, &clock).await;
        note(&vault, &mut histories).await;
        checkpoint(&path);
        let early = std::fs::read(&path).expect("the vault's file");
        change(&server).await;
        let secrets = note(&vault, &mut histories).await;
        let log = std::fs::read(folder.path().join("strongroom.db-wal")).expect("its log");
        let backup = folder.path().join("backup");
        vault.backups().write(&backup, Existing::Keep, &BackupStop::default()).expect("a backup");
        let backup = std::fs::read(backup).expect("the backup");
        let keys = vault.api_keys().list().expect("the keys").iter().map(|key| key.id.to_string()).collect();
        let key = key.to_file_text().expect("a key, not a passphrase").expose().to_owned();
        let after = in_memory();
        std::fs::write(after.path().join("a.db"), &early).expect("a copy");
        std::fs::write(after.path().join("a.db-wal"), &log).expect("a copy");
        checkpoint(&after.path().join("a.db"));
        let database = std::fs::read(after.path().join("a.db")).expect("the copy");
        Self { key, clock, database, early, log, backup, secrets, histories, keys }
    }

    pub fn master(&self) -> MasterKey {
        MasterKey::parse_file_text(&self.key).expect("it was written by ourselves")
    }

    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Looks at a vault: opens it, verifies it, reads what it shows, and some of its secrets.
    pub async fn judge(&self, path: &Path, chance: &mut Chance) -> Verdict {
        let opened = Vault::open(path, &self.master(), OpenMode::Command, self.clock.clone(), Random);
        let Ok(vault) = opened else { return Verdict::Refused };
        let verified = vault.integrity().verify();
        let shown = self.look(&vault, chance).await;
        let named = !verified.is_ok_and(|found| found.holds());
        match shown {
            Err(wrong) => Verdict::Wrong(wrong),
            Ok(_) if named => Verdict::Named,
            Ok(None) => Verdict::Wrong("something cannot be read, and verify names nothing".to_owned()),
            Ok(Some(true)) => Verdict::Right,
            Ok(Some(false)) => Verdict::Earlier,
        }
    }

    /// Opens and verifies, and reads only where nothing was found.
    pub async fn judge_what_holds(&self, path: &Path, chance: &mut Chance) -> Verdict {
        let opened = Vault::open(path, &self.master(), OpenMode::Command, self.clock.clone(), Random);
        let Ok(vault) = opened else { return Verdict::Refused };
        match vault.integrity().verify() {
            Ok(found) if found.holds() => self.judge(path, chance).await,
            _ => Verdict::Named,
        }
    }

    /// Reads; a wrong plaintext is an error, something that cannot be read is nothing, else whether all is there as it was.
    async fn look(&self, vault: &Vault, chance: &mut Chance) -> Result<Option<bool>, String> {
        let Ok(summaries) = all(vault) else { return Ok(None) };
        let (mut whole, mut readable) = (summaries.len() == self.secrets.len(), true);
        for summary in &summaries {
            let Some(known) = self.histories.get(&summary.id.to_string()) else {
                return Err(format!("a credential that never was: {}", summary.id));
            };
            // Each read is a write too; a few of them are enough each time.
            if chance.below(4) > 0 {
                continue;
            }
            match vault.credentials().read_secret(&summary.user, &summary.id, &AuditContext::system()).await {
                Ok(Some((_, material))) => {
                    let texts = texts(&material);
                    if !known.contains(&texts) {
                        return Err(format!("a wrong plaintext of {}: {texts:?}", summary.id));
                    }
                    whole &= self.secrets.get(&summary.id.to_string()) == Some(&texts);
                }
                Ok(None) | Err(_) => readable = false,
            }
        }
        let Ok(keys) = vault.api_keys().list() else { return Ok(None) };
        whole &= keys.iter().map(|key| key.id.to_string()).collect::<BTreeSet<_>>() == self.keys;
        Ok(readable.then_some(whole))
    }
}

/// A folder whose files are in memory, where this machine has such a place: a sync costs nothing there.
pub fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

/// Something of everything.
async fn fill(vault: &Vault, clock: &Clock) -> Server {
    let setup = Setup { vault: Some(vault.clone()), clock: Some(clock.clone()), ..Setup::default() };
    let server = Server::with(setup).await;
    let bob = server.key_of("bob").await;
    server.revoked_key().await;
    server.service_key(&["team-*"]).await;
    let keys: [&str; 2] = [&server.key, &bob];
    for (number, key) in keys.into_iter().enumerate() {
        let path = |provider: &str| format!("/v1/integrations/{provider}/credentials");
        for body in [
            json!({"type": "api_key", "api_key": format!("key-{number}"), "title": "one"}),
            json!({"type": "api_key", "api_key": format!("other-{number}"), "title": "two", "expires_at": 1_900_000_000}),
        ] {
            server.post(&path("openai")).key(key).json(&body).send().await.is(201);
        }
        let body =
            json!({"type": "user_password", "username": "u", "password": format!("pw-{number}"), "title": "three"});
        server.post(&path("smtp")).key(key).json(&body).send().await.is(201);
        for host in ["good.example", "bad.example:8443"] {
            let headers = json!({"X-Token": format!("{host}-{number}")});
            let body = json!({"type": "host_scoped", "host": host, "headers": headers, "title": "four"});
            server.post(&path("http")).key(key).json(&body).send().await.is(201);
        }
    }
    for _ in 0..2 {
        server.connect("sandbox").await;
        server.initiate("sandbox").await;
    }
    for issuer in ["https://one.example", "https://two.example"] {
        let at = RegisteredAt { issuer: issuer.to_owned(), redirect_uri: "https://app.example/callback".to_owned() };
        let new = ClientRegistration {
            client_id: format!("client of {issuer}"),
            client_secret: Some(Secret::new("secret of a client")),
            secret_expires_at: None,
            token_auth: "basic".to_owned(),
            redirect_uri: Some("https://app.example/callback".to_owned()),
            management: None,
        };
        vault.registrations().put(&at, new, None, &AuditContext::system()).await.expect("it is stored");
    }
    vault.signing_keys().ensure(&AuditContext::system()).await.expect("it is made");
    ask_for_approval(vault).await;
    queue_revocation(&server).await;
    server
}

/// A request of a key waits for the approval of a person.
async fn ask_for_approval(vault: &Vault) {
    let key = vault.api_keys().list().expect("they can be read")[0].id;
    let mut credentials = all(vault).expect("they can be read").into_iter();
    // One that stays as it is: a change ends the requests that wait.
    let credential = credentials.find(|one| one.host.is_some()).expect("headers of a host");
    let request = RequestToApprove {
        key,
        user: credential.user,
        provider: credential.provider,
        credential: credential.id,
        grant: "3f2b8c1e-0000-4000-8000-000000000000".parse().expect("an id"),
        digest: [7; 32],
        method: "POST".to_owned(),
        url: "https://api.openai.com/v1/models".to_owned(),
        headers: Vec::new(),
        body: b"body".to_vec(),
        body_length: 4,
    };
    vault.approvals().ask(request, &AuditContext::system()).await.expect("it is stored");
}

/// One more account is connected, and deleted while its provider is down.
async fn queue_revocation(server: &Server) {
    let key = server.key_of("carol").await;
    let path = "/v1/integrations/sandbox";
    let body = json!({"callback_url": super::flow::CALLBACK});
    let started = server.post(&format!("{path}/oauth/initiate")).key(&key).json(&body).send().await.is(200).json();
    let login =
        format!("{}&sandbox_decision=approve&sandbox_user=carol", started["login_url"].as_str().expect("a text"));
    let back = super::http::Ask::new(Method::GET, login).send().await.is(303);
    let back = url::Url::parse(back.header("Location").expect("a redirect")).expect("a URL");
    let code = back.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let body = json!({"code": code, "state_token": started["state_token"]});
    let made = server.post(&format!("{path}/oauth/complete")).key(&key).json(&body).send().await.is(200).json();
    let id = made["credentials_id"].as_str().expect("an id").to_owned();
    // The other accounts hang on the same grant, unless they are gone.
    server.sandbox_fails_revocations(true);
    server.delete(&format!("{path}/credentials/{id}")).key(&key).send().await.is(200);
    server.sandbox_fails_revocations(false);
}

/// Rows of every table change, come and go.
async fn change(server: &Server) {
    server.clock.advance(Duration::from_secs(60));
    let listed = server.list().await;
    let of =
        |kind: &str| listed.as_array().expect("a list").iter().filter(|one| one["type"] == kind).collect::<Vec<_>>();
    let path = |one: &serde_json::Value| {
        let text = |name: &str| one[name].as_str().expect("a text").to_owned();
        format!("/v1/integrations/{}/credentials/{}", text("provider"), text("id"))
    };
    let keys = of("api_key");
    let body = json!({"api_key": "a newer key", "title": "a newer title"});
    server.ask(Method::PATCH, &path(keys[0])).key(&server.key).json(&body).send().await.is(200);
    server.delete(&path(keys[1])).key(&server.key).send().await.is(200);
    server.post(&format!("{}/refresh", path(of("oauth2")[0]))).key(&server.key).send().await.is(200);
    server.create_api_key_credential("openai").await;
    server.initiate("sandbox").await;
    server.revoked_key().await;
    let new = NewApiKey {
        name: Some("of dave".to_owned()),
        holder: KeyHolder::User("dave".parse().expect("a user id")),
        permissions: [Permission::ReadIntegrations].into_iter().collect(),
        limits: KeyLimits::default(),
        unmatched: Unmatched::default(),
        expires_at: Some(UnixTime(1_900_000_000)),
    };
    server.vault.api_keys().create(new, &AuditContext::command_line()).await.expect("the key is stored");
}

/// Everybody's credentials.
fn all(vault: &Vault) -> Result<Vec<strongroom::vault::CredentialMetadata>, VaultError> {
    let mut summaries = Vec::new();
    for user in vault.users().list()? {
        summaries.extend(vault.credentials().list(&user.id, None, CredentialPage::default())?);
    }
    Ok(summaries)
}

/// Reads all secrets, and adds them to what each ever was.
async fn note(vault: &Vault, histories: &mut Histories) -> BTreeMap<String, Vec<String>> {
    let mut secrets = BTreeMap::new();
    for summary in all(vault).expect("the vault is whole") {
        let read = vault
            .credentials()
            .read_secret(&summary.user, &summary.id, &AuditContext::system())
            .await
            .expect("it can be read");
        let texts = texts(&read.expect("it is there").1);
        histories.entry(summary.id.to_string()).or_default().insert(texts.clone());
        secrets.insert(summary.id.to_string(), texts);
    }
    secrets
}

fn texts(material: &CredentialSecret) -> Vec<String> {
    match material {
        CredentialSecret::OAuth2(tokens) => {
            let refresh = tokens.refresh_token.as_ref().map(|token| token.expose().to_owned());
            vec![tokens.access_token.expose().to_owned(), refresh.unwrap_or_default()]
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

/// Everything from the write-ahead log goes into the file, and the log is empty.
fn checkpoint(path: &Path) {
    let file = rusqlite::Connection::open(path).expect("the file");
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("the log goes into the file");
}

/// A place for copies that are tampered with.
pub struct Copies {
    folder: tempfile::TempDir,
    count: Cell<u32>,
}

impl Copies {
    pub fn new() -> Self {
        Self { folder: in_memory(), count: Cell::new(0) }
    }

    /// The file as it is to be looked at, and its log, in the place of the last one. Each has a name of its own, for the last
    /// one may just be closing, and removes its log by name.
    pub fn put(&self, database: &[u8], log: Option<&[u8]>) -> PathBuf {
        let number = self.count.get();
        self.count.set(number + 1);
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.path(&format!("{}.db{suffix}", number.wrapping_sub(1))));
        }
        let path = self.path(&format!("{number}.db"));
        std::fs::write(&path, database).expect("a copy");
        if let Some(log) = log {
            std::fs::write(self.path(&format!("{number}.db-wal")), log).expect("a copy");
        }
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
