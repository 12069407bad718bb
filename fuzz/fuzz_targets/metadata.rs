//! Fuzzes metadata documents (RFC 8414, RFC 9728): see `strongroom::properties::metadata`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::metadata(data));
