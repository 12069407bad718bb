//! Fuzzes a file that is encrypted with age: see `strongroom::properties::age_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::age_file(data));
