//! Fuzzes the destination of a request: see `strongroom::properties::destination`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| strongroom::properties::destination(data));
