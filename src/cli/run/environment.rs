//! The environment of the command: the relay as its proxy, the certificates, and the variables of
//! its credentials.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::bundle::Bundles;
use crate::broker::HostPattern;
use crate::cli::failure::Failure;
use crate::config::{Environment, SecretReader};

/// Variables that name the proxy. libcurl reads `http_proxy` in lower case only.
const PROXY: [&str; 10] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "grpc_proxy",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "YARN_HTTPS_PROXY",
];

/// Variables that name a file in the place of the system's roots.
const BUNDLE: [&str; 15] = [
    "AWS_CA_BUNDLE",
    "BUNDLE_SSL_CA_CERT",
    "CARGO_HTTP_CAINFO",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "CODEX_CA_CERTIFICATE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "NIX_SSL_CERT_FILE",
    "NPM_CONFIG_CAFILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "YARN_HTTPS_CA_FILE_PATH",
    "npm_config_cafile",
];

/// Variables that name a file in addition to the roots of the tool.
const ADDED_CA: [&str; 2] = ["DENO_CERT", "NODE_EXTRA_CA_CERTS"];

/// Hosts that no tool asks the proxy for.
const NO_PROXY: &str = "localhost,127.0.0.1,::1,host.docker.internal";

/// Changes to the inherited environment.
#[derive(Debug, Default)]
pub(super) struct ChildEnvironment {
    pub(super) set: BTreeMap<String, OsString>,
    pub(super) removed: Vec<OsString>,
}

impl ChildEnvironment {
    /// Removes the variables of Strongroom (settings, keys and passphrases), and those from which the
    /// configuration reads secrets.
    pub(super) fn new(inherited: &Environment, secrets: &SecretReader) -> Self {
        let mut removed = inherited.names_beginning_with("STRONGROOM_");
        removed.extend(secrets.hidden().iter().map(OsString::from));
        Self { set: BTreeMap::new(), removed }
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.set.insert(name.to_owned(), value.into());
    }

    /// Sets the proxy. Hosts of credentials are not taken out of it.
    pub(super) fn proxy(&mut self, url: &str, port: u16, bound: &[HostPattern], inherited: &Environment) {
        for name in PROXY {
            self.set(name, url);
        }
        let former = ["no_proxy", "NO_PROXY"].iter().find_map(|name| inherited.get(name)).unwrap_or_default();
        let merged = no_proxy(&former, bound);
        self.set("NO_PROXY", &merged);
        self.set("no_proxy", &merged);
        self.set("NODE_USE_ENV_PROXY", "1");
        let former = inherited.get("JAVA_TOOL_OPTIONS").map(|options| format!("{options} ")).unwrap_or_default();
        let java =
            ["http", "https"].map(|scheme| format!("-D{scheme}.proxyHost=127.0.0.1 -D{scheme}.proxyPort={port}"));
        self.set("JAVA_TOOL_OPTIONS", format!("{former}{} -Dhttp.nonProxyHosts=localhost|127.*|[::1]", java.join(" ")));
    }

    /// Sets the files of certificates.
    pub(super) fn certificates(&mut self, bundles: &mut Bundles, inherited: &Environment) -> Result<(), Failure> {
        for name in BUNDLE {
            let former = inherited.get(name);
            self.set(name, bundles.whole(former.as_deref().map(Path::new))?);
        }
        let ca = bundles.ca()?;
        for name in ADDED_CA {
            self.set(name, &ca);
        }
        // Some tools would look there first.
        self.removed.push("SSL_CERT_DIR".into());
        Ok(())
    }
}

/// Merges the hosts that are reached without the proxy. A bound host is not among them, because no
/// credential would be added to its requests.
fn no_proxy(former: &str, bound: &[HostPattern]) -> String {
    let covers = |item: &str, host: &str| {
        let item = item.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
        item.is_empty() || host == item || host.ends_with(&format!(".{item}"))
    };
    let is_kept = |item: &&str| {
        let name =
            item.rsplit_once(':').map_or(*item, |(name, port)| if port.parse::<u16>().is_ok() { name } else { item });
        let hosts = bound.iter().map(|pattern| pattern.host().trim_start_matches("*.").to_owned());
        !item.is_empty()
            && !hosts.into_iter().any(|host| covers(name, &host))
            && !NO_PROXY.split(',').any(|own| own == *item)
    };
    let former = former.split(',').map(str::trim).filter(is_kept);
    NO_PROXY.split(',').chain(former).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> Vec<HostPattern> {
        ["api.github.com", "*.zendesk.com"].map(|host| host.parse().unwrap()).into()
    }

    #[test]
    fn bound_hosts_do_not_bypass_the_proxy() {
        let merged = |former: &str| no_proxy(former, &bound()).strip_prefix(NO_PROXY).unwrap().to_owned();
        assert_eq!(merged(""), "");
        assert_eq!(merged("internal.example, .corp,localhost,10.0.0.0/8"), ",internal.example,.corp,10.0.0.0/8");
        for former in ["*", "github.com", ".github.com", "*.github.com", "API.GitHub.com:443", "com", "zendesk.com"] {
            assert_eq!(merged(former), "", "{former}");
        }
        assert_eq!(merged("hub.com"), ",hub.com");
    }

    #[test]
    fn variables_of_strongroom_are_removed() {
        let inherited = Environment::given([
            ("STRONGROOM_API_KEY", "srk_x"),
            ("STRONGROOM_VAULT__PASSPHRASE", "x"),
            ("HOME", "/root"),
            ("NO_PROXY", "corp.example"),
            ("JAVA_TOOL_OPTIONS", "-Xmx1g"),
        ]);
        let secrets = SecretReader::new(Environment::default(), ["MY_MASTER_KEY".to_owned()]);
        let mut child = ChildEnvironment::new(&inherited, &secrets);
        assert_eq!(child.removed, ["STRONGROOM_API_KEY", "STRONGROOM_VAULT__PASSPHRASE", "MY_MASTER_KEY"]);
        child.proxy("http://127.0.0.1:9", 9, &[], &inherited);
        for name in ["HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY"] {
            assert_eq!(child.set[name], "http://127.0.0.1:9");
        }
        assert_eq!(child.set["no_proxy"], format!("{NO_PROXY},corp.example").as_str());
        assert!(child.set["JAVA_TOOL_OPTIONS"].to_str().unwrap().starts_with("-Xmx1g -Dhttp.proxyHost=127.0.0.1"));
    }

    #[test]
    fn certificates_are_set_for_every_tool() {
        let inherited = Environment::given([("SSL_CERT_FILE", "/no/such/file")]);
        let mut child = ChildEnvironment::new(&inherited, &SecretReader::default());
        let mut bundles = Bundles::new("CA".to_owned()).unwrap();
        child.certificates(&mut bundles, &inherited).unwrap();
        assert_eq!(child.set["SSL_CERT_FILE"], child.set["GIT_SSL_CAINFO"]);
        assert_ne!(child.set["SSL_CERT_FILE"], child.set["NODE_EXTRA_CA_CERTS"]);
        assert_eq!(child.removed, ["SSL_CERT_DIR"]);
    }
}
