//! Every fault that an entry can have, with its message.

use super::build::{GOOD, faults};

/// Faults of single values. Each case: a text of the good entry, its replacement, and the beginning
/// of the fault.
const VALUES: &[[&str; 3]] = &[
    ["scope_separator = \",\"", "scope_member = \"\"", "acme.toml:9: oauth.scope_member: must say something"],
    [
        "\"https://acme.example/token\"",
        "\"http://acme.example/token\"",
        "acme.toml:8: oauth.token_url: http is possible only to a loopback host; use https",
    ],
    [
        "\"https://acme.example/token\"",
        "5",
        "acme.toml:8: oauth.token_url: this is a whole number, and must be a string",
    ],
    [
        "\"https://acme.example/token\"",
        "\"https://u:p@acme.example/\"",
        "acme.toml:8: oauth.token_url: a URL with a user name",
    ],
    ["token_url =", "token_ulr =", "acme.toml:8: oauth.token_ulr: unknown key; did you mean 'token_url'?"],
    ["token_url = \"https://acme.example/token\"", "", "acme.toml:6: oauth.token_url: is missing"],
    ["display_name = \"Acme\"", "", "acme.toml:1: display_name: is missing"],
    ["display_name = \"Acme\"", "display_name = \" \"", "acme.toml:1: display_name: must say something"],
    ["[api_key]", "[api_keys]", "acme.toml:22: api_keys: unknown key; did you mean 'api_key'?"],
    ["[api_key]", "[api_key", "acme.toml:22: "],
    ["scope_separator = \",\"", "scope_separator = \"|\"", "acme.toml:9: oauth.scope_separator: not a scope separator"],
    [
        "scope_separator = \",\"",
        "token_auth = \"post_body\"",
        "acme.toml:9: oauth.token_auth: unknown value 'post_body'; did you mean 'post'?",
    ],
    [
        "scope_separator = \",\"",
        "pkce = \"no\"",
        "acme.toml:9: oauth.pkce: this is a string, and must be true or false",
    ],
    ["scope_separator = \",\"", "expires_in = \"1 moon\"", "acme.toml:9: oauth.expires_in: '1 moon' is not a duration"],
    ["scope_separator = \",\"", "issuer = \"acme\"", "acme.toml:9: oauth.issuer: not a URL"],
    ["scope_separator = \",\"", "token_path = \"user\"", "acme.toml:9: oauth.token_path: not a JSON pointer"],
];

