//! The table of settings: key, what it takes, default, meaning. What the loader knows, what `config show` prints and
//! what `config.example.toml` is held against all come from here.

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key. `NAME` in it stands for a provider's or an issuer's name.
    pub key: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Its default as TOML; `None` where there is none.
    pub default: Option<&'static str>,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

/// What a setting takes.
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
    /// What to write, for messages.
    pub fn advice(self) -> String {
        match self {
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

/// Every setting there is, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "server.listen",
        takes: Takes::Text,
        default: Some(r#""127.0.0.1:8484""#),
        doc: "Where the server listens: \"host:port\" (port 0: a free one), or \"unix:/path\" for a Unix socket of mode 0600.",
    },
    Setting {
        key: "server.base_path",
        takes: Takes::Text,
        default: Some(r#""""#),
        doc: "What stands before /v1/integrations; clients of AutoGPT Platform look under \"/external-api\".",
    },
    Setting {
        key: "server.public_url",
        takes: Takes::Text,
        default: Some(r#""http://127.0.0.1:8484""#),
        doc: "How others reach the server, for the URLs that it hands out.",
    },
    Setting {
        key: "server.trusted_proxies",
        takes: Takes::List,
        default: Some("[]"),
        doc: "Addresses or networks of reverse proxies whose X-Forwarded-For counts.",
    },
    Setting {
        key: "server.tls.certificate",
        takes: Takes::Path,
        default: None,
        doc: "PEM file with the certificate and its chain, read again when it changes; without it, put a reverse proxy in front.",
    },
    Setting {
        key: "server.tls.key",
        takes: Takes::Path,
        default: None,
        doc: "PEM file with the certificate's private key.",
    },
    Setting {
        key: "server.shutdown_grace",
        takes: Takes::Duration,
        default: Some(r#""20s""#),
        doc: "How long answers that are under way may take after a stop was asked for.",
    },
    Setting {
        key: "server.max_connections",
        takes: Takes::Number,
        default: Some("4096"),
        doc: "How many connections may be open at once.",
    },
    Setting { key: "vault.path", takes: Takes::Path, default: Some(r#""strongroom.db""#), doc: "The vault's file." },
    Setting {
        key: "vault.master_key",
        takes: Takes::Secret,
        default: Some(r#"{ file = "strongroom.key" }"#),
        doc: "The master key that opens the vault, as `strongroom init` writes it.",
    },
    Setting {
        key: "vault.passphrase",
        takes: Takes::Secret,
        default: None,
        doc: "A passphrase in place of the master key: from the same sources, or \"prompt\" or \"stdin\".",
    },
    Setting {
        key: "vault.revoke_retry",
        takes: Takes::Duration,
        default: Some(r#""7d""#),
        doc: "How long a revocation that failed is tried again.",
    },
    Setting {
        key: "vault.ballast",
        takes: Takes::Number,
        default: Some("8"),
        doc: "How many MiB are held back beside the vault, so that deleting, revoking and audited reads go on on a full disk; 0: none.",
    },
    Setting {
        key: "vault.verify_every",
        takes: Takes::Duration,
        default: Some(r#""24h""#),
        doc: "How often the server opens every record and counts everything again, as `vault verify` does; \"0s\": never.",
    },
    Setting {
        key: "vault.epoch_file",
        takes: Takes::Path,
        default: None,
        doc: "A file outside the vault's folder and its backups that knows how new the vault is: an older copy put in its place is found out.",
    },
    Setting {
        key: "backup.directory",
        takes: Takes::Path,
        default: None,
        doc: "The folder that the server writes backups to; without it, it writes none by itself.",
    },
    Setting {
        key: "backup.every",
        takes: Takes::Duration,
        default: Some(r#""24h""#),
        doc: "How old the newest backup may get before the server writes another.",
    },
    Setting {
        key: "backup.keep",
        takes: Takes::Number,
        default: Some("7"),
        doc: "How many backups of this vault stay in the folder; the oldest goes after a new one is written.",
    },
    Setting {
        key: "audit.retention",
        takes: Takes::Duration,
        default: None,
        doc: "For how long rows of the audit log are kept, \"400d\" say; for ever where nothing is said.",
    },
    Setting {
        key: "oauth.callback_origins",
        takes: Takes::List,
        default: Some("[]"),
        doc: "Origins (scheme, host and port) that a login may return to; none until you set some.",
    },
    Setting {
        key: "oauth.localhost_ports",
        takes: Takes::Word(&["any", "exact"]),
        default: Some(r#""any""#),
        doc: "Whether an origin with the host localhost opens every port of localhost, or just its own.",
    },
    Setting {
        key: "oauth.redirect_uris",
        takes: Takes::List,
        default: Some("[]"),
        doc: "The callback URLs, each in full, that the client-id metadata document names (/v1/oauth/client.json).",
    },
    Setting {
        key: "oauth.state_ttl",
        takes: Takes::Duration,
        default: Some(r#""10m""#),
        doc: "How long a begun login may take.",
    },
    Setting {
        key: "oauth.require_iss",
        takes: Takes::Switch,
        default: Some("false"),
        doc: "Whether an `iss` that a provider announces must be handed on at complete (RFC 9207).",
    },
    Setting {
        key: "oauth.device",
        takes: Takes::Switch,
        default: Some("false"),
        doc: "Whether applications may begin the device flow (RFC 8628); nothing binds it to the user's browser, so it can be used for phishing.",
    },
    Setting {
        key: "oauth.background_refresh",
        takes: Takes::Switch,
        default: Some("false"),
        doc: "Whether tokens are refreshed ahead of their end, before anybody asks for them.",
    },
    Setting {
        key: "egress.allow",
        takes: Takes::List,
        default: Some("[]"),
        doc: "Networks where a provider may live although they are not public, such as \"10.0.0.0/8\".",
    },
    Setting {
        key: "egress.ca_certificates",
        takes: Takes::List,
        default: Some("[]"),
        doc: "PEM files with certification authorities that are trusted besides Mozilla's.",
    },
    Setting {
        key: "providers.NAME.client_id",
        takes: Takes::Text,
        default: None,
        doc: "The id that the provider gave to your OAuth client.",
    },
    Setting {
        key: "providers.NAME.client_secret",
        takes: Takes::Secret,
        default: None,
        doc: "The secret that the provider gave to your OAuth client.",
    },
    Setting {
        key: "providers.NAME.client_secrets",
        takes: Takes::Secrets,
        default: None,
        doc: "Further secrets, tried in this order where the provider refuses the one before: change secrets without a pause.",
    },
    Setting {
        key: "providers.NAME.client_key",
        takes: Takes::Secret,
        default: None,
        doc: "Your OAuth client's private key as PEM (PKCS#8), where the provider's entry has token_auth = \"private_key_jwt\".",
    },
    Setting {
        key: "providers.NAME.client_key_id",
        takes: Takes::Text,
        default: None,
        doc: "What the provider calls that key (`kid`); its thumbprint (RFC 7638) where absent.",
    },
    Setting {
        key: "trusted_issuers.NAME.issuer",
        takes: Takes::Text,
        default: None,
        doc: "An OpenID provider whose access tokens (JWTs) callers may present; `iss` must be this, to the letter.",
    },
    Setting {
        key: "trusted_issuers.NAME.audience",
        takes: Takes::List,
        default: None,
        doc: "What `aud` must name one of.",
    },
    Setting {
        key: "trusted_issuers.NAME.algorithms",
        takes: Takes::List,
        default: None,
        doc: "With what a token may be signed; RS256 and ES256 where nothing is said.",
    },
    Setting {
        key: "trusted_issuers.NAME.access_token_claim",
        takes: Takes::Text,
        default: None,
        doc: "By which claim an access token is told from an ID token, for issuers that do not write typ at+jwt (RFC 9068): \"token_use=access\".",
    },
    Setting {
        key: "trusted_issuers.NAME.user_claim",
        takes: Takes::Text,
        default: None,
        doc: "The claim that names the user; `sub` where nothing is said.",
    },
    Setting {
        key: "trusted_issuers.NAME.user_prefix",
        takes: Takes::Text,
        default: None,
        doc: "What is put before it, so that this issuer's users and others are never one.",
    },
    Setting {
        key: "trusted_issuers.NAME.permissions",
        takes: Takes::List,
        default: None,
        doc: "What every token of this issuer may do.",
    },
    Setting {
        key: "trusted_issuers.NAME.permissions_claim",
        takes: Takes::Text,
        default: None,
        doc: "The claim that says what a token may do besides; `scope` where nothing is said.",
    },
    Setting {
        key: "trusted_issuers.NAME.claim_permissions",
        takes: Takes::List,
        default: None,
        doc: "What values of that claim stand for; a permission's own name always stands for it.",
    },
];

/// The setting with this key; `providers.github.client_id` is found as `providers.NAME.client_id`.
pub(super) fn setting(key: &str) -> Option<&'static Setting> {
    let key = general(key);
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Whether `key` is a section: a part of the key of some setting, or one provider.
pub(super) fn is_section(key: &str) -> bool {
    let prefix = format!("{}.", general(key));
    SETTINGS.iter().any(|setting| setting.key.starts_with(&prefix))
}

/// The key with `NAME` in place of a provider's or an issuer's name.
pub(super) fn general(key: &str) -> String {
    match key.split('.').collect::<Vec<_>>()[..] {
        [section @ ("providers" | "trusted_issuers"), _, ref rest @ ..] => {
            [&[section, "NAME"], rest].concat().join(".")
        }
        _ => key.to_owned(),
    }
}

/// The known key that `key` most likely stands for.
pub(super) fn nearest(key: &str) -> String {
    let wanted = general(key);
    let sections = SETTINGS.iter().flat_map(|setting| {
        setting.key.match_indices('.').map(|(end, _)| &setting.key[..end]).filter(|section| !section.ends_with("NAME"))
    });
    let candidates: Vec<&str> = if wanted.contains('.') {
        SETTINGS.iter().map(|setting| setting.key).collect()
    } else {
        sections.chain(SETTINGS.iter().map(|setting| setting.key)).collect()
    };
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |known: &str| {
        let whole = strsim::damerau_levenshtein(&wanted, known);
        // The right name in the wrong section is one step away.
        whole.min(strsim::damerau_levenshtein(&last(&wanted), &last(known)) + 1)
    };
    let best = candidates.into_iter().min_by_key(|known| distance(known)).unwrap_or_default();
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
    fn the_nearest_known_key_is_the_one_that_was_meant() {
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
    fn sections_and_settings_are_told_apart() {
        assert!(is_section("server") && is_section("server.tls") && is_section("providers"));
        assert!(is_section("providers.github") && !is_section("server.listen") && !is_section("serv"));
        assert!(setting("providers.x.client_id").is_some() && setting("server").is_none());
    }
}
