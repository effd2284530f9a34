//! A datagram from rtnetlink.
#![no_main]

use keepvip_proto::wire::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzz::rtnl(data));