/// Contradictions and protected parameters. Each case: a text of the good entry, its replacement,
/// and the beginning of the fault.
const RULES: &[[&str; 3]] = &[
    ["scope_separator = \",\"", "token_body = \"none\"", "acme.toml:9: oauth.token_body: a token request has a body"],
    [
        "scope_separator = \",\"",
        "code_param = \"state\"",
        "acme.toml:9: oauth.code_param: 'state' is another parameter",
    ],
    [
        "scope_separator = \",\"",
        "refresh = { refused_statuses = [401, 429] }",
        "acme.toml:9: oauth.refresh.refused_statuses[1]: not a status that can end a grant",
    ],
    [
        "scope_separator = \",\"",
        "refresh = { refused_messages = [\"invalid\"] }",
        "acme.toml:9: oauth.refresh.refused_messages[0]: too short",
    ],
    [
        "scope_separator = \",\"",
        "refresh = { method = \"DELETE\" }",
        "acme.toml:9: oauth.refresh.method: a token is asked for with GET or POST",
    ],
    [
        "scope_separator = \",\"",
        "refresh = { with = \"access_token\", rotates = true }",
        "acme.toml:9: oauth.refresh.rotates: there is no refresh token to rotate",
    ],
    [
        "scope_separator = \",\"",
        "refresh = { with = \"acces_token\" }",
        "acme.toml:9: oauth.refresh.with: unknown value 'acces_token'; did you mean 'access_token'?",
    ],
    [
        "scope_separator = \",\"",
        "long_lived = { url = \"https://acme.example/long\" }",
        "acme.toml:9: oauth.long_lived.grant_type: is missing",
    ],
    [
        "scope_separator = \",\"",
        "introspect = { url = \"https://acme.example/look\" }\nexpires_in = \"8h\"",
        "acme.toml:9: oauth.introspect: is never asked",
    ],
    [
        "scope_separator = \",\"",
        "access_token = { in = \"header\", name = \"Authorization\" }",
        "acme.toml:9: oauth.access_token.name: not a header that can carry it",
    ],
    [
        "scope_separator = \",\"",
        "access_token = { in = \"query\", name = \"key\", prefix = \"x\" }",
        "acme.toml:9: oauth.access_token.prefix: goes with in =",
    ],
    [
        "scope_separator = \",\"",
        "long_lived = { url = \"https://{api}/long\", grant_type = \"x\" }\ntoken_metadata = [\"api\"]\ninputs.api = { from = \"token\", hosts = [\"api.acme.example\"], example = \"api.acme.example\" }",
        "acme.toml:9: oauth.long_lived.url: the value of '{api}' is not known yet",
    ],
    ["scope_separator = \",\"", "expires_in = \"0s\"", "acme.toml:9: oauth.expires_in: nothing lives for no time"],
    ["scope_separator = \",\"", "announces_iss = true", "acme.toml:9: oauth.announces_iss: needs oauth.issuer"],
    [
        "scope_separator = \",\"",
        "issuer = \"https://acme.example?x=1\"",
        "acme.toml:9: oauth.issuer: an issuer has no query",
    ],
    ["scope_separator = \",\"", "fixed_scopes = true", "acme.toml:10: oauth.default_scopes: never used"],
    ["scope_separator = \",\"", "token_type = \"b r\"", "acme.toml:9: oauth.token_type: not a scheme"],
    ["\"write\"", "\"wri te\"", "acme.toml:10: oauth.default_scopes[1]: not a scope"],
    ["\"write\"", "\"\"", "acme.toml:10: oauth.default_scopes[1]: not a scope"],
    ["\"write\"", "\"a,b\"", "acme.toml:10: oauth.default_scopes[1]: the scope separator ',' is in it"],
    ["\"write\"", "\"read\"", "acme.toml:10: oauth.default_scopes[1]: this scope stands there twice"],
    ["\"write\"", "7", "acme.toml:10: oauth.default_scopes[1]: this is a whole number, and must be a string"],
    [
        "?tenant=all",
        "?state=x",
        "acme.toml:7: oauth.authorize_url: the parameter 'state' is set by the protocol itself",
    ],
    [
        "prompt =",
        "redirect_uri =",
        "acme.toml:13: oauth.authorize_params.redirect_uri: the parameter 'redirect_uri' is set by the protocol",
    ],
    ["prompt =", "scope =", "acme.toml:13: oauth.authorize_params.scope: scopes are given as default_scopes"],
    [
        "[oauth.authorize_params]\nprompt",
        "[oauth.token_params]\ncode_verifier",
        "acme.toml:13: oauth.token_params.code_verifier: the parameter",
    ],
    [
        "[oauth.authorize_params]\nprompt",
        "[oauth.token_headers]\nAuthorization",
        "acme.toml:13: oauth.token_headers.Authorization: this header is ours",
    ],
    [
        "[oauth.authorize_params]\nprompt",
        "[oauth.token_headers]\n\"X Y\"",
        "acme.toml:13: oauth.token_headers.X Y: not a header's name",
    ],
    [
        "[oauth.authorize_params]\nprompt = \"consent\"",
        "[oauth.token_headers]\nX = \"a\\nb\"",
        "acme.toml:13: oauth.token_headers.X: not a header's value",
    ],
    [
        "acme.example/token\"",
        "acme.example/{x}\"",
        "acme.toml:8: oauth.token_url: '{x}' is no input; describe it in [oauth.inputs.x]",
    ],
    [
        "acme.example/token\"",
        "{x}.example/\"",
        "acme.toml:8: oauth.token_url: a placeholder in the host is one whole label",
    ],
    [
        "[oauth.authorize_params]",
        "[oauth.inputs.x]\npattern = \"a\"\nexample = \"a\"\n[oauth.authorize_params]",
        "acme.toml:12: oauth.inputs.x: no URL has this input in it",
    ],
    [
        "[oauth.authorize_params]",
        "[oauth.inputs.x]\npattern = \"(\"\nexample = \"a\"\n[oauth.authorize_params]",
        "acme.toml:13: oauth.inputs.x.pattern: not a pattern",
    ],
    [
        "scope_separator = \",\"",
        "rename = { state = \"s\" }",
        "acme.toml:9: oauth.rename.state: not a parameter that can have another name",
    ],
    [
        "scope_separator = \",\"",
        "rename = { client_id = \"state\" }",
        "acme.toml:9: oauth.rename.client_id: 'state' is another parameter's name",
    ],
    [
        "scope_separator = \",\"",
        "token_metadata = [\"inputs\"]",
        "acme.toml:9: oauth.token_metadata[0]: the credential keeps something of our own",
    ],
    [
        "scope_separator = \",\"",
        "callback_metadata = [\"code\"]",
        "acme.toml:9: oauth.callback_metadata[0]: this parameter belongs to the flow",
    ],
    [
        "scope_separator = \",\"",
        "refresh_params = { scope = \"x\" }",
        "acme.toml:9: oauth.refresh_params.scope: scopes are given",
    ],
    [
        "[api_key]",
        "[api_key]\nheaders = { Cookie = \"a=b\" }",
        "acme.toml:23: api_key.headers.Cookie: this header is ours",
    ],
    [
        "[api_key]",
        "[user_password]\nheaders = { Host = \"a\" }",
        "acme.toml:23: user_password.headers.Host: this header is ours",
    ],
    [
        "[api_key]",
        "[api_key]\nbase_url = \"https://{dc}.acme.example\"",
        "acme.toml:23: api_key.base_url: '{dc}' is no input",
    ],
];

