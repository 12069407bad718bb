//! The settings as a whole: defaults, faults and warnings.

use std::os::unix::fs::PermissionsExt;

use serde_json::Map;

use super::super::listen::Listen;
use super::super::table::SETTINGS;
use super::super::trusted_issuers::ToldBy;
use super::*;
use crate::config::Unlock;
use crate::jose::Algorithm;

fn load(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_toml(text, Path::new("/nowhere"))
}

fn faults(text: &str) -> Vec<String> {
    load(text).unwrap_err().0.iter().map(|fault| fault.to_string().replace("/nowhere/strongroom.toml", "f")).collect()
}

fn warnings(text: &str) -> String {
    load(text).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn password_of_the_egress_proxy_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "hunter2\n").unwrap();
    std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let from = |text: &str| Config::from_toml(&format!("[egress]\n{text}"), folder.path());
    for text in [
        "proxy = \"http://user:hunter2@proxy.example:3128\"",
        "proxy = \"http://user@proxy.example:3128\"\nproxy_password = { file = \"password\" }",
        "proxy = \"http://user@proxy.example:3128\"\nproxy_password = \"hunter2\"",
    ] {
        let config = from(text).unwrap();
        assert!(config.egress.proxy.as_ref().unwrap().has_password(), "{text}");
        // `shown` is what `config show` prints.
        assert!(!format!("{config:?}").contains("hunter2"), "{text}");
        let url = config.shown.iter().find(|shown| shown.key == "egress.proxy").unwrap().value.to_string();
        assert!(url.contains("proxy.example:3128") && !url.contains("hunter2"), "{url}");
        assert_eq!(config.warnings.len(), usize::from(!text.contains("file")), "{:?}", config.warnings);
    }
    for (text, fault) in [
        ("proxy = \"hunter2\"", "2: egress.proxy: this is not a URL"),
        ("proxy = \"https://u:hunter2@p\"", "2: egress.proxy: TLS to the egress proxy is not supported"),
        ("proxy = \"http://u:hunter2@p\"\nproxy_password = \"hunter2\"", "3: egress.proxy_password: egress.proxy has"),
        ("proxy = \"http://p\"\nproxy_password = \"hunter2\"", "3: egress.proxy_password: egress.proxy has no user"),
        ("proxy_password = \"hunter2\"", "2: egress.proxy_password: there is no egress.proxy"),
        ("proxy = \"http://u@p\"\nproxy_password = { file = \"none\" }", "3: egress.proxy_password: the file"),
        ("proxy = 3128", "2: egress.proxy: this is a whole number; write a URL"),
    ] {
        let faults = from(text).unwrap_err().to_string();
        assert!(faults.contains(fault) && !faults.contains("hunter2"), "{text}: {faults}");
    }
}

#[test]
fn file_with_authorities_is_checked_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "nothing\n").unwrap();
    let text = "[egress]\nca_certificates = [\"empty.pem\"]\n[providers.gitlab]\nca = \"none.pem\"\n\
                [providers.github]\nca = \"empty.pem\"\n[providers.slack]\nca = 1\n";
    let path = folder.path();
    let faults = Config::from_toml(text, path).unwrap_err().to_string();
    for part in [
        "toml:8: providers.slack.ca: this is a whole number; write a path in quotes",
        "toml:2: egress.ca_certificates[0]: ",
        "toml:4: providers.gitlab.ca: ",
        "none.pem: No such file",
        "toml:6: providers.github.ca: ",
        "empty.pem: the file has no usable PEM certificate",
    ] {
        assert!(faults.contains(part), "{part}: {faults}");
    }
}

#[test]
fn doubled_path_in_the_public_url_is_a_fault() {
    let with = |url: &str, base: &str| format!("[server]\npublic_url = \"{url}\"\nbase_path = \"{base}\"\n");
    for (url, base) in [
        ("https://x.example/vault", "/vault"),
        ("https://x.example/vault/", "/vault"),
        ("https://x.example/a/b", "/a/b"),
        ("https://x.example/apps/vault", "/vault"),
        ("https://x.example/v1/integrations", ""),
        ("https://x.example/vault/v1/integrations/", "/vault"),
    ] {
        let found = faults(&with(url, base));
        assert!(found.len() == 1 && found[0].starts_with("f:2: server.public_url: it ends with"), "{url}: {found:?}");
    }
    for (url, base) in [
        ("https://x.example", "/vault"),
        ("https://x.example/vault", ""),
        ("https://x.example/myvault", "/vault"),
        ("https://x.example/apps", "/vault"),
    ] {
        assert!(load(&with(url, base)).is_ok(), "{url}");
    }
}

