//! Fuzzes the rows of a keyring: see `strongroom::properties::keyring`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::keyring(data));