/// Faults of identity and revocation. Each case: a text of the good entry, its replacement, and the
/// beginning of the fault.
const IDENTITY_AND_REVOCATION: &[[&str; 3]] = &[
    [
        "{client_id}/revoke\"",
        "revoke\"\ntoken_param = \"{client_id}\"",
        "acme.toml:21: oauth.revoke.token_param: unknown placeholder",
    ],
    [
        "{client_id}/revoke\"",
        "revoke\"\ngone_statuses = [404, 500]",
        "acme.toml:21: oauth.revoke.gone_statuses[1]: only a refusal",
    ],
    ["username = \"/name\"", "username = \"name\"", "acme.toml:17: oauth.identity.username: not a JSON pointer"],
    ["username = \"/name\"", "", "acme.toml:15: oauth.identity: nothing of the answer is read"],
    ["username = \"/name\"", "username = \"/name\"\nbody = \"{}\"", "acme.toml:18: oauth.identity.body: is not sent"],
    [
        "username = \"/name\"",
        "username = \"/name\"\nmethod = \"POST\"\nbody = \"{\"",
        "acme.toml:19: oauth.identity.body: not JSON",
    ],
    [
        "{client_id}/revoke",
        "{tenant}/revoke",
        "acme.toml:20: oauth.revoke.url: '{tenant}' is no input; describe it in [oauth.inputs.tenant]",
    ],
    [
        "acme.example/apps/{client_id}",
        "{client_id}.acme.example",
        "acme.toml:20: oauth.revoke.url: a placeholder cannot be part of the host",
    ],
    ["https://acme.example/apps/{client_id}/revoke", "revoke", "acme.toml:20: oauth.revoke.url: not a URL"],
    [
        "{client_id}/revoke\"",
        "revoke\"\nbody = \"none\"",
        "acme.toml:21: oauth.revoke.body: without a body nothing carries the token",
    ],
    ["{client_id}/revoke\"", "revoke\"\nmethod = \"GET\"", "acme.toml:21: oauth.revoke.method: a GET has no body"],
    ["{client_id}/revoke\"", "revoke\"\ntokens = []", "acme.toml:21: oauth.revoke.tokens: no token is sent"],
    [
        "{client_id}/revoke\"",
        "revoke\"\nparams = { token = \"x\" }",
        "acme.toml:21: oauth.revoke.params.token: this parameter is set",
    ],
    [
        "{client_id}/revoke\"",
        "revoke\"\nends = \"session\"",
        "acme.toml:21: oauth.revoke.ends: unknown value 'session'; the known ones are grant, token",
    ],
];

/// Faults of further hosts. Each case: the lines of a section, and the rest of the fault.
const HOSTS: &[[&str; 2]] = &[
    ["", "host: is missing"],
    ["host = \"a b\"", "host: a host has no spaces"],
    ["host = \"*.com\"", "host: a pattern has two labels or more"],
    ["host = \"http://a.example\"", "host: http is possible only to a loopback host"],
    ["host = \"b.example\"\n[[hosts]]\nhost = \"B.example:443\"", "host: never used"],
    ["host = \"a.example\"\npaths = [\"git\"]", "paths[0]: a path pattern begins with '/'"],
    ["host = \"a.example\"\nin = \"body\"", "in: a secret goes into a header"],
    ["host = \"a.example\"\nin = \"header\"", "name: goes with in"],
    ["host = \"a.example\"\nname = \"X\"", "name: goes with in"],
    ["host = \"a.example\"\nin = \"header\"\nname = \"X Y\"", "name: not a name"],
    ["host = \"a.example\"\nin = \"query\"\nname = \"k\"\nprefix = \"x\"", "prefix: goes with in"],
    ["host = \"a.example\"\nin = \"basic\"", "user: is missing"],
    ["host = \"a.example\"\nin = \"basic\"\nuser = \"a:b\"", "user: goes with in"],
    ["host = \"a.example\"\nuser = \"a\"", "user: goes with in"],
    ["host = \"a.example\"\nport = 1", "port: unknown key"],
];

#[test]
fn every_fault_of_a_further_host_has_its_key() {
    for [lines, expected] in HOSTS {
        let found = faults(&format!("{GOOD}\n[[hosts]]\n{lines}\n"));
        let is_one = found.lines().count() == 1 && found.contains("hosts[") && found.contains(expected);
        assert!(is_one, "{lines}: {found}");
    }
}