#[test]
fn lent_client_needs_a_list_of_scopes() {
    let with = |scopes: &str| format!("[providers.github]\nclient_id = \"c\"\nlend_client = true\n{scopes}");
    let found = faults(&with(""));
    let expected = "f:3: providers.github.lend_client: providers.github.lend_scopes is missing: list the scopes that \
                    callers may request with this client, or write [] if they may request none";
    assert_eq!(found, [expected]);
    for scopes in ["lend_scopes = []", "lend_scopes = [\"read\"]"] {
        let config = load(&with(scopes)).unwrap();
        assert!(config.providers.values().all(|github| github.lent_scopes().is_some()), "{scopes}");
    }
    load("[providers.github]\nclient_id = \"c\"\nlend_client = false\n").unwrap();
}

#[test]
fn a_fault_is_one_line() {
    let text = "[server]\nlisten = \"a\\u001b[31m\\nb\"\n\"x\\ny\" = 1\n";
    for fault in faults(text) {
        assert!(!fault.contains(char::is_control), "{fault:?}");
    }
    assert!(faults(text)[0].contains("'a\\u{1b}[31m\\nb' is not an address"), "{:?}", faults(text));
}

#[test]
fn an_empty_file_means_the_defaults() {
    let config = load("").unwrap();
    assert_eq!(config.server.listen, Listen::Tcp { host: "127.0.0.1".into(), port: 8484 });
    assert_eq!(config.server.public_url.as_str(), "http://127.0.0.1:8484/");
    assert_eq!(config.server.shutdown_grace.as_secs(), 20);
    assert_eq!(config.server.max_connections, 4096);
    assert_eq!(config.vault.path, Path::new("/nowhere/strongroom.db"));
    assert!(matches!(&config.vault.unlock, Unlock::MasterKey(SecretSource::File(f)) if f.ends_with("strongroom.key")));
    assert_eq!(config.vault.revoke_retry.as_secs(), 7 * 86_400);
    assert_eq!(config.audit.retention, None, "the audit log is kept for ever");
    assert_eq!(config.oauth.state_ttl.as_secs(), 600);
    assert!(config.oauth.callback_origins.is_empty() && config.egress.allow.is_empty());
    assert!(!config.oauth.require_iss && !config.oauth.background_refresh && config.server.tls.is_none());
    assert!(config.providers.is_empty() && config.warnings.is_empty());
}

#[test]
fn the_example_has_every_setting_and_default() {
    let text = include_str!("../../config.example.toml");
    let (Document { values: example, .. }, faults) = document::parse(text, Path::new("f"));
    assert_eq!(faults, []);
    let config = load(text).unwrap();
    assert!(config.warnings.is_empty() && config.providers.is_empty());
    for setting in SETTINGS {
        let name = setting.key.rsplit('.').next().unwrap();
        if let Some(default) = setting.default {
            let (section, key) = setting.key.split_once('.').unwrap();
            assert_eq!(Some(&example[section][key]), layers::inline(default).as_ref(), "{}", setting.key);
        } else {
            let shown = text.lines().any(|line| {
                let line = line.strip_prefix("# ").unwrap_or_default();
                line.starts_with(&format!("{name} = ")) || line.starts_with(&format!("tls.{name} = "))
            });
            assert!(shown, "{} is not in the example", setting.key);
        }
    }
    let count =
        |table: &Map<String, Value>| table.values().map(|value| value.as_object().map_or(1, Map::len)).sum::<usize>();
    assert_eq!(count(&example), SETTINGS.iter().filter(|setting| setting.default.is_some()).count());
}

#[test]
fn comments_of_the_example_are_legal_settings() {
    let text = include_str!("../../config.example.toml");
    let commented: Vec<String> = text
        .lines()
        .skip_while(|line| !line.starts_with("[server]"))
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('[') || line.split_once(" = ").is_some_and(|(k, _)| !k.contains(' ')))
        .filter(|line| {
            ![
                "listen = ",
                "tls.",
                "passphrase",
                "directory",
                "epoch_file",
                "retention",
                "client_key = ",
                "ca = ",
                "proxy",
            ]
            .iter()
            .any(|begins| line.starts_with(begins))
        })
        .map(|line| {
            let files = ["acme.secret", "github.new", "github.old"];
            let line = line.replace("{ env = \"GITHUB_CLIENT_SECRET\" }", "\"x\"");
            files.iter().fold(line, |line, file| line.replace(&format!("{{ file = \"{file}\" }}"), "\"x\""))
        })
        .collect();
    let config = load(&commented.join("\n")).unwrap();
    assert_eq!((config.providers.len(), config.trusted_issuers.len()), (2, 1));
    assert_eq!(config.providers[&"acme".parse().unwrap()].entry.values.len(), 2);
    let retention = text.lines().find_map(|line| line.strip_prefix("# retention = ")).unwrap();
    let config = load(&format!("[audit]\nretention = {retention}")).unwrap();
    assert_eq!(config.audit.retention.unwrap().as_secs(), 400 * 86_400);
}

