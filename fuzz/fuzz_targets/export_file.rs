//! Fuzzes a sealed export: see `strongroom::properties::export_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::export_file(data));
