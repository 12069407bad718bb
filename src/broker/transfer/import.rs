//! Import: creates credentials from a file, each in a transaction of its own, with one line in the
//! report. A second import of the same file changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::import_mapping::{ImportOptions, Refusal, UNKNOWN_FORMAT};
use crate::broker::parts::Broker;
use crate::id::{CredentialId, ProviderName};
use crate::import::Item;
use crate::secret::Secret;
use crate::validation::{did_you_mean, nearest};
use crate::vault::{
    AuditContext, ExportFault, ImportCandidate, ImportOutcome, Importer, TransferredCredential, VaultError, read_export,
};

/// Report of an import.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportReport {
    /// True if nothing was written.
    pub dry_run: bool,
    /// Number of imported credentials; in a dry run, of those that would be.
    pub imported: usize,
    /// Number of credentials that existed already.
    pub already_here: usize,
    /// Number of items that cannot be imported.
    pub not_imported: usize,
    /// One entry per item, in the order of the file.
    pub items: Vec<ImportedItem>,
    /// One sentence per `--map` and `--host` that no item has.
    pub unused_options: Vec<String>,
}

/// Outcome of one item: ids and names, never a secret.
#[derive(Clone, Debug, Serialize)]
pub struct ImportedItem {
    /// `imported`, `already_here` or `not_imported`.
    pub outcome: &'static str,
    /// Id in the file; of an entry that is not an item, its number and line.
    pub source_id: String,
    /// Name of the file, if a folder is imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Number of the entry in its file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
    /// Line of the file at which the entry begins, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Owner, if known.
    pub user: Option<String>,
    /// Provider, or the name in the file if it is unknown here.
    pub provider: String,
    /// Kind, if known.
    #[serde(rename = "type")]
    pub kind: Option<&'static str>,
    /// Title.
    pub title: String,
    /// Id of the credential in this vault.
    pub credential: Option<CredentialId>,
    /// Reason why it cannot be imported.
    pub reason: Option<String>,
    /// Advice about an imported credential.
    pub note: Option<String>,
}

/// A checked item that is still to be stored.
struct Prepared {
    /// Position in the file.
    at: usize,
    line: ImportedItem,
    candidate: Result<(ImportCandidate, Option<TransferredCredential>), Refusal>,
}

impl Prepared {
    /// Returns the id, in the original vault, of the credential with the first token of the same
    /// login.
    fn first_of_its_login(&self) -> Option<CredentialId> {
        let (candidate, _) = self.candidate.as_ref().ok()?;
        candidate.summary().beside.as_ref().map(|beside| beside.of)
    }
}

impl Broker {
    /// Imports the items of another program's file.
    pub async fn import_items(&self, items: Vec<Item>, options: &ImportOptions, who: &AuditContext) -> ImportReport {
        let mut unused = UnusedOptions::new(options);
        for item in &items {
            unused.see(item.names.iter().chain([&item.own_name]), Some(item.id.as_str()));
        }
        let items = items.into_iter().enumerate();
        let prepared = items.map(|(at, item)| self.prepare(at, item, options)).collect();
        ImportReport { unused_options: unused.sentences(), ..self.take_in(prepared, options, who).await }
    }

    /// Imports another vault's export, sealed by the passphrase.
    pub async fn import_export(
        &self,
        file: &[u8],
        passphrase: &Secret,
        options: &ImportOptions,
        who: &AuditContext,
    ) -> Result<ImportReport, ExportFault> {
        Ok(self.import_records(read_export(file, passphrase)?, options, who).await)
    }

    /// Imports the records of another vault's export. A record that could not be read is `None`.
    pub async fn import_records(
        &self,
        records: Vec<Option<TransferredCredential>>,
        options: &ImportOptions,
        who: &AuditContext,
    ) -> ImportReport {
        let mut unused = UnusedOptions::new(options);
        for record in records.iter().flatten() {
            unused.see([record.summary.provider.as_str()], None);
        }
        let records = records.into_iter().enumerate();
        let prepared = records.map(|(at, record)| self.prepare_moved(at, record, options)).collect();
        ImportReport { unused_options: unused.sentences(), ..self.take_in(prepared, options, who).await }
    }