/// Faults of the variables of `run`. Each case: a line at the top of the entry, and the fault.
const VARIABLES: &[[&str; 2]] = &[
    ["env = { GITHUB_TOKEN = \"fixed\" }", "env.GITHUB_TOKEN: not a value of a variable: it has {proxy}"],
    ["env = { github_token = \"{placeholder}\" }", "env.github_token: not a variable of a provider"],
    ["env = { PATH = \"{placeholder}\" }", "env.PATH: not a variable of a provider"],
    ["env = { LD_PRELOAD = \"{proxy}\" }", "env.LD_PRELOAD: not a variable of a provider"],
    ["env = { STRONGROOM_API_KEY = \"{proxy}\" }", "env.STRONGROOM_API_KEY: not a variable of a provider"],
    ["env = { HTTPS_PROXY = \"{proxy}\" }", "env.HTTPS_PROXY: not a variable of a provider"],
    ["placeholder = \"ghp_{36}\"", "placeholder: goes with env"],
    ["placeholder = \"ghp_\"", "placeholder: not a placeholder"],
];

#[test]
fn every_fault_of_a_variable_has_its_key() {
    for [line, expected] in VARIABLES {
        let found = faults(&format!("{line}\n{GOOD}"));
        assert!(found.lines().count() == 1 && found.contains(expected), "{line}: {found}");
    }
}

/// Returns the faults of the good entry with `new` in the place of `old`.
fn faults_with(old: &str, new: &str) -> String {
    assert_eq!(GOOD.matches(old).count(), 1, "{old}");
    faults(&GOOD.replacen(old, new, 1))
}

#[test]
fn every_fault_has_its_file_line_and_key() {
    for [old, new, fault] in [VALUES, RULES, IDENTITY_AND_REVOCATION].into_iter().flatten() {
        let found = faults_with(old, new);
        assert!(found.starts_with(fault) && found.lines().count() == 1, "expected {fault}\n   found {found}");
    }
}

/// Faults of inputs. Each case: the lines of the entry's only input, and the rest of the fault.
const INPUTS: &[[&str; 2]] = &[
    ["example = \"a\"", ": say what it can be: a pattern, or a list of hosts"],
    ["pattern = \"[a-z]\"\nexample = \"1\"", ".example: the example is not a good value itself"],
    ["pattern = \"[a-z]\"\nexample = \"a\"\ndefault = \"1\"", ".default: the default is not a good value itself"],
    ["hosts = [\"*\"]\nexample = \"a\"", ".hosts[0]: not a host"],
    ["hosts = [\"https://acme.example\"]\nexample = \"a\"", ".hosts[0]: not a host"],
    ["hosts = [\"acme\"]\nexample = \"acme\"", ".hosts[0]: not a host"],
    ["from = \"token\"\npattern = \"a\"\nexample = \"a\"", ": 'x' of the token answer is not kept"],
    ["pattern = \"a\"\nexample = \"a\"\nlabel = \"b\"", ".label: unknown key"],
];

#[test]
fn every_fault_of_an_input_has_its_key() {
    for [lines, expected] in INPUTS {
        let entry = GOOD.replace("acme.example/token", "{x}.acme.example/token");
        let found = faults(&format!("{entry}[oauth.inputs.x]\n{lines}\n"));
        let expected = format!("oauth.inputs.x{expected}");
        assert!(found.lines().any(|line| line.contains(&expected)), "{lines}: {found}");
    }
    let whole = GOOD.replace("https://acme.example/token", "https://{x}/token");
    let found = faults(&format!("{whole}[oauth.inputs.x]\npattern = \"a\"\nexample = \"a\"\n"));
    assert!(found.contains("oauth.token_url: '{x}' is the whole host; oauth.inputs.x needs hosts"), "{found}");
    let early = GOOD.replace("/authorize?", "/{x}/authorize?");
    let found = faults(&format!("{early}[oauth.inputs.x]\nfrom = \"callback\"\npattern = \"a\"\nexample = \"a\"\n"));
    assert!(
        found.contains("oauth.authorize_url: the value of '{x}' is not known yet when this URL is needed"),
        "{found}"
    );
}

#[test]
fn an_unknown_name_in_catalog_only_is_a_fault() {
    let config =
        crate::config::Config::from_toml("[catalog]\nonly = [\"githb\"]\n", std::path::Path::new("/x")).unwrap();
    let built = crate::catalog::Catalog::build([]).unwrap().restricted_to(&config);
    let fault = built.unwrap_err().to_string();
    let expected = "strongroom.toml:2: catalog.only: the catalogue has no provider 'githb'; did you mean 'github'?";
    assert!(fault.contains(expected), "{fault}");
}
