//! Opens a URL in the browser of whoever sits at this terminal.

use std::process::Stdio;

use tokio::process::Command;

use crate::config::Environment;

/// What opens a URL: on a desktop of Linux or BSD, and on macOS.
const OPENERS: [&str; 2] = if cfg!(target_os = "macos") { ["open", "xdg-open"] } else { ["xdg-open", "open"] };

/// Whether something was found that says that it will open the URL. Without a display there is nothing to look for: what
/// `xdg-open` finds then is a text browser, which would take this terminal.
pub(in crate::cli) fn open(url: &str) -> bool {
    let environment = Environment::of_process();
    let display = ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(|name| environment.get(name).is_some());
    if !display && !cfg!(target_os = "macos") {
        return false;
    }
    OPENERS.into_iter().any(|opener| {
        // Its output would mix with ours, and it may stay for as long as the browser does.
        let started =
            Command::new(opener).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        started.is_ok()
    })
}
