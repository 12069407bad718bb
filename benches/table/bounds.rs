//! Duration of the vault's own work: rotation, verification and backup beside a server, and a start after `kill -9`.
//! Start time, idle memory and size of the binary.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::installation::{Installation, Provider, memory_of};
use super::options::{Options, binary};
use super::prepare::Stage;
use super::report::Report;
use super::stats::median;
use super::waits::Waits;

/// Pause of a caller between two requests.
const PAUSE: Duration = Duration::from_millis(2);

/// Starts of which the footprint takes the median.
const STARTS: usize = 11;

/// Measures them on a vault of 100,000 credentials (a million with `--full`).
pub fn measure(options: &Options, report: &mut Report) {
    let credentials = match options.name() {
        "quick" => 10_000,
        "full" => 1_000_000,
        _ => 100_000,
    };
    let provider = Provider::start();
    let mut stage = Stage::new(&provider, credentials, 10_000);
    let size = std::fs::metadata(stage.installation.path("strongroom.db")).expect("the vault").len();
    Report::title(&format!("the vault's own work, {credentials} credentials, {} MB", size >> 20));

    let (seconds, _, said) = run(&stage, &["vault", "verify", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let records = found["records"].as_f64().expect("a number");
    report.at_least("vault verify beside the server", records / seconds, "records/s", 50_000.0);

    let idle = Waits::during(&stage, PAUSE, || std::thread::sleep(Duration::from_secs(2)));
    report.at_most("list and create, nothing beside: the longest wait", idle.longest, "ms", None);
    let mut seconds = 0.0;
    let waits = Waits::during(&stage, PAUSE, || seconds = run(&stage, &["vault", "rotate", "--json"]).0);
    let for_100k = seconds * 100_000.0 / credentials as f64;
    report.at_most("vault rotate beside the server, for 100,000 credentials", for_100k, "s", Some(60.0));
    report.at_most("list and create meanwhile: p99", waits.p99, "ms", None);
    report.at_most("list and create meanwhile: the longest wait", waits.longest, "ms", Some(50.0));

    let (seconds, memory, _) = run(&stage, &["vault", "backup", "vault.backup"]);
    let for_a_gb = seconds * f64::from(1 << 30) / size as f64;
    report.at_most("vault backup beside the server, for a GB of vault", for_a_gb, "s", None);
    report.at_most("the same: resident at its most", memory, "MB", Some(64.0));

    // A kill after writes, so that there is a log to be read again.
    let writes = Waits::during(&stage, PAUSE, || std::thread::sleep(Duration::from_secs(1)));
    assert!(writes.count > 0, "something was written");
    stage.server.0.kill().expect("it runs");
    stage.server.0.wait().expect("it ends");
    let (server, took) = stage.installation.serve();
    stage.server = server;
    report.at_most("start after kill -9", took.as_secs_f64() * 1000.0, "ms", Some(1000.0));
}

/// Runs a command: its time, its memory at the most, and what it said.
fn run(stage: &Stage, arguments: &[&str]) -> (f64, f64, String) {
    let began = Instant::now();
    let child = stage.installation.command(arguments).stdout(Stdio::piped()).spawn();
    let child = child.expect("the binary runs");
    let pid = child.id();
    let watching = std::thread::spawn(move || {
        let mut most = 0.0f64;
        while let Some(memory) = memory_of(pid, "VmHWM") {
            most = most.max(memory);
            std::thread::sleep(Duration::from_millis(10));
        }
        most
    });
    let done = child.wait_with_output().expect("it ends");
    assert!(done.status.success(), "strongroom {arguments:?} failed");
    let seconds = began.elapsed().as_secs_f64();
    (seconds, watching.join().expect("no panic"), String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Measures the start of `serve` with a key file, its memory when idle, and the size of the binary.
pub fn footprint(report: &mut Report) {
    let installation = Installation::new(None);
    let starts: Vec<f64> = (0..STARTS).map(|_| installation.serve().1.as_secs_f64() * 1000.0).collect();
    let (server, _) = installation.serve();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let size = std::fs::metadata(binary()).expect("the binary is there").len();
    Report::title("footprint");
    report.at_most("start to ready, with a key file", median(starts), "ms", Some(50.0));
    report.at_most("resident, idle", server.memory("VmRSS"), "MB", Some(20.0));
    report.at_most("binary", size as f64 / f64::from(1 << 20), "MB", Some(15.0));
}