#[test]
fn every_fault_is_reported_with_its_line() {
    let text = r#"[server]
listn = "127.0.0.1:1"
base_path = "api/"
public_url = "strongroom.example.com"
trusted_proxies = ["10.0.0.1/8", "proxy"]
shutdown_grace = "soon"
max_connections = 0
tls = { certificate = "c.pem" }
[vault]
path = 7
passphrase = { fil = "x" }
[oauth]
callback_origins = [
  "https://app.example.com/cb",
  "http://app.example.com",
]
localhost_ports = "some"
state_ttl = "0s"
require_iss = "yes"
[egress]
allow = "10.0.0.0/8"
[provider.github]
client_id = "x"
[providers.github]
client_id = ""
client_secret = { file = "a", env = "B" }
[providers.GitLab]
client_id = "x"
[providers.acme]
client_secret = { env = "SURELY_NOT_SET" }
"#;
    let expected = [
        "f:2: server.listn: unknown key; the nearest known one is server.listen",
        "f:3: server.base_path: write a path with a slash before",
        "f:4: server.public_url: this is not a URL",
        "f:5: server.trusted_proxies[0]: '10.0.0.1/8' has bits beyond its prefix; write \"10.0.0.0/8\"",
        "f:5: server.trusted_proxies[1]: 'proxy' is not a network",
        "f:6: server.shutdown_grace: 'soon' is not a duration",
        "f:7: server.max_connections: out of range; write a number from 1 to 1000000",
        "f:8: server.tls.key: is missing",
        "f:10: vault.path: this is a whole number; write a path in quotes",
        "f:11: vault.passphrase: unknown source 'fil'; write { file",
        "f:14: oauth.callback_origins[0]: an origin has no path, query or fragment; write \"https://app.example.com\"",
        "f:15: oauth.callback_origins[1]: http is allowed for loopback hosts alone; write \"https://app.example.com\"",
        "f:17: oauth.localhost_ports: write \"any\" or \"exact\"",
        "f:18: oauth.state_ttl: out of range; write a duration from 1s to 1d",
        "f:19: oauth.require_iss: this is a string; write true or false",
        "f:21: egress.allow: this is a string; write a list",
        "f:22: provider: unknown key; the nearest known one is providers",
        "f:25: providers.github.client_id: a client id is not empty",
        "f:26: providers.github.client_secret: give one source",
        "f:27: providers.GitLab: a provider name has",
        "f:30: providers.acme.client_secret: the environment variable SURELY_NOT_SET: it is not set",
    ];
    let found = faults(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nis not\n{expected}");
    }
}

#[test]
fn a_syntax_error_does_not_hide_other_faults() {
    let found = faults("[server]\nlisten = \"127.0.0.1\nbase_path = \"x\"\n");
    assert!(found.iter().any(|fault| fault.starts_with("f:2: this is not TOML")), "{found:?}");
    assert!(found.iter().any(|fault| fault.starts_with("f:3: server.base_path")), "{found:?}");
}

#[test]
fn messages_repeat_no_secret() {
    let text = "[vault]\nmaster_key = [\"hunter2\"]\n[providers.x]\nclient_secret = { command = \"hunter2\" }\n\
                client_secrt = \"hunter2\"\n[providers.y]\nclient_secret = { hunter = \"hunter2\", file = \"hunter2\" }\n";
    let found = faults(text);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(!found.join("").contains("hunter2"), "{found:?}");
}

