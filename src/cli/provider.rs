//! `strongroom provider`: the catalogue, as this configuration has it.

use clap::Subcommand;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::context::{block_on, egress};
use super::output::{Output, plain};
use super::{Context, Failure};
use crate::catalog::entry::OAuth;
use crate::catalog::{Catalog, Entry as Described, Provider as Entry};
use crate::config::{ClientSecrets, Config, ProviderSettings};
use crate::egress::{Egress, Outgoing};
use crate::kind::Kind;
use crate::oauth::Metadata;

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
            Self::Check { names } => check(&config, &catalog, &names, out),
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

fn kinds(provider: &Entry) -> Vec<&'static str> {
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

fn check(config: &Config, catalog: &Catalog, names: &[String], out: &mut Output) -> Result<(), Failure> {
    out.line(format!("the catalogue's {} entries are ok", catalog.iter().len()))?;
    let chosen: Vec<&Entry> = if names.is_empty() {
        config.providers.keys().filter_map(|name| catalog.get(name.as_str())).collect()
    } else {
        names.iter().map(|name| found(catalog, name)).collect::<Result<_, _>>()?
    };
    if chosen.is_empty() {
        return out.line("the configuration has no provider; write [providers.NAME] with client_id and client_secret");
    }
    let egress = egress(config)?;
    let mut amiss = 0;
    for provider in chosen {
        amiss += block_on(check_one(config, provider, &egress, out))??;
    }
    match amiss {
        0 => Ok(()),
        1 => Err(Failure::new("one thing above would keep accounts from being connected")),
        _ => Err(Failure::new(format!("{amiss} things above would keep accounts from being connected"))),
    }
}

/// Tells about one provider, and counts what is amiss.
async fn check_one(config: &Config, provider: &Entry, egress: &Egress, out: &mut Output) -> Result<usize, Failure> {
    let mut amiss = 0;
    out.line(format!("{} ({})", provider.name, provider.entry.display_name))?;
    out.line(format!("  entry      ok; takes {}", kinds(provider).join(", ")))?;
    if let Some(missing) = missing(config, provider) {
        amiss += 1;
        out.line(format!("  client     MISSING: {missing}"))?;
    } else if let Some(settings) = config.providers.get(&provider.name) {
        let unreadable = |(_, source)| config.secrets.read(source).err();
        let faults: Vec<_> = settings.secret_sources().filter_map(unreadable).collect();
        match &faults[..] {
            [] if settings.secret_sources().next().is_some() => out.line("  client     ok")?,
            faults => {
                for fault in faults {
                    amiss += 1;
                    out.line(format!("  client     its secret cannot be read: {fault}"))?;
                }
            }
        }
    }
    let Some(oauth) = &provider.entry.oauth else { return Ok(amiss) };
    let origins = config.oauth.callback_origins.list();
    out.line(match origins.as_slice() {
        [] => "  callbacks  none is allowed yet; set oauth.callback_origins".to_owned(),
        _ => format!(
            "  callbacks  register your application's callback URLs at the provider exactly as it sends them, below {}",
            origins.join(" or ")
        ),
    })?;
    let discovered = match oauth.issuer.as_ref().filter(|_| oauth.discovers()) {
        Some(issuer) => match Metadata::fetch(egress, issuer).await {
            Ok(_) => out.line("  discovery  ok").map(|()| 0)?,
            Err(error) => out.line(format!("  discovery  FAILED: {error}")).map(|()| 1)?,
        },
        None => 0,
    };
    amiss += discovered;
    for (name, url) in endpoints(oauth) {
        match reach(egress, url).await {
            Ok(status) => out.line(format!("  {name:<10} reachable ({status})"))?,
            Err(reason) => {
                amiss += 1;
                out.line(format!("  {name:<10} NOT reachable: {reason}"))?;
            }
        }
    }
    out.flush()?;
    Ok(amiss)
}

fn endpoints(oauth: &OAuth) -> Vec<(&'static str, Url)> {
    let written = [
        ("authorize", Some(&oauth.authorize_url)),
        ("token", Some(&oauth.token_url)),
        ("identity", oauth.identity.as_ref().map(|identity| &identity.url)),
        ("revoke", oauth.revoke.as_ref().map(|revoke| &revoke.url)),
    ];
    // A template is not a URL that could be asked.
    written.into_iter().filter_map(|(name, url)| Some((name, url?.url()?.clone()))).collect()
}

/// Whether anything answers there; what it says does not matter, for nothing was asked.
async fn reach(egress: &Egress, url: Url) -> Result<u16, String> {
    let request = Outgoing { method: http::Method::HEAD, url, headers: http::HeaderMap::new(), body: None };
    egress.send(request).await.map(|answer| answer.status.as_u16()).map_err(|error| error.to_string())
}
