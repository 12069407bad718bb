//! `strongroom credential import`: reads credentials from another program's file or from another
//! vault's export.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use crate::broker::{AuditContext, ExportFault, HostPattern, ImportOptions, ImportReport, ImportedItem};
use crate::cli::arguments;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::names::hint_new_user;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::cli::secret_input;
use crate::id::{ProviderName, UserId};
use crate::import::{self, Allowance, FernetKey, FileError, Item};

/// Maximum size of another program's file, or of all files of a folder, in bytes.
const LARGEST_FILE: u64 = 32 << 20;

/// Maximum number of files in a folder.
const MAX_FILES: usize = 10_000;

/// Number of items after which progress is reported.
const PROGRESS_STEP: usize = 1_000;

/// Maximum size of a sealed export, in bytes.
const LARGEST_EXPORT: u64 = 256 << 20;

/// Import credentials from AutoGPT Platform, Nango, n8n, or another vault's export
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// File to import, or a folder of files; `-` for standard input
    file: PathBuf,
    /// Program that wrote the file
    #[arg(long, value_name = "PROGRAM")]
    from: From,
    /// User that gets all credentials [default: the users in the file; n8n's files name none]
    #[arg(long, allow_hyphen_values = true)]
    user: Option<UserId>,
    /// Map a provider's name in the file to a provider here, for example google-mail-prod=gmail.
    /// For n8n: a credential type or id. May be repeated
    #[arg(long, value_name = "NAME=PROVIDER", value_parser = arguments::pair::<ProviderName>)]
    map: Vec<(String, ProviderName)>,
    /// Host for the headers of a credential, by its id in the file, for example 12=api.example.com;
    /// may be repeated
    #[arg(long, value_name = "ID=HOST", value_parser = arguments::pair::<HostPattern>)]
    host: Vec<(String, HostPattern)>,
    /// For autogpt: read ENCRYPTION_KEY from this file, or from standard input for `-` [default:
    /// ask]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// For strongroom: read the passphrase of the export from this file, or from standard input for
    /// `-` [default: ask]
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,
    /// Report what would be imported, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Import credentials again that exist already
    #[arg(long)]
    duplicates: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Programs whose files can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// AutoGPT Platform: the column `integrations` of its table User
    Autogpt,
    /// Nango: connections as GET /connection/{id} returns them
    Nango,
    /// n8n: output of `n8n export:credentials --all --decrypted`
    N8n,
    /// Strongroom: output of `strongroom credential export`
    Strongroom,
}