#[test]
fn environment_overrides_file_and_options_both() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.toml");
    std::fs::write(&file, "[server]\nlisten = \"127.0.0.1:1\"\nbase_path = \"/a\"\n[vault]\npath = \"a\"\n").unwrap();
    let environment = Environment::given([
        ("STRONGROOM_SERVER__LISTEN", "[::1]:2"),
        ("STRONGROOM_VAULT__PATH", "b"),
        ("STRONGROOM_VAULT__MASTER_KEY", "hunter2"),
    ]);
    let mut sources = Sources { file: Some(file), environment, ..Sources::default() };
    let config = Config::load(&sources, ClientSecrets::Require).unwrap();
    assert_eq!(config.server.listen.to_string(), "[::1]:2");
    assert_eq!(config.server.base_path, "/a");
    assert_eq!(config.vault.path, folder.path().join("b"));
    let Unlock::MasterKey(source) = &config.vault.unlock else { panic!() };
    assert!(config.secrets.read(source).unwrap().equals("hunter2"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);

    sources.vault = Some("/c".into());
    assert_eq!(Config::load(&sources, ClientSecrets::Leave).unwrap().vault.path, Path::new("/c"));

    sources.environment =
        Environment::given([("STRONGROOM_SERVER__LISTN", "x"), ("STRONGROOM_SERVER__MAX_CONNECTIONS", "many")]);
    let faults = Config::load(&sources, ClientSecrets::Leave).unwrap_err().to_string();
    assert_eq!(
        faults,
        "environment variable STRONGROOM_SERVER__LISTN: server.listn: unknown key; the nearest known one is server.listen\n\
         environment variable STRONGROOM_SERVER__MAX_CONNECTIONS: server.max_connections: this is a string; \
         write a whole number without quotes"
    );
}

#[test]
fn the_file_is_searched_in_three_places() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("strongroom")).unwrap();
    let file = folder.path().join("strongroom/strongroom.toml");
    std::fs::write(&file, "").unwrap();
    let environment = Environment::given([("XDG_CONFIG_HOME", folder.path().to_str().unwrap())]);
    let found = Config::load(&Sources { environment, ..Sources::default() }, ClientSecrets::Leave).unwrap();
    assert_eq!(found.file, Some(file));

    let sources = Sources { file: Some("/no/such.toml".into()), ..Sources::default() };
    let fault = Config::load(&sources, ClientSecrets::Leave).unwrap_err().to_string();
    assert!(fault.starts_with("/no/such.toml:1: the configuration cannot be read"), "{fault}");
}

#[test]
fn client_secrets_are_read_if_requested() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.toml");
    std::fs::write(&file, "[providers.x]\nclient_id = \"i\"\nclient_secret = { file = \"none\" }\n").unwrap();
    let sources = Sources { file: Some(file), ..Sources::default() };
    let x = "x".parse().unwrap();
    let left = Config::load(&sources, ClientSecrets::Leave).unwrap();
    assert!(left.warnings.is_empty() && left.providers[&x].has_client_secret());
    let tried = Config::load(&sources, ClientSecrets::Try).unwrap();
    assert!(tried.warnings.len() == 1 && tried.providers[&x].client_secrets.is_empty());
    let fault = Config::load(&sources, ClientSecrets::Require).unwrap_err().to_string();
    assert!(fault.contains("s.toml:3: providers.x.client_secret: the file"), "{fault}");
}

#[test]
fn settings_without_effect_are_warnings() {
    let useless = warnings("[providers.x]\nclient_id = \"c\"\nclient_key_id = \"k\"\nlend_scopes = [\"a\"]\n");
    for (key, needs) in [
        ("providers.x.client_key_id", "providers.x.client_key"),
        ("providers.x.lend_scopes", "providers.x.lend_client = true"),
    ] {
        let expected = format!("{key}: this setting has no effect without {needs}");
        assert!(useless.contains(&expected), "{useless}");
    }
}

#[test]
fn inadvisable_settings_earn_a_warning() {
    let public = warnings(
        "[server]\nlisten = \"0.0.0.0:80\"\npublic_url = \"http://a.example/\"\n[oauth]\n\
         callback_origins = [\"http://localhost\"]\nbackground_refresh = true\n[egress]\nallow = [\"0.0.0.0/0\"]\n\
         [vault]\nmaster_key = \"hunter2\"\n[providers.x]\nclient_secret = \"hunter2\"\n",
    );
    for warning in [
        "toml:2: server.listen: the server is open to the network without TLS",
        "toml:3: server.public_url: plain http",
        "toml:5: oauth.callback_origins: logins of this public server may return to any port of localhost",
        "toml:8: egress.allow: 0.0.0.0/0 is every address",
        "toml:10: vault.master_key: the secret is in the configuration file",
        "toml:12: providers.x.client_secret: the secret is in the configuration file",
        "toml:12: providers.x.client_secret: a secret needs a client id",
    ] {
        assert!(public.contains(warning), "{warning}\nis not in\n{public}");
    }
    assert!(!public.contains("hunter2"));

    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("strongroom.key");
    std::fs::write(&key, "x").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let config = Config::from_toml("", folder.path()).unwrap();
    assert!(config.warnings[0].message.contains("chmod 0400"), "{:?}", config.warnings);
}

