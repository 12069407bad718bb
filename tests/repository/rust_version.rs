//! `rust-version` in Cargo.toml is what the locked dependencies need.

use std::process::Command;

use serde_json::Value;

use crate::source::root;

#[test]
fn rust_version_is_what_the_dependencies_need() {
    let host = Command::new(option_env!("RUSTC").unwrap_or("rustc")).arg("-vV").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Offline: everything for this host is there, or this test would not have been built.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let version = |package: &Value| -> Option<Vec<u32>> {
        let text = package["rust_version"].as_str()?;
        let mut parts: Vec<u32> = text.split('.').map(|part| part.parse().unwrap()).collect();
        parts.resize(3, 0);
        Some(parts)
    };
    let packages = metadata["packages"].as_array().unwrap();
    let (own, others): (Vec<_>, Vec<_>) = packages.iter().partition(|package| package["name"] == "strongroom");
    let needed = others.iter().filter_map(|package| Some((version(package)?, package["name"].as_str()?))).max();
    let (needed, name) = needed.unwrap();
    assert_eq!(version(own[0]), Some(needed), "rust-version is not that of {name}");
}
