//! `strongroom init`: creates settings, master key and vault; never overwrites a file.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::context::Context;
use super::failure::Failure;
use super::output::Output;
use super::vault::new_master_key::{PassphraseFrom, cannot_be_made, write_new};
use crate::clock::Clock;
use crate::random::Random;
use crate::vault::{MasterKey, Vault};

/// Create strongroom.toml, strongroom.key and strongroom.db here, or as --config and --vault say
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Protect the vault with a passphrase instead of a key file
    #[arg(long, value_name = "FROM")]
    passphrase: Option<PassphraseFrom>,
}

/// Created files, removed again if a later step fails.
#[derive(Default)]
struct CreatedFiles(Vec<PathBuf>);

impl Drop for CreatedFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            // A file that cannot be removed is named at the next attempt.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Init {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let config = context.config.clone().unwrap_or_else(|| PathBuf::from("strongroom.toml"));
        let vault = context.vault.clone().unwrap_or_else(|| PathBuf::from("strongroom.db"));
        let key = config.with_file_name("strongroom.key");
        let mut files = vec![&config, &vault];
        files.extend(self.passphrase.is_none().then_some(&key));
        let existing: Vec<String> = files
            .iter()
            .filter(|path| path.symlink_metadata().is_ok())
            .map(|path| path.display().to_string())
            .collect();
        if !existing.is_empty() {
            return Err(Failure::new(format!("{} already exists", existing.join(", "))).advise(
                "move it away, or name other files with --config and --vault; existing files are not overwritten",
            ));
        }
        files.iter().try_for_each(|path| make_folder_of(path))?;

        let mut created = CreatedFiles::default();
        let master = match self.passphrase {
            None => {
                let master = MasterKey::generate(Random);
                let text = master.to_file_text().expect("a generated key is no passphrase");
                write(&key, text.expose(), 0o400, &mut created)?;
                master
            }
            Some(from) => from.read()?,
        };
        write(&config, &settings(&config, &vault, self.passphrase), 0o600, &mut created)?;
        Vault::create(&vault, &master, Clock::system(), Random)?;
        created.0.clear();
        tell(&config, &vault, self.passphrase.is_none().then_some(key.as_path()), out)
    }
}

fn make_folder_of(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        None => Ok(()),
        Some(folder) if folder.as_os_str().is_empty() || folder.is_dir() => Ok(()),
        Some(folder) => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| cannot_be_made(folder, &error))
        }
    }
}

/// Writes a new file and registers it for removal.
fn write(path: &Path, text: &str, permissions: u32, created: &mut CreatedFiles) -> Result<(), Failure> {
    write_new(path, text, permissions).map_err(|error| cannot_be_made(path, &error))?;
    created.0.push(path.to_owned());
    Ok(())
}

/// Returns the initial settings.
fn settings(config: &Path, vault: &Path, passphrase: Option<PassphraseFrom>) -> String {
    let unlock = match passphrase {
        None => {
            "# Keep a copy of this file where the backups of the vault are not: one without the other is of no use.\n\
                 master_key = { file = \"strongroom.key\" }"
        }
        Some(PassphraseFrom::Prompt) => "passphrase = \"prompt\"",
        Some(PassphraseFrom::Stdin) => "passphrase = \"stdin\"",
    };
    let vault = toml::Value::from(seen_from(config, vault).to_string_lossy().into_owned());
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

/// Returns the vault's path for the settings: relative if it lies below their folder, else
/// absolute.
fn seen_from(config: &Path, vault: &Path) -> PathBuf {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (config, vault) = (absolute(config), absolute(vault));
    match config.parent().and_then(|folder| vault.strip_prefix(folder).ok()) {
        Some(inside) => inside.to_owned(),
        None => vault,
    }
}

fn tell(config: &Path, vault: &Path, key: Option<&Path>, out: &mut Output) -> Result<(), Failure> {
    out.line(format!("created {}  settings", config.display()))?;
    if let Some(key) = key {
        out.line(format!("created {}  master key: keep a copy of it apart from the vault", key.display()))?;
    }
    out.line(format!("created {}  vault", vault.display()))?;
    let option =
        if config == Path::new("strongroom.toml") { String::new() } else { format!(" --config {}", config.display()) };
    out.line(format!(
        "\nNext:\n  \
         set oauth.callback_origins and your providers in {}, then: strongroom config check{option}\n  \
         strongroom key create{option} --user alice --permission READ_INTEGRATIONS MANAGE_INTEGRATIONS DELETE_INTEGRATIONS\n  \
         strongroom serve{option}",
        config.display()
    ))
}
