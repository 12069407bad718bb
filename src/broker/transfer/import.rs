//! Import: what a file holds becomes credentials here, each whole or not at all, and each with a line in the report. A file may be
//! imported twice: what is here already stays as it is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::import_mapping::{ImportOptions, Refusal};
use crate::broker::parts::Broker;
use crate::id::CredentialId;
use crate::import::Item;
use crate::vault::{AuditContext, ImportCandidate, ImportOutcome, TransferredCredential, VaultError};

/// What became of a file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// How many came over; would, where nothing was written.
    pub imported: usize,
    /// How many were here already.
    pub already_here: usize,
    /// How many could not come.
    pub not_imported: usize,
    /// Each of them, in the order of the file.
    pub items: Vec<ImportedItem>,
}

/// What became of one item: ids and names, never a secret.
#[derive(Clone, Debug, Serialize)]
pub struct ImportedItem {
    /// `imported`, `already_here` or `not_imported`.
    pub outcome: &'static str,
    /// Its id in the file.
    pub source_id: String,
    /// Whose it is, as far as that is known.
    pub user: Option<String>,
    /// Its provider here, else what the file calls it.
    pub provider: String,
    /// Its kind, as far as that is known.
    #[serde(rename = "type")]
    pub kind: Option<&'static str>,
    /// What it is called.
    pub title: String,
    /// Its id here.
    pub credential: Option<CredentialId>,
    /// Why it could not come.
    pub reason: Option<String>,
    /// What is to be known of it although it came.
    pub note: Option<String>,
}

/// An item that was looked at, and is still to be stored.
struct Prepared {
    /// Its place in the file.
    at: usize,
    line: ImportedItem,
    arrival: Result<(ImportCandidate, Option<TransferredCredential>), Refusal>,
}

impl Prepared {
    /// The credential of the vault that it comes from which has the first token of its login.
    fn first_of_its_login(&self) -> Option<CredentialId> {
        let (arrival, _) = self.arrival.as_ref().ok()?;
        arrival.summary().beside.as_ref().map(|beside| beside.of)
    }
}

impl Broker {
    /// Takes in what was found in another program's file.
    pub async fn import_items(&self, items: Vec<Item>, options: &ImportOptions, who: &AuditContext) -> ImportReport {
        let items = items.into_iter().enumerate();
        self.take_in(items.map(|(at, item)| self.prepare(at, item, options)).collect(), options, who).await
    }

    /// Takes in what was exported from a vault. A record that could not be understood is `None`.
    pub async fn import_export(
        &self,
        records: Vec<Option<TransferredCredential>>,
        options: &ImportOptions,
        who: &AuditContext,
    ) -> ImportReport {
        let records = records.into_iter().enumerate();
        self.take_in(records.map(|(at, record)| self.prepare_moved(at, record, options)).collect(), options, who).await
    }

    fn prepare(&self, at: usize, item: Item, options: &ImportOptions) -> Prepared {
        let mut line = ImportedItem::new(&item.id, item.user.as_deref(), &item.own_name, &item.title);
        if let Some(user) = &options.user {
            line.user = Some(user.to_string());
        }
        let origin = item.origin.clone();
        let arrival = self.new_credential(item, options).map(|(new, note)| {
            let arrival = self.0.vault.arrival(&new, origin);
            line.describe(&arrival);
            line.note = note;
            (arrival, None)
        });
        Prepared { at, line, arrival }
    }

    fn prepare_moved(&self, at: usize, record: Option<TransferredCredential>, options: &ImportOptions) -> Prepared {
        let Some(mut moved) = record else {
            let line = ImportedItem::new(&format!("record {at}"), None, "", "");
            return Prepared { at, line, arrival: Err(Refusal::NotUnderstood) };
        };
        let mut line = ImportedItem::new(&moved.summary.id.to_string(), None, "", "");
        if let Some(provider) = options.providers.get(moved.summary.provider.as_str()) {
            moved.summary.provider = provider.clone();
        }
        let fits = self.may_have(&moved.summary);
        let arrival = self.0.vault.moved_arrival(moved.clone(), options.user.as_ref());
        line.describe(&arrival);
        let summary = arrival.summary();
        line.note = self.refresh_note(&summary.provider, summary.client_id.as_deref(), &moved.material);
        Prepared { at, line, arrival: fits.map(|()| (arrival, Some(moved))) }
    }

    async fn take_in(&self, mut prepared: Vec<Prepared>, options: &ImportOptions, who: &AuditContext) -> ImportReport {
        let mut report = ImportReport { dry_run: options.dry_run, ..ImportReport::default() };
        // The further tokens of a login come last: what their first is called here has to be known.
        prepared.sort_by_key(|one| one.first_of_its_login().is_some());
        let mut rehearsed = options.dry_run.then(|| self.rehearse(&prepared, options).into_iter());
        let mut here: BTreeMap<CredentialId, CredentialId> = BTreeMap::new();
        let mut items = Vec::with_capacity(prepared.len());
        for one in prepared {
            let first = one.first_of_its_login().and_then(|first| here.get(&first).copied());
            let Prepared { at, mut line, arrival } = one;
            let outcome = match (arrival, &mut rehearsed) {
                (Err(refusal), _) => Err(refusal.to_string()),
                (Ok(_), Some(rehearsed)) => rehearsed.next().unwrap_or_else(|| Err(Refusal::NotUnderstood.to_string())),
                (Ok((mut arrival, moved)), None) => {
                    if let Some(first) = first {
                        arrival.came_beside(first);
                    }
                    let elsewhere = moved.as_ref().map(|moved| moved.summary.id);
                    let stored = self.store_arrival(arrival, moved, options.duplicates, who).await;
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
        }
        items.sort_by_key(|(at, _)| *at);
        report.items = items.into_iter().map(|(_, line)| line).collect();
        report
    }

    /// Stores one, after the client that it needs: one that registered itself goes with what it was registered for.
    async fn store_arrival(
        &self,
        arrival: ImportCandidate,
        moved: Option<TransferredCredential>,
        duplicates: bool,
        who: &AuditContext,
    ) -> Result<ImportOutcome, VaultError> {
        if let Some((at, client)) = moved.and_then(|moved| moved.registration) {
            self.0.vault.put_registration(&at, client, None, who).await?;
        }
        self.0.vault.import_credential(arrival, duplicates, who).await
    }

    fn rehearse(&self, prepared: &[Prepared], options: &ImportOptions) -> Vec<Result<ImportOutcome, String>> {
        let arrivals: Vec<ImportCandidate> =
            prepared.iter().filter_map(|one| one.arrival.as_ref().ok()).map(|(arrival, _)| arrival.clone()).collect();
        match self.0.vault.rehearse_import(&arrivals, options.duplicates) {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) => arrivals.iter().map(|_| Err(error.to_string())).collect(),
        }
    }
}

impl ImportedItem {
    fn new(source_id: &str, user: Option<&str>, provider: &str, title: &str) -> Self {
        Self {
            outcome: "not_imported",
            source_id: source_id.to_owned(),
            user: user.map(str::to_owned),
            provider: provider.to_owned(),
            kind: None,
            title: title.to_owned(),
            credential: None,
            reason: None,
            note: None,
        }
    }

    fn describe(&mut self, arrival: &ImportCandidate) {
        let summary = arrival.summary();
        self.user = Some(summary.user.to_string());
        self.provider = summary.provider.to_string();
        self.kind = Some(summary.kind.name());
        self.title.clone_from(&summary.title);
    }
}
