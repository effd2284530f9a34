//! Bodies of the fuzz targets: hostile bytes go in, every getter is called, and what was understood must survive being
//! written and read again. The property tests run them too, so they are compiled and exercised without a fuzzer.

use super::ah::{self, AhView};
use super::hmac_trailer::{TrailerView, sign};
use super::rtnl::{Payload, messages};
use super::{AdvertView, Family, Ipv4View, Pseudo};

/// An advertisement, as either family.
pub fn vrrp(data: &[u8]) {
    for family in [Family::V4, Family::V6] {
        let Ok((view, rest)) = AdvertView::split(data, family) else {
            continue;
        };
        assert_eq!(AdvertView::new_checked(data, family).is_ok(), rest.is_empty());
        assert_eq!(view.as_bytes().len() + rest.len(), data.len());
        assert_eq!(view.addresses().len(), usize::from(view.count()));
        assert!(view.advert_int_us() <= 255_000_000);
        let list = view.addresses();
        assert!(
            list.iter()
                .all(|address| Family::of(&address) == family && list.contains(&address))
        );
        assert_eq!(
            view.auth_data().is_some_and(|data| view.password_matches(&data)),
            view.auth_data().is_some()
        );
        let _ = (
            view.version(),
            view.kind(),
            view.vrid(),
            view.priority(),
            view.checksum(),
            view.checksum_ok_v2(),
        );

        let Some(repr) = view.to_repr() else { continue };
        let mut buffer = [0xa5; super::vrrp::MAX_LEN];
        // Fails only for what was received and cannot be sent.
        let Ok(len) = repr.emit(&mut buffer, &Pseudo::None) else {
            continue;
        };
        let Ok(again) = AdvertView::new_checked(&buffer[..len], family) else {
            unreachable!("our own message is not understood")
        };
        assert!(again.checksum_ok_v2());
        assert_eq!(again.to_repr(), Some(repr));
    }
}

/// An IPv4 packet and the advertisement in it.
pub fn ipv4(data: &[u8]) {
    let Ok(view) = Ipv4View::new_checked(data) else { return };
    assert_eq!(view.header_len() + view.payload().len(), view.total_len());
    assert_eq!(view.options().len(), view.header_len() - super::ipv4::HEADER_LEN);
    assert!(view.total_len() <= data.len());
    let _ = (
        view.tos(),
        view.ident(),
        view.dont_fragment(),
        view.is_fragment(),
        view.ttl(),
        view.protocol(),
    );
    let _ = (view.src(), view.dst(), view.checksum_ok());
    if let Ok(advert) = AdvertView::new_checked(view.payload(), Family::V4) {
        let _ = advert.checksum_ok_v3(&view.pseudo());
    }
}

/// What proves an advert: what is made anew over the same octets verifies, and with another octet it does not.
pub fn auth(data: &[u8]) {
    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    if let Ok(packet) = Ipv4View::new_checked(data)
        && let Some(guard) = AhView::new_checked(&packet)
    {
        let _ = (guard.spi(), guard.sequence(), guard.verify(KEY, true));
        if packet.options().is_empty() {
            let mut sealed = data[..packet.total_len()].to_vec();
            ah::seal(&mut sealed, KEY, guard.sequence(), false);
            let again = Ipv4View::new_checked(&sealed).ok();
            let again = again.as_ref().and_then(AhView::new_checked);
            assert!(again.is_some_and(|again| again.verify(KEY, false) && !again.verify(b"another", false)));
        }
    }
    for family in [Family::V4, Family::V6] {
        let Ok((message, rest)) = AdvertView::split(data, family) else {
            continue;
        };
        let source = match family {
            Family::V4 => core::net::IpAddr::from([10, 0, 0, 1]),
            Family::V6 => core::net::IpAddr::from([0xfe; 16]),
        };
        if let Some(trailer) = TrailerView::new_checked(rest) {
            let _ = (trailer.key_id(), trailer.verify(KEY, source, &message));
            let Some(mut made) = sign(trailer.key_id(), KEY, trailer.sequence(), source, &message) else {
                unreachable!("HMAC takes any key")
            };
            let verifies = |bytes: &[u8]| {
                TrailerView::new_checked(bytes).is_some_and(|trailer| trailer.verify(KEY, source, &message))
            };
            assert!(verifies(&made));
            made[usize::from(data[0]) % made.len()] ^= 0x10;
            assert!(!verifies(&made));
        }
    }
}

/// A datagram from rtnetlink.
pub fn rtnl(data: &[u8]) {
    let mut taken = 0;
    let mut rest = messages(data);
    while let Some(message) = rest.next() {
        let Ok(message) = message else {
            assert!(rest.next().is_none(), "an impossible length is the last word");
            break;
        };
        taken += 16 + message.body.len();
        let _ = (message.is_multipart(), message.dump_interrupted());
        match message.parse() {
            Ok(Payload::NewLink(link) | Payload::DelLink(link)) => {
                assert!(link.index > 0 && link.name.as_bytes().len() <= 15);
                let _ = (link.name.as_str(), link.address.map(|address| address.as_bytes().len()));
            }
            Ok(Payload::NewAddress(address) | Payload::DelAddress(address)) => {
                assert!(address.peer.is_none_or(|peer| Family::of(&peer) == address.family()));
            }
            Ok(_) | Err(_) => {}
        }
    }
    assert!(taken <= data.len());
}
