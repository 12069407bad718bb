//! Fuzzes the configuration: see `strongroom::properties::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| strongroom::properties::config(data));
