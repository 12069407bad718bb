//! The table of settings: key, type, default and meaning. The loader, `config show` and the test of
//! `config.example.toml` use it.

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key. `NAME` in it stands for a provider's or an issuer's name.
    pub key: &'static str,
    /// The type of its value.
    pub takes: Takes,
    /// Its default as TOML; `None` if it has no default.
    pub default: Option<&'static str>,
    /// Its meaning, in a sentence or two.
    pub doc: &'static str,
}

/// The type of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A text.
    Text,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
    /// A duration.
    Duration,
    /// The URL of a proxy, whose password is not shown.
    ProxyUrl,
    /// A path; a relative one is relative to the configuration file's folder.
    Path,
    /// A list of texts.
    List,
    /// A secret, inline or from one of the sources.
    Secret,
    /// A list of secrets, each inline or from one of the sources.
    Secrets,
}

impl Takes {
    /// Advice what to write, for messages.
    pub fn advice(self) -> String {
        match self {
            Self::ProxyUrl => "write a URL such as \"http://proxy.example:3128\"".to_owned(),
            Self::Text => "write a text in quotes".to_owned(),
            Self::Word(words) => format!("write {}", quoted(words)),
            Self::Switch => "write true or false".to_owned(),
            Self::Number => "write a whole number without quotes".to_owned(),
            Self::Duration => "write a duration such as \"30s\", \"10m\" or \"7d\"".to_owned(),
            Self::Path => "write a path in quotes".to_owned(),
            Self::List => "write a list of texts such as [\"…\", \"…\"]".to_owned(),
            Self::Secret => {
                "write { file = \"…\" }, { env = \"…\" }, { credential = \"…\" }, { command = [\"…\"] } or \
                             the secret itself in quotes"
                    .to_owned()
            }
            Self::Secrets => "write a list of secrets such as [{ file = \"…\" }, { file = \"…\" }]".to_owned(),
        }
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

/// Every setting, in the order in which they are shown.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting_of("server.listen", Takes::Text, Some(r#""127.0.0.1:8484""#),
        "The server's address: \"host:port\" (port 0: a free one), or \"unix:/path\" for a Unix socket of mode 0600."),
    setting_of("server.base_path", Takes::Text, Some(r#""""#),
        "A path before /v1/integrations. Clients of AutoGPT Platform look under \"/external-api\"."),
    setting_of("server.public_url", Takes::Text, Some(r#""http://127.0.0.1:8484""#),
        "The server's URL for others. The URLs that it hands out begin with it."),
    setting_of("server.trusted_proxies", Takes::List, Some(r"[]"),
        "Addresses or networks of reverse proxies whose X-Forwarded-For counts."),
    setting_of("server.tls.certificate", Takes::Path, None,
        "PEM file with the certificate and its chain, read again when it changes. Without it, put a reverse proxy in front."),
    setting_of("server.tls.key", Takes::Path, None,
        "PEM file with the certificate's private key."),
    setting_of("server.shutdown_grace", Takes::Duration, Some(r#""20s""#),
        "Time that running requests may still take after a stop was asked for."),
    setting_of("server.max_connections", Takes::Number, Some(r"4096"),
        "Number of connections that may be open at once."),
    setting_of("limits.body_memory", Takes::Number, Some(r"64"),
        "MiB of request bodies and large lists that may be in memory at once. A request beyond it gets 503."),
    setting_of("limits.body_memory_per_key", Takes::Number, Some(r"16"),
        "MiB of the request bodies and large lists of one API key that may be in memory at once. A request beyond it gets 429."),
    setting_of("limits.waiting", Takes::Number, Some(r"1024"),
        "Number of requests that may wait for the disk or for a provider at once. A request beyond it gets 503."),
    setting_of("limits.waiting_per_key", Takes::Number, Some(r"256"),
        "Number of those requests that may present the same API key. A request beyond it gets 429."),
    setting_of("limits.proxied_per_key", Takes::Number, Some(r"256"),
        "Number of requests, and tunnels to hosts without a credential, that one API key may have under way through the proxy. One beyond it gets 429."),
    setting_of("limits.secrets_burst", Takes::Number, Some(r"1000"),
        "Number of secrets that one API key may read at once for one user. A request beyond it gets 429."),
    setting_of("limits.secrets_per_second", Takes::Number, Some(r"100"),
        "Number of secrets a second that one API key may read for one user."),
    setting_of("limits.secrets_per_second_in_all", Takes::Number, Some(r"1000"),
        "Number of secrets a second that a service key may read for all its users."),
    setting_of("limits.credentials_per_user", Takes::Number, Some(r"10000"),
        "Number of credentials that one user may have. A request beyond it gets 409; the command line is not bound."),
    setting_of("limits.bytes_per_user", Takes::Number, Some(r"16"),
        "MiB of sealed credentials that one user may have. A request beyond it gets 409; the command line is not bound."),
    setting_of("limits.registrations_per_day", Takes::Number, Some(r"100"),
        "Number of clients that logins of one user may register at MCP servers in a day (RFC 7591). A login beyond it gets 429."),
    setting_of("vault.path", Takes::Path, Some(r#""strongroom.db""#),
        "The vault's file."),
    setting_of("vault.master_key", Takes::Secret, Some(r#"{ file = "strongroom.key" }"#),
        "The master key that opens the vault, as `strongroom init` writes it."),
    setting_of("vault.passphrase", Takes::Secret, None,
        "A passphrase in place of the master key: from the same sources, or \"prompt\" or \"stdin\"."),
    setting_of("vault.revoke_retry", Takes::Duration, Some(r#""7d""#),
        "Time for which a failed revocation is tried again."),
    setting_of("vault.ballast", Takes::Number, Some(r"8"),
        "MiB held back beside the vault, so that deleting, revoking and audited reads work on a full disk; 0: none."),
    setting_of("vault.verify_every", Takes::Duration, Some(r#""24h""#),
        "Interval at which the server opens every record and counts everything again, as `vault verify` does; \"0s\": never."),
    setting_of("vault.epoch_file", Takes::Path, None,
        "Rollback protection: the newest vault version is also recorded in this file. Put it on storage that an attacker with access to the vault file cannot write."),
    setting_of("backup.directory", Takes::Path, None,
        "The folder that the server writes backups to. Without it, it writes none."),
    setting_of("backup.every", Takes::Duration, Some(r#""24h""#),
        "Age of the newest backup at which the server writes another."),
    setting_of("backup.keep", Takes::Number, Some(r"7"),
        "Number of backups of this vault that are kept. The oldest is deleted after a new one is written."),
    setting_of("audit.retention", Takes::Duration, None,
        "Time for which rows of the audit log are kept, for example \"400d\". Without it, they are kept for ever."),
    setting_of("oauth.callback_origins", Takes::List, Some(r"[]"),
        "Origins (scheme, host and port) that a login may return to. There are none until you set some."),
    setting_of("oauth.localhost_ports", Takes::Word(&["any", "exact"]), Some(r#""any""#),
        "\"any\": an origin with the host localhost allows every port of localhost; \"exact\": its own port only."),
    setting_of("oauth.redirect_uris", Takes::List, Some(r"[]"),
        "Complete callback URLs for the client-id metadata document (/v1/oauth/client.json)."),
    setting_of("oauth.state_ttl", Takes::Duration, Some(r#""10m""#),
        "Time that a login may take."),
    setting_of("oauth.require_iss", Takes::Switch, Some(r"false"),
        "Require at complete the `iss` that a provider announces (RFC 9207)."),
    setting_of("oauth.device", Takes::Switch, Some(r"false"),
        "Allow applications to start the device flow (RFC 8628). It is not bound to the user's browser, so it can be used for phishing."),
    setting_of("oauth.background_refresh", Takes::Switch, Some(r"false"),
        "Refresh tokens before they expire, without a request for them."),
    setting_of("oauth.unclear_refusals_after", Takes::Duration, Some(r#""7d""#),
        "Time after which a credential says that its provider refuses every refresh for a reason that is not understood."),
    setting_of("proxy.connect_timeout", Takes::Duration, Some(r#""10s""#),
        "Time in which the proxy must reach a provider, TLS included."),
    setting_of("proxy.first_byte_timeout", Takes::Duration, Some(r#""10m""#),
        "Time without progress until the head of a proxied response must arrive."),
    setting_of("proxy.idle_timeout", Takes::Duration, Some(r#""5m""#),
        "Time in which the body of a proxied response, or a tunnel to a host without a credential, may pause."),
    setting_of("proxy.listen", Takes::Text, None,
        "The forward proxy's address, written as server.listen. Without it, there is no forward proxy."),
    setting_of("proxy.tls.certificate", Takes::Path, None,
        "PEM file with the certificate of the forward proxy and its chain. Without it, clients speak plain HTTP to it."),
    setting_of("proxy.tls.key", Takes::Path, None,
        "PEM file with that certificate's private key."),
    setting_of("proxy.allow_plaintext", Takes::Switch, Some(r"false"),
        "true: the forward proxy may listen on an address that is not loopback without TLS. Anyone who can read the network then sees API keys."),
    setting_of("proxy.allow_private", Takes::List, Some(r"[]"),
        "Networks that are not public, and that API keys with `--unmatched tunnel` reach without a credential. egress.allow does not cover their hosts."),
    setting_of("egress.allow", Takes::List, Some(r"[]"),
        "Networks where a provider may live although they are not public, such as \"10.0.0.0/8\". They cover URLs that the catalogue or this file fixes, never those that callers choose."),
    setting_of("egress.ca_certificates", Takes::List, Some(r"[]"),
        "PEM files with certification authorities that are trusted in addition to Mozilla's."),
    setting_of("egress.proxy", Takes::ProxyUrl, None,
        "An HTTP proxy through which all connections to providers leave, by CONNECT: \"http://[user@]host:port\". What egress.allow or allow_private covers is reached without it."),
    setting_of("egress.proxy_password", Takes::Secret, None,
        "The password of the user in egress.proxy."),
    setting_of("catalog.only", Takes::List, None,
        "The only providers of the catalogue that exist, beside those that this file describes in full. Without it, all."),
    setting_of("providers.NAME.enabled", Takes::Switch, None,
        "false: the provider does not exist for callers. Its credentials stay listed and can be deleted."),
    setting_of("providers.NAME.exportable", Takes::Switch, None,
        "false: the secrets of this provider's credentials are never given out, neither by GET …/token nor by credential export. Credentials that are created meanwhile stay so for good."),
    setting_of("providers.NAME.client_id", Takes::Text, None,
        "The id that the provider gave to your OAuth client."),
    setting_of("providers.NAME.client_secret", Takes::Secret, None,
        "The secret that the provider gave to your OAuth client."),
    setting_of("providers.NAME.client_secrets", Takes::Secrets, None,
        "Further secrets, tried in this order if the provider rejects the one before. Use them to change secrets without a pause."),
    setting_of("providers.NAME.client_key", Takes::Secret, None,
        "Your OAuth client's private key as PEM (PKCS#8), if the provider's entry has token_auth = \"private_key_jwt\"."),
    setting_of("providers.NAME.client_key_id", Takes::Text, None,
        "The provider's id for that key (`kid`). Without it, its thumbprint (RFC 7638)."),
    setting_of("providers.NAME.lend_client", Takes::Switch, None,
        "Let callers store client_credentials with this client, whose tokens act for you. Without it, they need a client of their own."),
    setting_of("providers.NAME.lend_scopes", Takes::List, None,
        "Scopes that such tokens may have. A request without scopes gets the provider's default_scopes or, if it has none, all of these."),
    setting_of("providers.NAME.allow_private", Takes::List, None,
        "Networks that are not public, where servers that callers choose for this provider may live. Every key with MANAGE_INTEGRATIONS can reach them."),
    setting_of("providers.NAME.ca", Takes::Path, None,
        "PEM file with certification authorities that are trusted in addition to the others, for requests to this provider alone: a server of your own with a private CA."),
    setting_of("providers.NAME.assume_s256", Takes::Switch, None,
        "For MCP servers: trust that an authorization server supports PKCE with S256 although its metadata do not say so, as those of Entra ID and Amazon Cognito."),
    setting_of("providers.NAME.legacy", Takes::Switch, None,
        "For MCP servers: also accept servers of the revision 2025-03-26 of MCP, which have no protected resource metadata (RFC 9728)."),
    setting_of("trusted_issuers.NAME.issuer", Takes::Text, None,
        "An OpenID provider whose access tokens (JWTs) callers may present. `iss` must be exactly this text."),
    setting_of("trusted_issuers.NAME.audience", Takes::List, None,
        "Names of this service. `aud` must contain one of them."),
    setting_of("trusted_issuers.NAME.algorithms", Takes::List, None,
        "Algorithms that a token may be signed with. Without it, RS256 and ES256."),
    setting_of("trusted_issuers.NAME.access_token_claim", Takes::Text, None,
        "The claim that tells an access token from an ID token, for issuers that do not write typ at+jwt (RFC 9068): \"token_use=access\"."),
    setting_of("trusted_issuers.NAME.user_claim", Takes::Text, None,
        "The claim that names the user. Without it, `sub`."),
    setting_of("trusted_issuers.NAME.user_prefix", Takes::Text, None,
        "A prefix of the user's name, so that users of two issuers are never the same."),
    setting_of("trusted_issuers.NAME.permissions", Takes::List, None,
        "Permissions of every token of this issuer."),
    setting_of("trusted_issuers.NAME.permissions_claim", Takes::Text, None,
        "The claim that gives a token further permissions. Without it, `scope`."),
    setting_of("trusted_issuers.NAME.claim_permissions", Takes::List, None,
        "Permissions that values of that claim stand for. A permission's own name always stands for it."),
];

const fn setting_of(key: &'static str, takes: Takes, default: Option<&'static str>, doc: &'static str) -> Setting {
    Setting { key, takes, default, doc }
}

/// Returns the setting with this key; `providers.github.client_id` is `providers.NAME.client_id`.
pub(super) fn setting(key: &str) -> Option<&'static Setting> {
    let key = general(key);
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Returns true if `key` is a section: the beginning of a setting's key, or one provider.
pub(super) fn is_section(key: &str) -> bool {
    let prefix = format!("{}.", general(key));
    SETTINGS.iter().any(|setting| setting.key.starts_with(&prefix))
}

/// Puts `NAME` in the place of a provider's or an issuer's name.
pub(super) fn general(key: &str) -> String {
    match key.split('.').collect::<Vec<_>>()[..] {
        [section @ ("providers" | "trusted_issuers"), _, ref rest @ ..] => {
            [&[section, "NAME"], rest].concat().join(".")
        }
        _ => key.to_owned(),
    }
}

/// Returns the known key that `key` was most likely meant to be.
pub(super) fn nearest(key: &str) -> String {
    let wanted = general(key);
    let sections = SETTINGS.iter().flat_map(|setting| {
        setting.key.match_indices('.').map(|(end, _)| &setting.key[..end]).filter(|section| !section.ends_with("NAME"))
    });
    let candidates = sections.filter(|_| !wanted.contains('.')).chain(SETTINGS.iter().map(|setting| setting.key));
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |known: &str| {
        let whole = strsim::damerau_levenshtein(&wanted, known);
        // The right name in the wrong section is one step away.
        whole.min(strsim::damerau_levenshtein(&last(&wanted), &last(known)) + 1)
    };
    let best = candidates.min_by_key(|known| distance(known)).unwrap_or_default();
    match key.split('.').nth(1) {
        Some(name) if key.starts_with("providers.") || key.starts_with("trusted_issuers.") => {
            best.replace("NAME", name)
        }
        _ => best.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_key_is_found() {
        for (wrong, right) in [
            ("server.listn", "server.listen"),
            ("sever", "server"),
            ("provider", "providers"),
            ("server.state_ttl", "oauth.state_ttl"),
            ("callback_origins", "oauth.callback_origins"),
            ("oauth.callback_origin", "oauth.callback_origins"),
            ("server.tls.cert", "server.tls.key"),
            ("server.tls.certficate", "server.tls.certificate"),
            ("providers.github.client_secrt", "providers.github.client_secret"),
            ("vault.masterkey", "vault.master_key"),
        ] {
            assert_eq!(nearest(wrong), right, "{wrong}");
        }
    }

    #[test]
    fn sections_are_not_settings() {
        assert!(is_section("server") && is_section("server.tls") && is_section("providers"));
        assert!(is_section("providers.github") && !is_section("server.listen") && !is_section("serv"));
        assert!(setting("providers.x.client_id").is_some() && setting("server").is_none());
    }
}
