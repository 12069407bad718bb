//! Fuzzes a scope list: see `strongroom::properties::scope_list`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| strongroom::properties::scope_list(data));
