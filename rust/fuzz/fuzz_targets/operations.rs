//! Arbitrary histories of a whole core: adverts, interfaces, reloads, time. The test of the same name, with coverage.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../proto/tests/operations.rs"]
mod operations;

fuzz_target!(|data: &[u8]| operations::live_by(data));
