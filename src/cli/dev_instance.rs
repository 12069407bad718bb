//! A running `strongroom dev`: its settings, and the file in which other commands find them.
//!
//! The file is in the temporary folder of that process, which only its user can read. No other file
//! is needed: `--dev` looks through the folders of this user, and the lock of the vault shows if
//! the process still runs.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::failure::Failure;
use crate::broker::{Installation, is_served};
use crate::clock::{Clock, UnixTime};
use crate::config::{
    CallbackOrigin, ClientSecrets, Config, EntryPatch, Environment, Listen, Part, ProviderSettings, SecretSource,
    Sources, Unlock, show_of_dev,
};
use crate::id::ProviderName;
use crate::sandbox::Sandbox;
use crate::secret::Secret;

/// Beginning of the name of the temporary folder.
const FOLDER_PREFIX: &str = "strongroom-dev-";
const FILE_NAME: &str = "dev.json";

/// Time that an instance may take from the creation of its folder to that of its file, in seconds.
const MAX_START: i64 = 600;

/// Settings of a `strongroom dev`.
#[derive(Serialize, Deserialize)]
pub(super) struct DevInstance {
    /// Configuration that `--config` names.
    pub(super) config: Option<PathBuf>,
    /// Address of the server; `None` for the default.
    pub(super) listen: Option<SocketAddr>,
    /// Address of the forward proxy; `None` before it listens.
    pub(super) forward_proxy: Option<SocketAddr>,
    /// Vault.
    pub(super) vault: PathBuf,
    /// Master key of the vault.
    pub(super) key_file: PathBuf,
    /// OAuth client at the sandbox.
    pub(super) sandbox: SandboxClient,
}

/// OAuth client at the sandbox, whose secret lives as long as the sandbox.
#[derive(Serialize, Deserialize)]
pub(super) struct SandboxClient {
    entry: String,
    client_id: String,
    client_secret: String,
}

impl DevInstance {
    /// Writes the file that [`find`](Self::find) reads.
    pub(super) fn save(&self, folder: &Path) -> Result<(), Failure> {
        let path = folder.join(FILE_NAME);
        let text = serde_json::to_vec(self).map_err(std::io::Error::from);
        text.and_then(|text| std::fs::write(&path, text))
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
    }

    /// Returns the running instance of this user; the one with `vault`, if it is given.
    pub(super) fn find(vault: Option<&Path>) -> Result<Self, Failure> {
        let vault = vault.map(|vault| std::path::absolute(vault).unwrap_or_else(|_| vault.to_owned()));
        let mut running: Vec<Self> = folders().filter_map(|folder| Self::read(&folder)).collect();
        running.retain(|one| vault.as_ref().is_none_or(|vault| one.vault == *vault) && is_served(&one.vault));
        if running.len() > 1 {
            let vaults: Vec<String> =
                running.iter().map(|one| format!("strongroom --dev --vault {} …", one.vault.display())).collect();
            return Err(Failure::configuration(format!("{} `strongroom dev` are running", running.len()))
                .advise(format!("name one by its vault:\n{}", vaults.join("\n"))));
        }
        running.pop().ok_or_else(|| {
            let which = if vault.is_some() { " with this vault" } else { "" };
            Failure::new(format!("no `strongroom dev`{which} is running for this user"))
                .advise("start one with `strongroom dev`; both commands need the same TMPDIR")
        })
    }

    /// Reads an instance, unless another user could have written it.
    fn read(folder: &Path) -> Option<Self> {
        let text = is_ours(folder).then(|| std::fs::read(folder.join(FILE_NAME)).ok()).flatten()?;
        serde_json::from_slice(&text).ok()
    }

    /// Loads the settings and the catalogue of the instance.
    pub(super) fn installation(&self) -> Result<Installation, Failure> {
        Ok(Installation::new(self.settings()?)?)
    }

    /// Loads the settings: of the configuration those of providers, callback origins and egress
    /// only. The others describe a vault with real data.
    pub(super) fn settings(&self) -> Result<Config, Failure> {
        let sources = Sources {
            file: self.config.clone(),
            vault: Some(self.vault.clone()),
            environment: Environment::of_process(),
            part: Part::Providers,
        };
        let mut config = Installation::load(&sources, ClientSecrets::Try, false)?.config().clone();
        config.vault.unlock = Unlock::MasterKey(SecretSource::File(self.key_file.clone()));
        config.vault.ballast = 0;
        config.is_dev = true;
        let loopback = CallbackOrigin::parse_entry("http://127.0.0.1").expect("a legal origin");
        config.oauth.callback_origins = std::mem::take(&mut config.oauth.callback_origins).with(loopback);
        self.sandbox.add_to(&mut config);
        self.set_address(&mut config);
        Ok(config)
    }

    /// Sets the addresses of the server and its forward proxy, and shows them.
    pub(super) fn set_address(&self, config: &mut Config) {
        let tcp = |address: SocketAddr| Listen::Tcp { host: address.ip().to_string(), port: address.port() };
        config.proxy.listen = self.forward_proxy.map(tcp);
        if let Some(address) = self.listen {
            config.server.listen = tcp(address);
            if let Ok(url) = format!("http://{address}").parse() {
                config.server.public_url = url;
            }
        }
        let made = own_settings(config);
        show_of_dev(&mut config.shown, made);
    }
}