impl Import {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        self.check()?;
        let broker = context.broker()?;
        // Checked before a secret is asked for.
        for (_, name) in &self.map {
            broker.provider(name.as_str())?;
        }
        let who = AuditContext::command_line();
        self.user.as_ref().map_or(Ok(()), |user| hint_new_user(&broker.admin(who.clone()), user))?;
        let options = ImportOptions {
            user: self.user.clone(),
            providers: BTreeMap::from_iter(self.map.clone()),
            hosts: BTreeMap::from_iter(self.host.clone()),
            duplicates: self.duplicates,
            dry_run: self.dry_run,
            on_progress: Some(tell_progress),
        };
        let report = match self.from {
            From::Strongroom => {
                let bytes = self.read(LARGEST_EXPORT)?;
                let passphrase =
                    secret_input::given_or_asked(self.passphrase_file.as_deref(), "Passphrase of the export")?;
                let imported = block_on(broker.import_export(&bytes, &passphrase, &options, &who))?;
                imported.map_err(|fault| self.not_opened(fault))?
            }
            _ => block_on(broker.import_items(self.items()?, &options, &who))?,
        };
        self.tell(&report, out)
    }

    fn check(&self) -> Result<(), Failure> {
        if self.from == From::N8n && self.user.is_none() {
            return Err(Failure::configuration("an export of n8n names no users").advise(
                "name the user with --user; `n8n export:credentials --id=ID --decrypted` exports one credential",
            ));
        }
        if self.key_file.is_some() && self.from != From::Autogpt {
            return Err(Failure::configuration("--key-file works only with --from autogpt"));
        }
        if self.passphrase_file.is_some() && self.from != From::Strongroom {
            return Err(Failure::configuration("--passphrase-file works only with --from strongroom"));
        }
        let secret = self.key_file.as_deref().or(self.passphrase_file.as_deref());
        if self.file == Path::new("-") && secret == Some(Path::new("-")) {
            return Err(Failure::configuration("standard input cannot be both the file and its key"));
        }
        Ok(())
    }

    /// Reads the items of another program's file, or of all files of a folder.
    fn items(&self) -> Result<Vec<Item>, Failure> {
        let key = match self.from {
            From::Autogpt => Some(self.fernet_key()?),
            _ => None,
        };
        let mut allowance = Allowance::default();
        let mut items_of = |bytes: &[u8]| match (&key, self.from) {
            (Some(key), _) => import::autogpt(bytes, key, &mut allowance),
            (None, From::N8n) => import::n8n(bytes, &mut allowance),
            (None, _) => import::nango(bytes, &mut allowance),
        };
        if !self.file.is_dir() {
            return items_of(&self.read(LARGEST_FILE)?).map_err(|fault| Self::not_read(&self.file, fault));
        }
        let (mut items, mut left) = (Vec::new(), LARGEST_FILE);
        for path in self.files()? {
            let bytes = secret_input::bytes_of(&path, left)?;
            left = left.checked_sub(bytes.len() as u64).ok_or_else(|| self.too_large(LARGEST_FILE))?;
            let of_file = match items_of(&bytes) {
                Err(fault @ FileError::Form(_)) => vec![Item::of_file(fault)],
                other => other.map_err(|fault| Self::not_read(&path, fault))?,
            };
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            items.extend(of_file.into_iter().map(|item| Item { file: name.clone(), ..item }));
        }
        Ok(items)
    }

    /// Returns the files of the folder, by name. Hidden files and folders in it are left out.
    fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        let unreadable = |error| Failure::new(format!("cannot read {}: {error}", self.file.display()));
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.file).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !is_hidden && path.is_file() {
                files.push(path);
            }
            if files.len() > MAX_FILES {
                return Err(Failure::new(format!("{} has more than {MAX_FILES} files", self.file.display()))
                    .advise("nothing was imported; split the folder"));
            }
        }
        files.sort();
        if files.is_empty() {
            return Err(Failure::new(format!("{} has no files", self.file.display()))
                .advise("name the file, or the folder that the files are in"));
        }
        Ok(files)
    }

    fn fernet_key(&self) -> Result<FernetKey, Failure> {
        let text = secret_input::given_or_asked(self.key_file.as_deref(), "AutoGPT's ENCRYPTION_KEY")?;
        FernetKey::parse(&text).map_err(|error| {
            Failure::new(error.to_string())
                .advise("nothing was imported; use ENCRYPTION_KEY from the environment of AutoGPT's backend")
        })
    }

    fn not_read(path: &Path, fault: FileError) -> Failure {
        Failure::new(format!("{}: {fault}", path.display())).advise(match fault {
            FileError::Form(_) => "docs/how-to/import-and-export.md says how to make the file; nothing was imported",
            FileError::Items(_) | FileError::Values(_) => "nothing was imported; split the file",
        })
    }

    /// Reads the file.
    fn read(&self, most: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let bytes = secret_input::bytes_of(&self.file, most)?;
        if bytes.len() as u64 > most { Err(self.too_large(most)) } else { Ok(bytes) }
    }

    fn too_large(&self, most: u64) -> Failure {
        Failure::new(format!("{} is larger than {} MiB", self.file.display(), most >> 20))
            .advise("nothing was imported; split the file")
    }

    fn not_opened(&self, fault: ExportFault) -> Failure {
        let failure = Failure::new(format!("{}: {fault}", self.file.display()));
        failure.advise(match fault {
            ExportFault::Passphrase => "nothing was imported; try the passphrase again",
            ExportFault::Newer => "nothing was imported; use that version of Strongroom or a newer one",
            ExportFault::NotAnExport => "nothing was imported; check --from: autogpt, nango, n8n or strongroom",
            _ => "nothing was imported; copy the file again, or repeat the export",
        })
    }

    fn tell(&self, report: &ImportReport, out: &mut Output) -> Result<(), Failure> {
        table(report, self.json, out)?;
        out.flush()?;
        for unused in &report.unused_options {
            note(format!("warning: {unused}"));
        }
        if report.not_imported == 0 {
            return Ok(());
        }
        let file = if self.file == Path::new("-") { "standard input".into() } else { self.file.to_string_lossy() };
        let (refused, all) = (report.not_imported, report.items.len());
        Err(Failure::new(format!("{refused} of {all} items of {file} were not imported"))
            .advise("the report gives each reason; running the import again does not duplicate anything"))
    }
}

/// Returns the reason or the note, after the place of the item: the file if there are several, and
/// the position of an item that is not imported.
fn note_of(item: &ImportedItem) -> String {
    let Some(note) = item.reason.as_ref().or(item.note.as_ref()) else { return String::new() };
    let number = item.number.map(|number| format!("item {number}"));
    let position: Vec<String> = number.into_iter().chain(item.line.map(|line| format!("line {line}"))).collect();
    // The column ID already shows the position of an entry without an id.
    let position =
        Some(position.join(", ")).filter(|at| item.reason.is_some() && !at.is_empty() && *at != item.source_id);
    let place: Vec<String> = item.file.iter().cloned().chain(position).collect();
    if place.is_empty() { note.clone() } else { format!("{}: {note}", place.join(", ")) }
}

/// Tells the progress of a long import on standard error.
fn tell_progress(done: usize, total: usize) {
    if done.is_multiple_of(PROGRESS_STEP) && done < total {
        note(format!("{done} of {total} items"));
    }
}

fn table(report: &ImportReport, json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        return out.json(report);
    }
    let imported = if report.dry_run { "would be imported" } else { "imported" };
    out.table(&report.items, ["OUTCOME", "USER", "PROVIDER", "KIND", "TITLE", "ID", "NOTE"], |item| {
        let outcome = match item.outcome {
            "imported" => imported,
            "already_here" => "exists",
            _ => "not imported",
        };
        [
            outcome.to_owned(),
            item.user.clone().unwrap_or_default(),
            item.provider.clone(),
            item.kind.unwrap_or_default().to_owned(),
            item.title.clone(),
            item.credential.map_or_else(|| item.source_id.clone(), |id| id.to_string()),
            note_of(item),
        ]
    })?;
    out.line(format!(
        "{} {imported}, {} existed already, {} not imported",
        report.imported, report.already_here, report.not_imported
    ))
}
