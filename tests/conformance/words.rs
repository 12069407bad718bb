//! Entries that say what is seldom said: each word of the vocabulary that few providers of the catalogue need, or none yet.

use strongroom::catalog::Provider;

/// A name, and the keys of its `[oauth]` beyond the URLs.
const ENTRIES: &[(&str, &str)] = &[
    ("code_under_another_name", r#"code_param = "auth_code""#),
    ("scopes_in_the_callback", r#"callback_scope = "granted""#),
    ("callback_kept", r#"callback_metadata = ["realmId", "shop"]"#),
    ("refresh_told_its_end", r#"refresh = { lifetime_member = "refresh_expires_in", lifetime = "3d" }"#),
    ("end_as_a_date", "expires_in_unit = \"date\"\nexpires_in_member = \"expires_at\""),
    ("end_in_milliseconds", r#"expires_in_unit = "milliseconds""#),
    ("end_as_a_time", "expires_in_unit = \"unix_milliseconds\"\nexpires_in_member = \"expires\""),
    ("end_by_introspection", r#"introspect = { url = "https://acme.example/introspect", auth = "post" }"#),
    ("token_in_a_header", r#"access_token = { in = "header", name = "X-Acme-Token", prefix = "token " }"#),
    ("token_in_a_query", r#"access_token = { in = "query", name = "access_token" }"#),
    ("token_of_another_scheme", r#"token_type = "Acme-Token""#),
    ("nested", "token_path = \"/data/user/0\"\ntoken_metadata = [\"/data/team/id\", \"member\"]"),
    ("prefixed", r#"scope_prefix = "https://acme.example/auth/""#),
    (
        "renamed",
        r#"rename = { client_id = "app_id", client_secret = "app_key", redirect_uri = "return", scope = "perms", code = "ticket", grant_type = "kind", refresh_token = "renewal", code_verifier = "proof", code_challenge = "challenge", token = "victim" }
token_auth = "post""#,
    ),
    (
        "long_lived",
        r#"token_type = "bearer"
token_auth = "post"
long_lived = { url = "https://graph.acme.example/access_token", grant_type = "acme_exchange" }
refresh_url = "https://graph.acme.example/refresh"
refresh = { with = "access_token", method = "GET", grant_type = "acme_refresh", auth = "none", lifetime = "60d" }"#,
    ),
    (
        "long_lived_by_post",
        r#"long_lived = { url = "https://acme.example/lengthen?v=2", method = "POST", grant_type = "acme_exchange", token_param = "short_token", auth = "basic_raw" }
token_path = "/data""#,
    ),
    ("client_id_in_header_and_body", r#"token_auth = "basic_with_id""#),
    ("refresh_repeats_the_redirect_uri", "refresh = { redirect_uri = true, rotates = true }"),
    (
        "two_tokens_in_one_answer",
        r#"further_tokens = { user = { path = "/authed_user", scope_param = "user_scope", account = "/authed_user/id" } }
refresh = { rotates = true, redirect_uri = true }"#,
    ),
    (
        "refresh_refused_in_own_words",
        r#"refresh = { refused_errors = ["token_gone", "4001"], refused_messages = ["your token is dead"], refused_statuses = [403] }"#,
    ),
    ("refresh_elsewhere", "refresh_url = \"https://acme.example/refresh?again=1\"\nrefresh_params = { extra = \"1\" }"),
];

/// All of them.
pub fn entries() -> Vec<Provider> {
    let provider = |(name, words): &(&str, &str)| {
        let auth = if words.contains("token_auth") { "" } else { "token_auth = \"basic\"\n" };
        let text = format!(
            "display_name = \"Acme\"\n[oauth]\nauthorize_url = \"https://acme.example/authorize?tenant=all\"\n\
             token_url = \"https://acme.example/token\"\ndefault_scopes = [\"read\"]\n{auth}{words}\n\
             [oauth.identity]\nurl = \"https://acme.example/me?full=1\"\nusername = \"/name\"\naccount = \"/id\"\n\
             [oauth.revoke]\nurl = \"https://acme.example/revoke\"\nauth = \"bearer\"\n"
        );
        let entry = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Provider { name: name.parse().expect("a provider's name"), entry }
    };
    ENTRIES.iter().map(provider).collect()
}
