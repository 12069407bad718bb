//! Opens a URL in a browser on this machine.

use std::process::Stdio;

use tokio::process::Command;

use crate::config::Environment;

/// Programs that open a URL: on Linux or BSD desktops, and on macOS.
const OPENERS: [&str; 2] = if cfg!(target_os = "macos") { ["open", "xdg-open"] } else { ["xdg-open", "open"] };

/// Returns true if a program accepted the URL. Without a display, `xdg-open` would start a text
/// browser in this terminal, so nothing is started.
pub(in crate::cli) fn open(url: &str) -> bool {
    let environment = Environment::of_process();
    let display = ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(|name| environment.get(name).is_some());
    if !display && !cfg!(target_os = "macos") {
        return false;
    }
    OPENERS.into_iter().any(|opener| {
        // Its output would mix with ours, and it may run as long as the browser does.
        let started =
            Command::new(opener).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        started.is_ok()
    })
}