    fn prepare(&self, at: usize, item: Item, options: &ImportOptions) -> Prepared {
        let mut line = ImportedItem::new(&item.id, item.user.as_deref(), &item.own_name, &item.title);
        if let Some(user) = &options.user {
            line.user = Some(user.to_string());
        }
        line.file.clone_from(&item.file);
        (line.number, line.line) = (Some(item.number).filter(|number| *number > 0), item.line);
        let origin = item.origin.clone();
        let candidate = self.new_credential(item, options).map(|(new, note)| {
            let candidate = self.0.vault.transfer().candidate(&new, origin);
            line.describe(&candidate);
            line.note = note;
            (candidate, None)
        });
        Prepared { at, line, candidate }
    }

    fn prepare_moved(&self, at: usize, record: Option<TransferredCredential>, options: &ImportOptions) -> Prepared {
        let Some(mut moved) = record else {
            let line = ImportedItem::new(&format!("record {at}"), None, "", "");
            return Prepared { at, line, candidate: Err(UNKNOWN_FORMAT.to_owned()) };
        };
        let mut line = ImportedItem::new(&moved.summary.id.to_string(), None, "", "");
        if let Some(provider) = options.providers.get(moved.summary.provider.as_str()) {
            moved.summary.provider = provider.clone();
        }
        let fits = self.may_have(&moved.summary);
        moved.summary.exportable = self.exportable_at(&moved.summary.provider, Some(moved.summary.exportable.0));
        let candidate = self.0.vault.transfer().moved_candidate(moved.clone(), options.user.as_ref());
        line.describe(&candidate);
        let summary = candidate.summary();
        line.note = self.refresh_note(&summary.provider, summary.client_id.as_deref(), &moved.material);
        Prepared { at, line, candidate: fits.map(|()| (candidate, Some(moved))) }
    }

    async fn take_in(&self, mut prepared: Vec<Prepared>, options: &ImportOptions, who: &AuditContext) -> ImportReport {
        let mut report = ImportReport { dry_run: options.dry_run, ..ImportReport::default() };
        // Additional tokens come last, because the new id of their login's first credential must be
        // known.
        prepared.sort_by_key(|one| one.first_of_its_login().is_some());
        let importer = self.0.vault.transfer().importer(options.duplicates);
        let total = prepared.len();
        let mut rehearsed = options.dry_run.then(|| self.rehearse(&prepared, options).into_iter());
        let mut here: BTreeMap<CredentialId, CredentialId> = BTreeMap::new();
        let mut items = Vec::with_capacity(prepared.len());
        for one in prepared {
            let first = one.first_of_its_login().and_then(|first| here.get(&first).copied());
            let Prepared { at, mut line, candidate } = one;
            let outcome = match (candidate, &mut rehearsed) {
                (Err(refusal), _) => Err(refusal),
                (Ok(_), Some(rehearsed)) => rehearsed.next().unwrap_or_else(|| Err(UNKNOWN_FORMAT.to_owned())),
                (Ok((mut candidate, moved)), None) => {
                    if let Some(first) = first {
                        candidate.came_beside(first);
                    }
                    let elsewhere = moved.as_ref().map(|moved| moved.summary.id);
                    let stored = self.store_candidate(&importer, candidate, moved, who).await;
                    if let (Some(elsewhere), Ok(ImportOutcome::Stored(id) | ImportOutcome::Known(id))) =
                        (elsewhere, &stored)
                    {
                        here.insert(elsewhere, *id);
                    }
                    stored.map_err(|error| error.to_string())
                }
            };
            match outcome {
                Ok(ImportOutcome::Stored(id)) => {
                    report.imported += 1;
                    (line.outcome, line.credential) = ("imported", (!options.dry_run).then_some(id));
                }
                Ok(ImportOutcome::Known(id)) => {
                    report.already_here += 1;
                    (line.outcome, line.credential, line.note) = ("already_here", Some(id), None);
                }
                Err(reason) => {
                    report.not_imported += 1;
                    (line.reason, line.note) = (Some(reason), None);
                }
            }
            items.push((at, line));
            if let Some(tell) = options.on_progress {
                tell(items.len(), total);
            }
        }
        items.sort_by_key(|(at, _)| *at);
        report.items = items.into_iter().map(|(_, line)| line).collect();
        report
    }

