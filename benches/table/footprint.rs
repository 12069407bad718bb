//! Start time of `serve` with a key file, its memory when idle, and the size of the binary.

use super::installation::Installation;
use super::options::binary;
use super::report::Report;
use super::stats::median;

const STARTS: usize = 11;

pub fn measure(report: &mut Report) {
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
