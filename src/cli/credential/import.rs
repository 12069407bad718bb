//! `strongroom credential import`: credentials out of another program's file, or out of another vault's sealed export.

use crate::cli::arguments;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use crate::broker::{ImportOptions, ImportReport};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::provider::lookup;
use crate::cli::runtime::block_on;
use crate::cli::secret_input;
use crate::id::{ProviderName, UserId};
use crate::import::{self, FernetKey, FileError, Item, MAX_IMPORT_FILE};
use crate::secret;
use crate::vault::{AuditContext, ExportFault, HostPattern, read_export};

/// More than this of a sealed export is not read, in bytes.
const LARGEST_EXPORT: u64 = 256 << 20;

/// Import credentials from AutoGPT Platform, Nango, n8n, or another vault's export
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// The file; `-` for the standard input
    file: PathBuf,
    /// Whose file it is
    #[arg(long, value_name = "PROGRAM")]
    from: From,
    /// Whose everything is to be [default: as the file says; n8n's does not]
    #[arg(long)]
    user: Option<UserId>,
    /// What a provider is called there, and here: `--map google-mail-prod=gmail`; for n8n a type of credential, or the id of one;
    /// may be repeated
    #[arg(long, value_name = "NAME=PROVIDER", value_parser = arguments::pair::<ProviderName>)]
    map: Vec<(String, ProviderName)>,
    /// For which host the headers of a credential are, by its id there: `--host 12=api.example.com`; may be repeated
    #[arg(long, value_name = "ID=HOST", value_parser = arguments::pair::<HostPattern>)]
    host: Vec<(String, HostPattern)>,
    /// For autogpt: read its ENCRYPTION_KEY from this file, or from the standard input for `-` [default: it is asked for]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// For strongroom: read the export's passphrase from this file, or from the standard input for `-` [default: it is asked for]
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,
    /// Say what would come and what could not, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Import what is here already once more
    #[arg(long)]
    duplicates: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// The programs whose files are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// AutoGPT Platform: the column `integrations` of its table User
    Autogpt,
    /// Nango: connections as GET /connection/{id} gives them
    Nango,
    /// n8n: what `n8n export:credentials --all --decrypted` writes
    N8n,
    /// Strongroom: what `strongroom credential export` writes
    Strongroom,
}

