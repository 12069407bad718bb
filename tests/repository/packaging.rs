//! The Compose file has the limits of the systemd unit and the commands of docs/how-to/container.md.

const COMPOSE: &str = include_str!("../../packaging/compose.yaml");
const UNIT: &str = include_str!("../../packaging/systemd/strongroom.service");
const IMAGE: &str = include_str!("../../packaging/container/Containerfile");
const PAGE: &str = include_str!("../../docs/how-to/container.md");

fn has(line: &str) -> bool {
    COMPOSE.lines().any(|one| one.trim() == line)
}

#[test]
fn compose_file_has_the_limits_of_the_unit() {
    let limit = UNIT.lines().find_map(|line| line.strip_prefix("MemoryMax=")).unwrap().to_lowercase();
    assert!(has(&format!("mem_limit: {limit}")) && has(&format!("memswap_limit: {limit}")), "{COMPOSE}");
    assert!(PAGE.contains(&format!("--memory {limit} --memory-swap {limit}")), "{PAGE}");
    for line in ["read_only: true", "- ALL", "- no-new-privileges:true", "pids_limit: 256"] {
        assert!(has(line), "{line}");
    }
    let stop = UNIT.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    assert!(has(&format!("stop_grace_period: {stop}s")));
}

#[test]
fn compose_file_mounts_what_the_page_mounts() {
    let mounts: Vec<&str> = PAGE.lines().filter_map(|line| line.trim().strip_prefix("--volume ")).collect();
    assert_eq!(mounts.len(), 3, "{PAGE}");
    for mount in mounts {
        assert!(has(&format!("- {}", mount.trim_end_matches([' ', '\\']))), "{mount}");
    }
    let health = IMAGE.lines().find_map(|line| line.strip_prefix("HEALTHCHECK ")).unwrap();
    let (options, test) = health.split_once(" CMD [").unwrap();
    assert!(has(&format!("test: [\"CMD\", {test}")), "{test}");
    for option in options.split(' ') {
        let (name, value) = option.trim_start_matches('-').split_once('=').unwrap();
        assert!(has(&format!("{}: {value}", name.replace('-', "_"))), "{option}");
    }
    assert!(!COMPOSE.contains('\t'), "YAML has no tabs");
}