#[test]
fn config_show_masks_secrets_and_names_sources() {
    let config = load(
        "[vault]\nmaster_key = \"hunter2\"\n[providers.x]\nclient_id = \"i\"\n\
         client_secret = { command = [\"echo\", \"hunter2\"] }\n\
         [providers.x.oauth]\ntoken_headers = { Authorization = \"hunter2\" }\n",
    )
    .unwrap();
    let shown: Vec<String> = config.shown.iter().map(|s| format!("{} = {} # {}", s.key, s.value, s.location)).collect();
    assert!(!shown.join("\n").contains("hunter2"), "{shown:?}");
    assert!(shown[0].starts_with("server.listen = \"127.0.0.1:8484\" # default"), "{shown:?}");
    assert!(shown.contains(&"vault.master_key = \"********\" # /nowhere/strongroom.toml:2".to_owned()), "{shown:?}");
    assert!(
        shown.iter().any(|line| line.starts_with("providers.x.client_secret = { command = [\"echo\", ")),
        "{shown:?}"
    );
}

#[test]
fn an_entry_keeps_the_location_of_each_key() {
    let config = load("[providers.acme.oauth]\ntoken_url = \"x\"\ndefault_scopes = [\n\"a\",\n\"b\"]\n").unwrap();
    let entry = &config.providers[&"acme".parse().unwrap()].entry;
    let line = |key: &str| match entry.location(key) {
        Location::File { line, .. } => line,
        other => panic!("{other}"),
    };
    assert_eq!(["", "oauth.token_url", "oauth.default_scopes[1]", "oauth.authorize_url"].map(line), [1, 2, 5, 1]);
}

#[test]
fn trusted_issuers_are_read_and_checked() {
    let read = |more: &str| {
        let text =
            format!("[trusted_issuers.corp]\nissuer = \"https://login.example.com\"\naudience = [\"vault\"]\n{more}");
        load(&text).map(|mut config| config.trusted_issuers.remove(&"corp".parse().unwrap()).unwrap())
    };
    let plain = read("").unwrap();
    assert_eq!((plain.iss.as_str(), plain.user_claim.as_str()), ("https://login.example.com", "sub"));
    assert_eq!((&plain.told_by, plain.permissions_claim.as_str()), (&ToldBy::Type, "scope"));
    assert_eq!(plain.algorithms, [Algorithm::Rs256, Algorithm::Es256]);
    assert!(plain.permissions.is_empty() && plain.claim_permissions.is_empty());
    let more = "access_token_claim = \"token_use = access\"\nuser_prefix = \"corp|\"\npermissions = [\"READ_INTEGRATIONS\"]\n\
                claim_permissions = [\"v:a=USE_INTEGRATIONS\", \"v:a=READ_INTEGRATIONS\"]";
    let told = read(more).unwrap();
    assert_eq!(told.told_by, ToldBy::Claim("token_use".into(), "access".into()));
    assert_eq!(told.claim_permissions["v:a"].to_string(), "READ_INTEGRATIONS, USE_INTEGRATIONS");
    for (wrong, message) in [
        ("algorithms = [\"HS256\"]", "toml:4: trusted_issuers.corp.algorithms[0]: unknown value 'HS256'"),
        ("algorithms = [\"none\"]", "unknown value 'none'"),
        ("permissions = [\"EVERYTHING\"]", "unknown value 'EVERYTHING'"),
        ("claim_permissions = [\"ADMIN\"]", "write a value of the claim and the permission"),
        ("access_token_claim = \"token_use\"", "write the claim and its value"),
        ("user_prefix = \"a b\"", "a user id has"),
        ("isuer = \"x\"", "the nearest known one is trusted_issuers.corp.issuer"),
    ] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(error.contains(message), "{wrong}: {error}");
    }
    let missing = faults("[trusted_issuers.corp]\nuser_claim = \"sub\"\n").join("\n");
    assert!(missing.contains("corp.issuer: is missing") && missing.contains("corp.audience: is missing"), "{missing}");
    let issuer = "issuer = \"https://a.example\"\naudience = [\"a\"]\n";
    let twice = faults(&format!("[trusted_issuers.a]\n{issuer}[trusted_issuers.b]\n{issuer}"));
    assert!(
        twice.join("\n").contains(":5: trusted_issuers.b.issuer: this is the issuer of trusted_issuers.a"),
        "{twice:?}"
    );
    assert!(faults("[trusted_issuers.\"Corp Inc\"]\n").join("\n").contains("an issuer name has"));
}
