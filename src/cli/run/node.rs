//! A warning about a Node.js whose requests go past the relay.

use std::process::Stdio;
use std::time::Duration;

use super::child;
use super::environment::ChildEnvironment;
use crate::cli::output::note;

/// Time in which Node.js must tell its version.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Warns about the Node.js on the command's `PATH`, if there is one.
pub(super) async fn warn(environment: &ChildEnvironment) {
    let mut command = child::command(&["node".into(), "--version".into()], environment);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let Ok(Ok(output)) = tokio::time::timeout(TIME_LIMIT, command.output()).await else { return };
    let version = String::from_utf8_lossy(&output.stdout);
    if let Some(requests) = past_the_relay(version.trim()) {
        note(format!(
            "warning: {requests} of Node.js {} on PATH go past the relay; use Node.js 22.21, 24.5 or later, or the \
             base URLs of the providers",
            version.trim()
        ));
    }
}

/// Returns the requests of this version for which `NODE_USE_ENV_PROXY` has no effect. `fetch` has it
/// since 22.21 and 24.0, the modules `http` and `https` since 22.21 and 24.5.
fn past_the_relay(version: &str) -> Option<&'static str> {
    let mut numbers = version.strip_prefix('v')?.split('.').map(str::parse::<u32>);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    match (major, minor) {
        (..22 | 23, _) | (22, ..21) => Some("requests"),
        (24, ..5) => Some("requests by the modules http and https"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_the_variable_are_named() {
        for (version, requests) in [
            ("v20.20.2", Some("requests")),
            ("v22.20.0", Some("requests")),
            ("v22.21.0", None),
            ("v23.11.0", Some("requests")),
            ("v24.4.1", Some("requests by the modules http and https")),
            ("v24.5.0", None),
            ("v25.0.0", None),
            ("unknown", None),
        ] {
            assert_eq!(past_the_relay(version), requests, "{version}");
        }
    }
}
