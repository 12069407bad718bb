//! Fuzzes the host pattern of a host-scoped credential: see `strongroom::properties::host_pattern`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| strongroom::properties::host_pattern(data));
