//! The environment of the command: the relay as its proxy, the certificates, and the variables of
//! its credentials.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::bundle::{Bundles, JAVA_PASSWORD};
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

/// Hosts that no tool asks the proxy for, unless they are those of a credential.
const NO_PROXY: [&str; 4] = ["localhost", "127.0.0.1", "::1", "host.docker.internal"];

/// Hosts that Java never asks the proxy for if its list has any host.
const JAVA_LOOPBACK: [&str; 5] = ["localhost", "127.0.0.0/8", "::1", "0.0.0.0", "::"];

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
        // Java adds all loopback hosts to a list that is not empty.
        let is_loopback_bound = bound.iter().any(|pattern| JAVA_LOOPBACK.iter().any(|host| is_covered(pattern, host)));
        let direct = if is_loopback_bound { "" } else { "localhost|127.*|[::1]" };
        self.set("JAVA_TOOL_OPTIONS", format!("{former}{} -Dhttp.nonProxyHosts={direct}", java.join(" ")));
    }

    /// Sets the files of certificates.
    pub(super) fn certificates(&mut self, bundles: &mut Bundles, inherited: &Environment) -> Result<(), Failure> {
        for name in BUNDLE {
            let former = inherited.get(name);
            self.set(name, bundles.whole(former.as_deref().map(Path::new))?);
        }
        let wgetrc = inherited.get("WGETRC").map(PathBuf::from);
        let wgetrc = wgetrc.or_else(|| Some(Path::new(&inherited.get("HOME")?).join(".wgetrc")));
        self.set("WGETRC", bundles.wgetrc(wgetrc.as_deref())?);
        self.java_store(bundles, inherited)?;
        let ca = bundles.ca()?;
        for name in ADDED_CA {
            self.set(name, &ca);
        }
        // Some tools would look there first.
        self.removed.push("SSL_CERT_DIR".into());
        Ok(())
    }
}

impl ChildEnvironment {
    /// Sets Java's trust store, unless its options name one.
    fn java_store(&mut self, bundles: &Bundles, inherited: &Environment) -> Result<(), Failure> {
        const PROPERTY: &str = "-Djavax.net.ssl.trustStore";
        let former = self.set.get("JAVA_TOOL_OPTIONS").map(|options| options.to_string_lossy().into_owned());
        let former = former.unwrap_or_default();
        if former.contains(PROPERTY) {
            return Ok(());
        }
        if let Some(store) = bundles.java_store(&inherited.get("PATH").unwrap_or_default())? {
            let options = format!("{former} {PROPERTY}={} {PROPERTY}Password={JAVA_PASSWORD}", store.display());
            self.set("JAVA_TOOL_OPTIONS", options.trim_start());
        }
        Ok(())
    }
}

/// Merges the hosts that are reached without the proxy. A bound host is not among them, because no
/// credential would be added to its requests.
fn no_proxy(former: &str, bound: &[HostPattern]) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for item in NO_PROXY.iter().copied().chain(former.split([',', ' ', '\t'])) {
        if !item.is_empty() && !kept.contains(&item) && !bound.iter().any(|pattern| is_covered(pattern, item)) {
            kept.push(item);
        }
    }
    kept.join(",")
}

/// Returns true if an item of `NO_PROXY` covers a host of the pattern, as the most generous of the
/// tools reads it.
fn is_covered(pattern: &HostPattern, item: &str) -> bool {
    let is_address = item.parse::<IpAddr>().is_ok();
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let name = item.rsplit_once(':').filter(|(_, port)| !is_address && is_port(port)).map_or(item, |(name, _)| name);
    let name = name.trim_start_matches('*').trim_matches(['.', '[', ']']).to_ascii_lowercase();
    let host = pattern.host();
    let (is_below, host) = host.strip_prefix("*.").map_or((false, host.as_str()), |host| (true, host));
    let host = host.trim_matches(['[', ']']);
    let ends_below = |name: &str, end: &str| name.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
    let in_network = |address: IpAddr| name.parse::<IpNet>().is_ok_and(|network| network.contains(&address));
    let in_network = host.parse::<IpAddr>().is_ok_and(in_network);
    name.is_empty() || host == name || ends_below(host, &name) || is_below && ends_below(&name, host) || in_network
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> Vec<HostPattern> {
        ["api.github.com", "*.zendesk.com"].map(|host| host.parse().unwrap()).into()
    }

    #[test]
    fn bound_hosts_do_not_bypass_the_proxy() {
        let fixed = NO_PROXY.join(",");
        let merged = |former: &str| no_proxy(former, &bound()).strip_prefix(&fixed).unwrap().to_owned();
        assert_eq!(merged(""), "");
        assert_eq!(merged("internal.example, .corp,localhost,10.0.0.0/8"), ",internal.example,.corp,10.0.0.0/8");
        for former in ["*", "github.com", ".github.com", "*.github.com", "API.GitHub.com:443", "com", "zendesk.com"] {
            assert_eq!(merged(former), "", "{former}");
        }
        for former in ["acme.zendesk.com", ".acme.zendesk.com:443", "github.com.", "a.example api.github.com"] {
            assert_eq!(merged(former), if former.contains("a.example") { ",a.example" } else { "" }, "{former}");
        }
        assert_eq!(merged("hub.com,notzendesk.com"), ",hub.com,notzendesk.com");
    }

    #[test]
    fn bound_loopback_hosts_do_not_bypass_the_proxy() {
        let merged = |bound: &str, former: &str| no_proxy(former, &[bound.parse().unwrap()]);
        assert_eq!(merged("http://localhost:9000", ""), "127.0.0.1,::1,host.docker.internal");
        assert_eq!(merged("http://127.0.0.1:9000", "127.0.0.0/8"), "localhost,::1,host.docker.internal");
        assert_eq!(merged("http://[::1]:9000", "[::1]:9000"), "localhost,127.0.0.1,host.docker.internal");
        assert_eq!(merged("http://host.docker.internal", "internal"), "localhost,127.0.0.1,::1");
        assert_eq!(merged("https://10.1.2.3", "10.0.0.0/8,10.2.0.0/16"), NO_PROXY.join(",") + ",10.2.0.0/16");
        for (bound, direct) in
            [("http://127.0.0.2:1", ""), ("http://localhost", ""), ("10.1.2.3", "localhost|127.*|[::1]")]
        {
            let mut child = ChildEnvironment::default();
            child.proxy("http://127.0.0.1:9", 9, &[bound.parse().unwrap()], &Environment::given::<&str, &str>([]));
            let java = child.set["JAVA_TOOL_OPTIONS"].to_str().unwrap();
            assert!(java.ends_with(&format!(" -Dhttp.nonProxyHosts={direct}")), "{java}");
        }
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
        assert_eq!(child.set["no_proxy"], format!("{},corp.example", NO_PROXY.join(",")).as_str());
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