    /// Stores one credential, after the OAuth client that was registered for it.
    async fn store_candidate(
        &self,
        importer: &Importer<'_>,
        candidate: ImportCandidate,
        moved: Option<TransferredCredential>,
        who: &AuditContext,
    ) -> Result<ImportOutcome, VaultError> {
        if let Some((at, client)) = moved.and_then(|moved| moved.registration) {
            self.0.vault.registrations().put(&at, client, None, who).await?;
        }
        importer.import(candidate, who).await
    }

    fn rehearse(&self, prepared: &[Prepared], options: &ImportOptions) -> Vec<Result<ImportOutcome, String>> {
        let candidates: Vec<ImportCandidate> = prepared
            .iter()
            .filter_map(|one| one.candidate.as_ref().ok())
            .map(|(candidate, _)| candidate.clone())
            .collect();
        match self.0.vault.transfer().rehearse(&candidates, options.duplicates) {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) => candidates.iter().map(|_| Err(error.to_string())).collect(),
        }
    }
}

/// Finds the mappings of an import that no item has, which are most likely mistyped.
struct UnusedOptions<'o> {
    providers: BTreeMap<&'o str, &'o ProviderName>,
    hosts: BTreeSet<&'o str>,
    /// Names of providers, and ids, that the file has.
    names: BTreeSet<String>,
    ids: BTreeSet<String>,
}

impl<'o> UnusedOptions<'o> {
    fn new(options: &'o ImportOptions) -> Self {
        Self {
            providers: options.providers.iter().map(|(name, provider)| (name.as_str(), provider)).collect(),
            hosts: options.hosts.keys().map(String::as_str).collect(),
            names: BTreeSet::new(),
            ids: BTreeSet::new(),
        }
    }

    /// Notes the names and the id of one item.
    fn see(&mut self, names: impl IntoIterator<Item = impl AsRef<str>>, id: Option<&str>) {
        if !self.providers.is_empty() {
            self.names.extend(names.into_iter().map(|name| name.as_ref().to_owned()));
        }
        if !self.hosts.is_empty() {
            self.ids.extend(id.map(str::to_owned));
        }
    }

    fn sentences(&self) -> Vec<String> {
        let near = |name: &str, known: &BTreeSet<String>| did_you_mean(nearest(name, known.iter().map(String::as_str)));
        let maps = self.providers.iter().filter(|(name, _)| !self.names.contains(**name));
        let hosts = self.hosts.iter().filter(|id| !self.ids.contains(**id));
        maps.map(|(name, provider)| format!("--map {name}={provider} fits no item{}", near(name, &self.names)))
            .chain(hosts.map(|id| format!("--host {id}=… fits no item{}", near(id, &self.ids))))
            .collect()
    }
}

impl ImportedItem {
    fn new(source_id: &str, user: Option<&str>, provider: &str, title: &str) -> Self {
        Self {
            outcome: "not_imported",
            source_id: source_id.to_owned(),
            file: None,
            number: None,
            line: None,
            user: user.map(str::to_owned),
            provider: provider.to_owned(),
            kind: None,
            title: title.to_owned(),
            credential: None,
            reason: None,
            note: None,
        }
    }

    fn describe(&mut self, candidate: &ImportCandidate) {
        let summary = candidate.summary();
        self.user = Some(summary.user.to_string());
        self.provider = summary.provider.to_string();
        self.kind = Some(summary.kind.name());
        self.title.clone_from(&summary.title);
    }
}
