//! Records of the engine as tuples: `(kind, seq, epoch, mono_us, fields)`. `keepvip.engine` gives them names.

use std::net::IpAddr;

use keepvip_io::{Record, RecordKind};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::IfName;
use keepvip_proto::vrrp::report::{EventKind, Evidence, Faults};
use keepvip_proto::vrrp::track::TrackTarget;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// One record.
pub(crate) fn record<'py>(py: Python<'py>, record: &Record) -> PyResult<Bound<'py, PyTuple>> {
    let (kind, fields) = match &record.kind {
        RecordKind::Event { kind, took } => event(py, kind, *took)?,
        RecordKind::Late { late } => ("Late", (late.as_micros(),).into_pyobject(py)?),
        RecordKind::MembershipRefused {
            netns,
            ifindex,
            group,
            errno,
        } => (
            "MembershipRefused",
            (netns, ifindex, group.to_string(), errno).into_pyobject(py)?,
        ),
        RecordKind::FilterRefused { errno } => ("FilterRefused", (errno,).into_pyobject(py)?),
        RecordKind::NamespaceMissing { netns, errno } => ("NamespaceMissing", (netns, errno).into_pyobject(py)?),
        RecordKind::NamespaceFound { netns } => ("NamespaceFound", (netns,).into_pyobject(py)?),
        RecordKind::Lost { count } => ("Lost", (count,).into_pyobject(py)?),
        RecordKind::Fatal => ("Fatal", PyTuple::empty(py)),
    };
    (kind, record.seq, record.epoch, record.at.as_micros(), fields).into_pyobject(py)
}

fn event<'py>(py: Python<'py>, kind: &EventKind, took: Duration) -> PyResult<(&'static str, Bound<'py, PyTuple>)> {
    Ok(match kind {
        EventKind::Transition {
            slot,
            group,
            from,
            to,
            reason,
            evidence,
        } => (
            "Transition",
            (
                slot,
                group,
                *from as u8,
                *to as u8,
                reason.slug(),
                self::evidence(py, evidence)?,
                evidence.own_priority,
                evidence.late.as_micros(),
                took.as_micros(),
            )
                .into_pyobject(py)?,
        ),
        EventKind::GroupTransition { group, to } => ("GroupTransition", (group, *to as u8).into_pyobject(py)?),
        EventKind::MasterRxLower { slot, sender, priority } => {
            ("MasterRxLower", (slot, sender.to_string(), priority).into_pyobject(py)?)
        }
        EventKind::PriorityChange { slot, state, priority } => {
            ("PriorityChange", (slot, *state as u8, priority).into_pyobject(py)?)
        }
        EventKind::FaultChange { slot, faults } => ("FaultChange", (slot, names(py, *faults)?).into_pyobject(py)?),
        EventKind::AddressRestored {
            slot,
            addr,
            interface,
            count,
        } => (
            "AddressRestored",
            (slot, addr.to_string(), text(interface), count).into_pyobject(py)?,
        ),
        EventKind::AddressFailed {
            slot,
            addr,
            interface,
            errno,
            install,
        } => (
            "AddressFailed",
            (slot, addr.to_string(), text(interface), errno, install).into_pyobject(py)?,
        ),
        EventKind::AdvertRejected {
            slot,
            sender,
            cause,
            got,
            expected,
        } => (
            "AdvertRejected",
            (slot, sender.to_string(), cause.slug(), got, expected).into_pyobject(py)?,
        ),
        EventKind::SendFailed { slot, errno } => ("SendFailed", (slot, errno).into_pyobject(py)?),
        EventKind::ListenAfterLateWakeup { slot, late } => {
            ("ListenAfterLateWakeup", (slot, late.as_micros()).into_pyobject(py)?)
        }
        EventKind::Deleted { slot, state } => ("Deleted", (slot, *state as u8).into_pyobject(py)?),
        EventKind::UnknownVrid {
            interface,
            sender,
            vrid,
        } => (
            "UnknownVrid",
            (text(interface), sender.to_string(), vrid).into_pyobject(py)?,
        ),
        EventKind::Resynced => ("Resynced", PyTuple::empty(py)),
        EventKind::Stopped => ("Stopped", PyTuple::empty(py)),
    })
}

/// The order of these is that of `_Evidence` in `keepvip.engine`.
fn evidence<'py>(py: Python<'py>, evidence: &Evidence) -> PyResult<Bound<'py, PyTuple>> {
    (
        evidence.master.map(|addr: IpAddr| addr.to_string()),
        evidence.master_priority,
        evidence.last_advert.map(Instant::as_micros),
        evidence.deadline.map(Instant::as_micros),
        evidence.master_down.as_micros(),
        evidence.skew.as_micros(),
        evidence.member,
        names(py, evidence.faults)?,
        evidence.track.map(|target| match target {
            TrackTarget::Interface(name) => (Some(text(&name)), None),
            TrackTarget::Value(id) => (None, Some(id)),
        }),
    )
        .into_pyobject(py)
}

fn names<'py>(py: Python<'py>, faults: Faults) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, keepvip_io::fault_names(faults.bits()).collect::<Vec<_>>())
}

fn text(name: &IfName) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}
