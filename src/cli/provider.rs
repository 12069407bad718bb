//! `strongroom provider`: the catalogue, as this configuration has it.

use clap::Subcommand;
use serde::Serialize;
use serde_json::{Map, Value};

use super::output::{Output, plain};
use super::{Context, Failure, provider_check};
use crate::catalog::{Catalog, Entry as Described, Provider as Entry};
use crate::config::{ClientSecrets, Config, ProviderSettings};
use crate::kind::Kind;

/// The catalogue of providers, as this configuration has it
#[derive(Debug, Subcommand)]
pub(super) enum Provider {
    /// List the providers
    List {
        /// Only those with each of these words in their name, their display name or their category
        words: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one provider's whole entry
    Show {
        /// Its name
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check that accounts can be connected: client, endpoints, what to register at the provider
    Check {
        /// Their names [default: those that the configuration has a section for]
        names: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Listed {
    name: String,
    display_name: String,
    kinds: Vec<&'static str>,
    configured: bool,
    category: Option<String>,
    docs: Option<String>,
}

impl Provider {
    /// Runs the command.
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let (config, catalog) = context.settings(ClientSecrets::Leave)?;
        match self {
            Self::List { words, json } => list(&config, &catalog, &words, json, out),
            Self::Show { name, json } => show(&config, found(&catalog, &name)?, json, out),
            Self::Check { names, json } => provider_check::check(&config, &catalog, &names, json, out),
        }
    }
}

fn list(config: &Config, catalog: &Catalog, words: &[String], json: bool, out: &mut Output) -> Result<(), Failure> {
    let listed = catalog.iter().filter(|provider| is_about(provider, words)).map(|provider| Listed {
        name: provider.name.to_string(),
        display_name: provider.entry.display_name.clone(),
        kinds: kinds(provider),
        configured: missing(config, provider).is_none(),
        category: provider.entry.category.clone(),
        docs: provider.entry.docs.as_ref().map(|docs| docs.url().to_string()),
    });
    if json {
        return out.json(&listed.collect::<Vec<_>>());
    }
    let rows: Vec<_> = listed
        .map(|one| {
            let configured = if one.configured { "yes" } else { "no" };
            [one.name, one.display_name, one.kinds.join(", "), configured.to_owned()]
        })
        .collect();
    out.columns(["NAME", "PROVIDER", "KINDS", "CONFIGURED"], &rows)
}

/// Whether each of the words is in the provider's name, display name or category, in any case.
fn is_about(provider: &Entry, words: &[String]) -> bool {
    let Described { display_name, category, .. } = &provider.entry;
    let text = format!("{}\n{display_name}\n{}", provider.name, category.as_deref().unwrap_or("")).to_lowercase();
    words.iter().all(|word| text.contains(&word.to_lowercase()))
}

pub(super) fn kinds(provider: &Entry) -> Vec<&'static str> {
    Kind::ALL.into_iter().filter(|kind| provider.entry.takes(*kind)).map(Kind::name).collect()
}

fn show(config: &Config, provider: &Entry, json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        let mut whole = Map::from_iter([("name".to_owned(), Value::from(provider.name.as_str()))]);
        if let Ok(Value::Object(entry)) = serde_json::to_value(&provider.entry) {
            whole.extend(entry);
        }
        return out.json(&whole);
    }
    out.line(format!("# {}", provider.name))?;
    out.line(match missing(config, provider) {
        None => "# configured: yes".to_owned(),
        Some(what) => format!("# configured: no; {what}"),
    })?;
    let text = toml::to_string(&provider.entry)
        .map_err(|error| Failure::new(format!("the entry cannot be written as TOML: {error}")))?;
    out.raw(text)
}

pub(super) fn found<'c>(catalog: &'c Catalog, name: &str) -> Result<&'c Entry, Failure> {
    catalog.get(name).ok_or_else(|| {
        let distance = |known: &&Entry| strsim::damerau_levenshtein(name, known.name.as_str());
        let nearest = catalog.iter().filter(|known| distance(known) <= 3).min_by_key(distance);
        let nearest = nearest.map(|known| format!("; did you mean '{}'?", known.name));
        Failure::new(format!("there is no provider '{}'{}", plain(name), nearest.unwrap_or_default()))
            .advise("`strongroom provider list` shows all of them")
    })
}

/// What the configuration lacks for connecting accounts at the provider.
pub(super) fn missing(config: &Config, provider: &Entry) -> Option<String> {
    let oauth = provider.entry.oauth.as_ref()?;
    let none = ProviderSettings::default();
    let settings = config.providers.get(&provider.name).unwrap_or(&none);
    let proof = Some("client_secret").filter(|_| oauth.token_auth.needs_secret() && !settings.has_client_secret());
    let id = Some("client_id").filter(|_| settings.client_id.is_none());
    let lacks: Vec<&str> = id.into_iter().chain(proof).collect();
    (!lacks.is_empty()).then(|| format!("write {} under [providers.{}]", lacks.join(" and "), provider.name))
}
