//! Fuzzes the query of a callback: see `strongroom::properties::callback_query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| strongroom::properties::callback_query(data));
