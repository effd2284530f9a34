//! Published status as tuples.

use keepvip_io::{PublishedStatus, PublishedThreadStatus};
use keepvip_proto::time::Instant;
use keepvip_proto::vrrp::report::Reject;
use keepvip_proto::vrrp::stats::Stats;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// One router: slot, what it is doing, its counters. The order is that of `_status` in `keepvip.engine`.
pub(crate) fn router<'py>(py: Python<'py>, slot: usize, status: &PublishedStatus) -> PyResult<Bound<'py, PyTuple>> {
    (
        slot,
        status.state as u8,
        PyTuple::new(py, status.fault_names().collect::<Vec<_>>())?,
        status.base_priority,
        status.priority,
        status.master.map(|(addr, priority)| (addr.to_string(), priority)),
        status.master_advert_interval.as_micros(),
        status.next_deadline.map(Instant::as_micros),
        status.last_transition.map(Instant::as_micros),
        status.addresses_installed,
        stats(py, &status.stats)?,
    )
        .into_pyobject(py)
}

/// The thread: histogram, wake-ups, overruns, resyncs, real time, locked memory.
pub(crate) fn thread<'py>(py: Python<'py>, status: &PublishedThreadStatus) -> PyResult<Bound<'py, PyTuple>> {
    (
        status.late.to_vec(),
        status.wakeups,
        status.rx_overruns,
        status.netlink_resyncs,
        status.realtime,
        status.memory_locked,
    )
        .into_pyobject(py)
}

/// Counters by keepalived's names (`vrrp-behaviour.md` 14), and ours.
fn stats<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let reject = |cause: Reject| stats.rejects[cause as usize];
    let dict = PyDict::new(py);
    for (name, value) in [
        ("advert_rcvd", stats.advert_rcvd),
        ("advert_sent", stats.advert_sent),
        ("become_master", stats.become_master),
        ("release_master", stats.release_master),
        ("packet_len_err", reject(Reject::Length)),
        ("advert_interval_err", reject(Reject::Interval)),
        ("ip_ttl_err", reject(Reject::Ttl)),
        ("invalid_type_rcvd", reject(Reject::Type)),
        ("addr_list_err", reject(Reject::AddressList)),
        ("invalid_authtype", reject(Reject::AuthTypeInvalid)),
        ("authtype_mismatch", reject(Reject::AuthTypeMismatch)),
        (
            "auth_failure",
            reject(Reject::AuthFailure) + reject(Reject::AuthSequence),
        ),
        ("auth_ext_missing", reject(Reject::HmacMissing)),
        ("auth_ext_malformed", reject(Reject::HmacMalformed)),
        ("auth_ext_unknown_key", reject(Reject::HmacUnknownKey)),
        ("auth_ext_invalid_hmac", reject(Reject::HmacInvalid)),
        ("auth_ext_stale", reject(Reject::HmacStale)),
        ("auth_ext_replay", reject(Reject::HmacReplay)),
        ("pri_zero_rcvd", stats.pri_zero_rcvd),
        ("pri_zero_sent", stats.pri_zero_sent),
        ("version_err", reject(Reject::Version)),
        ("checksum_err", reject(Reject::Checksum)),
        ("destination_err", reject(Reject::Destination)),
        ("interval_differs", reject(Reject::IntervalDiffers)),
        ("unknown_peer_rcvd", reject(Reject::UnknownPeer)),
        ("clock_skew", reject(Reject::ClockSkew)),
        ("own_address_rcvd", reject(Reject::OwnAddress)),
        ("garp_sent", stats.garp_sent),
        ("na_sent", stats.na_sent),
        ("address_restored", stats.address_restored),
        ("late_max_us", stats.late_max_us),
    ] {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}