impl Import {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        self.check()?;
        let broker = context.broker()?;
        // Before somebody types a secret for nothing.
        for (_, name) in &self.map {
            lookup::found(broker.catalog(), name.as_str())?;
        }
        let who = AuditContext::command_line();
        let options = ImportOptions {
            user: self.user.clone(),
            providers: BTreeMap::from_iter(self.map.clone()),
            hosts: BTreeMap::from_iter(self.host.clone()),
            duplicates: self.duplicates,
            dry_run: self.dry_run,
        };
        let report = match self.from {
            From::Strongroom => {
                let bytes = self.read(LARGEST_EXPORT)?;
                let passphrase =
                    secret_input::given_or_asked(self.passphrase_file.as_deref(), "Passphrase of the export")?;
                let records = read_export(&bytes, &passphrase).map_err(|fault| self.not_opened(fault))?;
                block_on(broker.import_export(records, &options, &who))?
            }
            _ => block_on(broker.import_items(self.items()?, &options, &who))?,
        };
        self.tell(&report, out)
    }

    fn check(&self) -> Result<(), Failure> {
        if self.from == From::N8n && self.user.is_none() {
            return Err(Failure::configuration("an export of n8n does not say whose its credentials are")
                .advise("say so with --user; `n8n export:credentials --id=ID --decrypted` exports them one by one"));
        }
        if self.key_file.is_some() && self.from != From::Autogpt {
            return Err(Failure::configuration("--key-file is for --from autogpt alone"));
        }
        if self.passphrase_file.is_some() && self.from != From::Strongroom {
            return Err(Failure::configuration("--passphrase-file is for --from strongroom alone"));
        }
        let secret = self.key_file.as_deref().or(self.passphrase_file.as_deref());
        if self.file == Path::new("-") && secret == Some(Path::new("-")) {
            return Err(Failure::configuration("the standard input cannot be both the file and its key"));
        }
        Ok(())
    }

    /// What is in the file of another program.
    fn items(&self) -> Result<Vec<Item>, Failure> {
        let bytes = self.read(MAX_IMPORT_FILE)?;
        let items = match self.from {
            From::Nango => import::nango(&bytes),
            From::N8n => import::n8n(&bytes),
            From::Autogpt | From::Strongroom => {
                let text = secret_input::given_or_asked(self.key_file.as_deref(), "AutoGPT's ENCRYPTION_KEY")?;
                let key = FernetKey::parse(&text).map_err(|error| {
                    Failure::new(error.to_string())
                        .advise("it is ENCRYPTION_KEY in the environment of AutoGPT's backend; nothing was imported")
                })?;
                import::autogpt(&bytes, &key)
            }
        };
        items.map_err(|fault| match fault {
            FileError::TooLarge => Failure::new(fault.to_string()).advise("nothing was imported"),
            FileError::Form(_) => Failure::new(format!("{}: {fault}", self.file.display()))
                .advise("docs/how-to/import-and-export.md says how to make the file; nothing was imported"),
        })
    }

    /// Reads one byte more than may be there, so that the parsers see that there is too much.
    fn read(&self, most: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let unreadable = |error| Failure::new(format!("{} cannot be read: {error}", self.file.display()));
        let bytes = if self.file == Path::new("-") {
            secret::read(std::io::stdin().lock(), most)
        } else {
            std::fs::File::open(&self.file).and_then(|file| secret::read(file, most))
        };
        let bytes = bytes.map_err(unreadable)?;
        if bytes.len() as u64 > most {
            return Err(Failure::new(format!("{} is larger than {} MiB", self.file.display(), most >> 20))
                .advise("import it in parts; nothing was imported"));
        }
        Ok(bytes)
    }

    fn not_opened(&self, fault: ExportFault) -> Failure {
        let failure = Failure::new(format!("{}: {fault}", self.file.display()));
        failure.advise(match fault {
            ExportFault::Passphrase => "nothing was imported; try the passphrase again",
            ExportFault::Newer => "nothing was imported; use that Strongroom or a newer one",
            ExportFault::NotAnExport => "--from says whose file it is: autogpt, nango, n8n or strongroom",
            _ => "nothing was imported; copy the file again, or export once more",
        })
    }

    fn tell(&self, report: &ImportReport, out: &mut Output) -> Result<(), Failure> {
        if self.json {
            out.json(report)?;
        } else {
            table(report, out)?;
        }
        if report.not_imported == 0 {
            return Ok(());
        }
        out.flush()?;
        Err(Failure::new(format!("{} of {} cannot be imported", report.not_imported, report.items.len()))
            .advise("the report says why each; what came over does not come twice when you run it again"))
    }
}

fn table(report: &ImportReport, out: &mut Output) -> Result<(), Failure> {
    let rows: Vec<_> = report
        .items
        .iter()
        .map(|item| {
            let outcome = match item.outcome {
                "imported" if report.dry_run => "would be imported",
                "imported" => "imported",
                "already_here" => "already here",
                _ => "not imported",
            };
            [
                outcome.to_owned(),
                item.user.clone().unwrap_or_default(),
                item.provider.clone(),
                item.kind.unwrap_or_default().to_owned(),
                item.title.clone(),
                item.credential.map_or_else(|| item.source_id.clone(), |id| id.to_string()),
                item.reason.clone().or_else(|| item.note.clone()).unwrap_or_default(),
            ]
        })
        .collect();
    out.columns(["OUTCOME", "USER", "PROVIDER", "KIND", "TITLE", "ID", "WHY"], &rows)?;
    out.line(format!(
        "{} {}, {} already here, {} not imported",
        report.imported,
        if report.dry_run { "would be imported" } else { "imported" },
        report.already_here,
        report.not_imported
    ))
}
