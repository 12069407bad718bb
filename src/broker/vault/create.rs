//! Create: settings, master key and vault of a new installation.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::key_file::{create, refused, write_new};
use super::master_key::UnlockError;
use super::passphrase::check_new;
use crate::clock::Clock;
use crate::random::Random;
use crate::secret::Secret;
use crate::vault::{MasterKey, Vault, VaultError};

/// Files of a new installation.
#[derive(Debug)]
pub struct NewVault {
    /// Settings.
    pub config: PathBuf,
    /// Vault.
    pub vault: PathBuf,
    /// Key file; `None` if a passphrase protects the vault.
    pub key: Option<PathBuf>,
}

impl NewVault {
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.config, &self.vault].into_iter().chain(&self.key)
    }

    /// Returns the files that exist already.
    pub fn existing(&self) -> Vec<&PathBuf> {
        self.files().filter(|path| path.symlink_metadata().is_ok()).collect()
    }

    /// Creates all files, or none. `unlock` is the setting that names the key or the passphrase.
    pub fn create(&self, passphrase: Option<Secret>, unlock: &str) -> Result<(), UnlockError> {
        let passphrase = passphrase.unwrap_or_else(|| Secret::new(""));
        if self.key.is_none() {
            check_new(&passphrase)?;
        }
        for path in self.files() {
            create_folder_of(path)?;
        }
        let mut created = CreatedFiles::default();
        let master = match &self.key {
            Some(file) => {
                let master = create(file)?;
                created.0.push(file.clone());
                master
            }
            None => MasterKey::Passphrase(passphrase),
        };
        write_new(&self.config, &self.settings(unlock), 0o600)?;
        created.0.push(self.config.clone());
        Vault::create(&self.vault, &master, Clock::system(), Random)?;
        created.0.clear();
        Ok(())
    }

    /// Returns the initial settings.
    fn settings(&self, unlock: &str) -> String {
        let vault = toml::Value::from(self.vault_in_settings().to_string_lossy().into_owned());
        format!(
            r#"# Strongroom. Every setting is described in config.example.toml; `strongroom config check` reports mistakes.

[server]
listen = "127.0.0.1:8484"
# How others reach it; https, unless it is for this machine alone.
public_url = "http://127.0.0.1:8484"

[vault]
path = {vault}
{unlock}

[oauth]
# Where logins may return to: your application's origins. Empty: every callback is refused.
# For example ["https://app.example.com", "http://localhost"].
callback_origins = []

# Your OAuth client at a provider of the catalogue (`strongroom provider list`).
# [providers.github]
# client_id = "…"
# client_secret = {{ env = "GITHUB_CLIENT_SECRET" }}
"#
        )
    }

    /// Returns the vault's path: relative if it lies below the folder of the settings, else
    /// absolute.
    fn vault_in_settings(&self) -> PathBuf {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (config, vault) = (absolute(&self.config), absolute(&self.vault));
        match config.parent().and_then(|folder| vault.strip_prefix(folder).ok()) {
            Some(inside) => inside.to_owned(),
            None => vault,
        }
    }
}

/// Created files, removed again if a later step fails.
#[derive(Default)]
struct CreatedFiles(Vec<PathBuf>);

impl Drop for CreatedFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            // A file that cannot be removed is named at the next attempt.
            let _ = fs::remove_file(path);
        }
    }
}

fn create_folder_of(path: &Path) -> Result<(), VaultError> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            created.map_err(|source| refused("cannot create", folder, source))
        }
        _ => Ok(()),
    }
}
