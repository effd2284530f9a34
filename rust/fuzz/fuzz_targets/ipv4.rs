//! An IPv4 packet and the advertisement in it.
#![no_main]

use keepvip_proto::wire::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzz::ipv4(data));
