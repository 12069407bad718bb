//! Fuzzes the files of other programs that are imported: see `strongroom::properties::import_files`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::import_files(data));
