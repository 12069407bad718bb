//! The base URL of a credential: the place to which its secret is sent. The catalogue's entry for
//! its kind has the URL, and the credential the values in it.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use crate::broker::parts::Broker;
use crate::catalog::Entry;
use crate::catalog::input::InputFault;
use crate::kind::Kind;
use crate::policy::HostPattern;
use crate::vault::CredentialMetadata;

/// The place to which the secret of a credential is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialBase {
    /// The base URL of the API, or the URL of the MCP server.
    Url(Url),
    /// Any URL on the hosts of this sealed pattern; for headers of a host.
    Hosts(HostPattern),
}

/// Reason why the place is not known.
#[derive(Debug, thiserror::Error)]
pub enum NoBaseUrl {
    /// Values of the URL are missing, or the entry no longer accepts them.
    #[error("the base URL depends on inputs: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    DestinationUnknown(Vec<InputFault>),
    /// The values are sealed with the tokens: ask again with their metadata.
    #[error("the base URL depends on values that are sealed with the tokens")]
    NeedsTokens,
    /// The catalogue has no entry for this provider, or no base URL in it for this kind.
    #[error("the provider's entry has no base URL for credentials of this kind")]
    NotDescribed,
}

impl Broker {
    /// Returns the place to which this credential's secret is sent. Values of an OAuth credential
    /// are sealed with its tokens: `tokens` is the metadata of those, if the caller has opened
    /// them. For most entries it is not needed.
    pub fn base_url(
        &self,
        summary: &CredentialMetadata,
        tokens: Option<&BTreeMap<String, Value>>,
    ) -> Result<CredentialBase, NoBaseUrl> {
        base_url(self.0.catalog.get(summary.provider.as_str()).map(|provider| &provider.entry), summary, tokens)
    }
}