/// Returns the settings that `dev` makes itself, with their values now.
fn own_settings(config: &Config) -> Vec<(String, Value)> {
    let networks = |networks: &[IpNet]| networks.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut made = vec![
        ("server.listen".to_owned(), Value::from(config.server.listen.to_string())),
        ("server.public_url".to_owned(), config.server.public_url.as_str().trim_end_matches('/').into()),
        ("vault.ballast".to_owned(), config.vault.ballast.into()),
        ("oauth.callback_origins".to_owned(), config.oauth.callback_origins.texts().into()),
        ("egress.allow".to_owned(), networks(&config.egress.allow).into()),
    ];
    made.extend(config.proxy.listen.iter().map(|listen| ("proxy.listen".to_owned(), listen.to_string().into())));
    if let Unlock::MasterKey(SecretSource::File(path)) = &config.vault.unlock {
        made.push(("vault.master_key".to_owned(), json!({ "file": path })));
    }
    for provider in config.provider_egress().filter(|provider| !provider.allow_private.is_empty()) {
        made.push((format!("providers.{}.allow_private", provider.name), networks(provider.allow_private).into()));
    }
    made
}

/// The temporary folder of an instance, mode 0700. It is deleted on drop.
pub(super) struct DevFolder {
    folder: TempDir,
    /// Its lock shows other processes that the instance still runs. A killed process loses it.
    _lock: File,
}

impl DevFolder {
    /// Deletes the folders of killed instances, and creates one.
    pub(super) fn create() -> Result<Self, Failure> {
        for folder in folders() {
            if is_abandoned(&folder) {
                // Another `dev` may delete it at the same time.
                let _ = std::fs::remove_dir_all(&folder);
            }
        }
        let failed = |error: io::Error| {
            Failure::new(format!("cannot create a folder in {}: {error}", std::env::temp_dir().display()))
        };
        let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir().map_err(failed)?;
        let lock = File::open(folder.path()).map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| failed(error.into()))?;
        Ok(Self { folder, _lock: lock })
    }

    /// Returns the path of the folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the API key for `curl --config`, and returns the file. Arguments of a process are
    /// visible to every user of the machine, so no command to copy may contain the key.
    pub(super) fn write_curl_config(&self, key: &Secret) -> Result<PathBuf, Failure> {
        let path = self.path().join("curl.conf");
        let text = format!("header = \"X-API-Key: {}\"\n", key.expose());
        std::fs::write(&path, text)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
        Ok(path)
    }
}

/// Returns the folders of instances among the temporary files.
fn folders() -> impl Iterator<Item = PathBuf> {
    let all = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    all.filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX)).map(|entry| entry.path())
}

/// Returns true if this user owns the folder, and no other user could have written to it: anyone may
/// create a folder among the temporary files.
fn is_ours(folder: &Path) -> bool {
    let found = std::fs::symlink_metadata(folder);
    found.is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw() && it.mode() & 0o7777 == 0o700)
}

/// Returns true if the instance of this folder was killed. A folder without its file may belong to
/// an instance that starts just now, unless it is old.
fn is_abandoned(folder: &Path) -> bool {
    let age = |at: &std::fs::Metadata| UnixTime(at.mtime()).seconds_until(Clock::system().now());
    let is_old = || std::fs::symlink_metadata(folder).is_ok_and(|found| age(&found) > MAX_START);
    let is_unlocked = |lock: File| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
    is_ours(folder) && File::open(folder).is_ok_and(is_unlocked) && (folder.join(FILE_NAME).is_file() || is_old())
}

impl SandboxClient {
    /// Returns the only client of the sandbox.
    pub(super) fn of(sandbox: &Sandbox) -> Self {
        Self {
            entry: sandbox.entry_toml(),
            client_id: sandbox.client_id().to_owned(),
            client_secret: sandbox.client_secret().expose().to_owned(),
        }
    }

    /// Adds the settings of `dev` and of tests: callbacks to localhost, egress to this machine, and the
    /// sandbox provider.
    pub(super) fn add_to(&self, config: &mut Config) {
        let localhost = CallbackOrigin::parse_entry("http://localhost").expect("a legal origin");
        config.oauth.callback_origins = std::mem::take(&mut config.oauth.callback_origins).with(localhost);
        let loopback = "127.0.0.0/8".parse::<IpNet>().expect("a legal network");
        config.egress.allow.push(loopback);
        let mcp = config.providers.entry("mcp".parse::<ProviderName>().expect("a legal name")).or_default();
        mcp.allow_private.push(loopback);
        let entry = EntryPatch::parse(Path::new("sandbox.toml"), &self.entry);
        let client_secret = Secret::new(self.client_secret.clone());
        let settings = ProviderSettings {
            client_id: Some(self.client_id.clone()),
            client_secret_source: Some(SecretSource::Inline(client_secret.clone())),
            client_secrets: vec![client_secret],
            lend_client: true,
            lend_scopes: Some(["profile", "read"].map(str::to_owned).into()),
            entry: entry.expect("the sandbox describes itself in good TOML"),
            ..ProviderSettings::default()
        };
        config.providers.insert("sandbox".parse::<ProviderName>().expect("a legal name"), settings);
    }
}
