//! Authentication Header and `auth_hmac` trailer.
#![no_main]

use keepvip_proto::wire::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzz::auth(data));
