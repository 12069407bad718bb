//! Fuzzes import files of other programs: see `strongroom::properties::import_files`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::import_files(data));
