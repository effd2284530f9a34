//! Frames taken apart, and forged ones.

use std::net::{IpAddr, Ipv4Addr};

use keepvip_proto::vrrp::config::Family;
use keepvip_proto::wire::{AddressList, AdvertRepr, AdvertView, AuthField, Ipv4Repr, Ipv4View, Pseudo, Version};

use super::tap::Frame;

/// An advert seen on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    pub at_us: u64,
    pub source: Ipv4Addr,
    pub vrid: u8,
    pub priority: u8,
}

/// The IPv4 advert in a frame.
pub fn advert(frame: &Frame) -> Option<Advert> {
    let packet = Ipv4View::new_checked(frame.bytes.get(14..)?).ok()?;
    if frame.bytes[12..14] != [0x08, 0x00] || packet.protocol() != 112 {
        return None;
    }
    let advert = AdvertView::new_checked(packet.payload(), Family::V4).ok()?;
    Some(Advert {
        at_us: frame.at_us,
        source: packet.src(),
        vrid: advert.vrid(),
        priority: advert.priority(),
    })
}

/// The address that a gratuitous ARP announces.
pub fn garp(frame: &Frame) -> Option<Ipv4Addr> {
    let arp = frame
        .bytes
        .get(14..42)
        .filter(|_| frame.bytes[12..14] == [0x08, 0x06])?;
    let sender: [u8; 4] = arp[14..18].try_into().ok()?;
    (arp[14..18] == arp[24..28]).then(|| sender.into())
}

/// A frame with an IPv4 advert (version 3, 100 ms, no addresses) of another router.
pub fn forged(source: Ipv4Addr, vrid: u8, priority: u8) -> Vec<u8> {
    let group = Ipv4Addr::new(224, 0, 0, 18);
    let advert = AdvertRepr {
        version: Version::V3,
        vrid,
        priority,
        advert_int: 10,
        auth: AuthField::None,
        addresses: AddressList::Wire(Family::V4, &[10, 10, vrid, 1]),
    };
    let header = Ipv4Repr::vrrp(source, group, 7, advert.buffer_len());
    let mut frame = vec![1, 0, 0x5e, 0, 0, 18, 0, 0, 0x5e, 0, 1, vrid, 8, 0];
    let start = frame.len() + header.buffer_len();
    frame.resize(start + advert.buffer_len(), 0);
    header.emit(&mut frame[14..]).unwrap();
    let pseudo = Pseudo::new(IpAddr::V4(source), IpAddr::V4(group)).unwrap_or(Pseudo::None);
    advert.emit(&mut frame[start..], &pseudo).unwrap();
    frame
}
