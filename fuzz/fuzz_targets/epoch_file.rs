//! Fuzzes an epoch file: see `strongroom::properties::epoch_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::epoch_file(data));
