//! A running `strongroom dev`: its settings, and the file in which other commands find them.
//!
//! The file is in the temporary folder of that process, which only its user can read. No other file
//! is needed: `--dev` looks through the folders of this user, and the lock of the vault shows if
//! the process still runs.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::failure::Failure;
use crate::broker::{Installation, is_served};
use crate::config::{
    CallbackOrigin, ClientSecrets, Config, EntryPatch, Environment, Listen, Part, ProviderSettings, SecretSource,
    Sources, Unlock,
};
use crate::id::ProviderName;
use crate::sandbox::Sandbox;
use crate::secret::Secret;

/// Beginning of the name of the temporary folder.
const FOLDER_PREFIX: &str = "strongroom-dev-";
const FILE_NAME: &str = "dev.json";

/// Settings of a `strongroom dev`.
#[derive(Serialize, Deserialize)]
pub(super) struct DevInstance {
    /// Configuration that `--config` names.
    pub(super) config: Option<PathBuf>,
    /// Address of the server; `None` for the default.
    pub(super) listen: Option<SocketAddr>,
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
    /// Creates the temporary folder of an instance, mode 0700.
    pub(super) fn folder() -> Result<TempDir, Failure> {
        tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir().map_err(|error| {
            Failure::new(format!("cannot create a folder in {}: {error}", std::env::temp_dir().display()))
        })
    }

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
        let folders = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
        let of_dev = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX));
        let mut running: Vec<Self> = of_dev.filter_map(|entry| Self::read(&entry.path())).collect();
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

    /// Reads an instance, unless another user could have written it: anybody may create a folder
    /// among the temporary files.
    fn read(folder: &Path) -> Option<Self> {
        let found = std::fs::symlink_metadata(folder).ok()?;
        let is_ours = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o7777 == 0o700;
        let text = is_ours.then(|| std::fs::read(folder.join(FILE_NAME)).ok()).flatten()?;
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
        if let Some(address) = self.listen {
            config.server.listen = Listen::Tcp { host: address.ip().to_string(), port: address.port() };
        }
        let loopback = CallbackOrigin::parse_entry("http://127.0.0.1").expect("a legal origin");
        config.oauth.callback_origins = std::mem::take(&mut config.oauth.callback_origins).with(loopback);
        self.sandbox.add_to(&mut config);
        Ok(config)
    }
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