fn base_url(
    entry: Option<&Entry>,
    summary: &CredentialMetadata,
    tokens: Option<&BTreeMap<String, Value>>,
) -> Result<CredentialBase, NoBaseUrl> {
    if let Some(host) = &summary.host {
        return Ok(CredentialBase::Hosts(host.clone()));
    }
    // The server of an MCP account is sealed with it. It may have a path, which is its endpoint.
    if let Some(server) = &summary.server {
        return server.parse().map(CredentialBase::Url).map_err(|_| NoBaseUrl::NotDescribed);
    }
    let base = entry.and_then(|entry| entry.base_url(summary.kind)).ok_or(NoBaseUrl::NotDescribed)?;
    if let Some(url) = base.fixed() {
        return Ok(CredentialBase::Url(url.clone()));
    }
    let filled = match (summary.kind, tokens) {
        (Kind::OAuth2, None) => return Err(NoBaseUrl::NeedsTokens),
        (Kind::OAuth2, Some(metadata)) => base.filled_from(metadata),
        _ => base.filled(summary.inputs.as_ref().unwrap_or(&BTreeMap::new())),
    };
    filled.map(CredentialBase::Url).map_err(NoBaseUrl::DestinationUnknown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;
    use crate::clock::UnixTime;
    use crate::vault::{CredentialStatus, Exportable, RefreshState};

    fn credential(provider: &str, kind: Kind, inputs: &[(&str, &str)]) -> CredentialMetadata {
        let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CredentialMetadata {
            id: "3f2b8c1e-0000-4000-8000-000000000000".parse().unwrap(),
            user: "alice".parse().unwrap(),
            provider: provider.parse().unwrap(),
            kind,
            title: String::new(),
            scopes: None,
            username: None,
            host: None,
            server: None,
            inputs: Some(inputs),
            account: None,
            client_id: None,
            created_at: UnixTime(1),
            updated_at: UnixTime(1),
            expires_at: None,
            last_used_at: None,
            status: CredentialStatus::Active,
            refreshing: RefreshState::default(),
            origin: None,
            beside: None,
            exportable: Exportable(true),
        }
    }

    /// Returns the place, or the reason why it is not known.
    fn shown(summary: &CredentialMetadata, tokens: Option<&Value>) -> String {
        let catalog = Catalog::build([]).unwrap();
        let entry = catalog.get(summary.provider.as_str()).map(|provider| &provider.entry);
        let tokens = tokens.map(|tokens| tokens.as_object().unwrap().clone().into_iter().collect());
        match base_url(entry, summary, tokens.as_ref()) {
            Ok(CredentialBase::Url(url)) => url.to_string(),
            Ok(CredentialBase::Hosts(hosts)) => format!("hosts {hosts}"),
            Err(error) => error.to_string(),
        }
    }

    const NOT_DESCRIBED: &str = "the provider's entry has no base URL for credentials of this kind";

    #[test]
    fn entry_gives_the_base_url_of_its_kind() {
        for (provider, kind, url) in [
            ("github", Kind::OAuth2, "https://api.github.com/"),
            ("openai", Kind::ApiKey, "https://api.openai.com/v1"),
            ("jira", Kind::OAuth2, "https://api.atlassian.com/ex/jira"),
            ("telegram", Kind::ApiKey, "https://api.telegram.org/"),
            ("smtp", Kind::UserPassword, NOT_DESCRIBED),
            ("openai", Kind::UserPassword, NOT_DESCRIBED),
            ("left_the_catalogue", Kind::ApiKey, NOT_DESCRIBED),
        ] {
            assert_eq!(shown(&credential(provider, kind, &[]), None), url, "{provider}");
        }
    }

    #[test]
    fn inputs_of_a_stored_key_fill_the_base_url() {
        let unknown = |fault: &str| format!("the base URL depends on inputs: {fault}");
        let missing = unknown("'subdomain' is missing; for example \"acme\"");
        let malformed = unknown("'subdomain' is malformed; for example \"acme\"");
        for (inputs, url) in [
            (&[("subdomain", "acme")][..], "https://acme.zendesk.com/api/v2"),
            (&[("subdomain", "acme"), ("gone", "x")], "https://acme.zendesk.com/api/v2"),
            (&[], &missing),
            (&[("gone", "x")], &missing),
            (&[("subdomain", "evil.example/")], &malformed),
            (&[("subdomain", "evil.example#")], &malformed),
        ] {
            assert_eq!(shown(&credential("zendesk", Kind::ApiKey, inputs), None), url, "{inputs:?}");
        }
        let with = |inputs| shown(&credential("servicenow", Kind::UserPassword, inputs), None);
        assert_eq!(with(&[("instance", "dev1")]), "https://dev1.service-now.com/api");
        // Without the value, an entry's default counts.
        assert_eq!(shown(&credential("assemblyai", Kind::ApiKey, &[]), None), "https://api.assemblyai.com/v2");
    }

    #[test]
    fn oauth_base_url_can_need_the_tokens() {
        let summary = credential("salesforce", Kind::OAuth2, &[("instance_url", "other.my.salesforce.com")]);
        let without = "the base URL depends on values that are sealed with the tokens";
        assert_eq!(shown(&summary, None), without, "inputs of keys are not for tokens");
        let tokens = json!({"inputs": {"instance_url": "acme.my.salesforce.com"}});
        assert_eq!(shown(&summary, Some(&tokens)), "https://acme.my.salesforce.com/services/data");
        for tokens in [json!({}), json!({"inputs": {"instance_url": "acme.evil.example"}})] {
            assert!(shown(&summary, Some(&tokens)).contains("'instance_url' is m"), "{tokens}");
        }
    }

    #[test]
    fn sealed_host_and_mcp_server_come_first() {
        let scoped = CredentialMetadata {
            host: Some("*.example.com:8443".parse().unwrap()),
            ..credential("http", Kind::HostScoped, &[])
        };
        assert_eq!(shown(&scoped, None), "hosts *.example.com:8443");
        let server = Some("https://mcp.example.com/mcp".to_owned());
        let account = CredentialMetadata { server, ..credential("mcp", Kind::OAuth2, &[]) };
        assert_eq!(shown(&account, None), "https://mcp.example.com/mcp");
    }

    #[test]
    fn every_example_of_the_catalogue_fills_its_base_url() {
        let catalog = Catalog::build([]).unwrap();
        for provider in catalog.iter() {
            for kind in [Kind::ApiKey, Kind::UserPassword] {
                let Some(base) = provider.entry.base_url(kind) else { continue };
                let examples = base.inputs.iter().map(|(name, input)| (name.clone(), input.example.clone()));
                let without = credential(provider.name.as_str(), kind, &[]);
                let summary = CredentialMetadata { inputs: Some(examples.collect()), ..without };
                let filled = base_url(Some(&provider.entry), &summary, None);
                // The operator still has to name the hosts of a self-hosted service.
                let is_open = base.inputs.values().any(|input| input.hosts.as_ref().is_some_and(Vec::is_empty));
                assert_eq!(filled.is_ok(), !is_open, "{}: {filled:?}", provider.name);
            }
        }
    }
}
