//! Messages captured from keepalived 2.2.7, hand-made lies, round trips.

use proptest::prelude::*;

use super::*;

const SRC_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 250);
const SRC_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
const PSEUDO_V4: Pseudo = Pseudo::V4 {
    src: SRC_V4,
    dst: MULTICAST_V4,
};
const PSEUDO_V6: Pseudo = Pseudo::V6 {
    src: SRC_V6,
    dst: MULTICAST_V6,
};

/// VRID 50, priority 100, 1 s, one address, PASS "passw123".
#[rustfmt::skip]
const V2_PASS: [u8; 20] = [
    0x21, 0x32, 0x64, 0x01, 0x01, 0x01, 0xe2, 0x90, 0x0a, 0x00, 0x00, 0x01,
    0x70, 0x61, 0x73, 0x73, 0x77, 0x31, 0x32, 0x33,
];
/// VRID 51, priority 101, 2 s, two addresses.
#[rustfmt::skip]
const V2_PLAIN: [u8; 24] = [
    0x21, 0x33, 0x65, 0x02, 0x00, 0x02, 0x65, 0x9d, 0x0a, 0x00, 0x00, 0x15, 0x0a, 0x00, 0x00, 0x16,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];
/// VRID 54, priority 104, 1 s, two IPv6 addresses.
#[rustfmt::skip]
const V2_IPV6: [u8; 40] = [
    0x21, 0x36, 0x68, 0x02, 0x00, 0x01, 0xf6, 0xdf,
    0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x56, 0x78,
    0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05,
];
/// VRID 52, priority 102, 50 cs, three addresses.
#[rustfmt::skip]
const V3_IPV4: [u8; 20] = [
    0x31, 0x34, 0x66, 0x03, 0x00, 0x32, 0x5e, 0xa5,
    0x0a, 0x00, 0x00, 0x1f, 0x0a, 0x00, 0x00, 0x20, 0x0a, 0x00, 0x00, 0x21,
];
/// VRID 55, priority 105, 100 cs, one address, `v3_checksum_as_v2`; made by hand.
#[rustfmt::skip]
const V3_AS_V2: [u8; 12] = [
    0x31, 0x37, 0x69, 0x01, 0x00, 0x64, 0x5b, 0x3a, 0x0a, 0x00, 0x00, 0x29,
];
/// VRID 53, priority 103, 123 cs, two IPv6 addresses.
#[rustfmt::skip]
const V3_IPV6: [u8; 40] = [
    0x31, 0x35, 0x67, 0x02, 0x00, 0x7b, 0x2b, 0xaf,
    0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x12, 0x34,
    0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
];

const ADDRESSES_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(10, 0, 0, 31),
    Ipv4Addr::new(10, 0, 0, 32),
    Ipv4Addr::new(10, 0, 0, 33),
];
const ADDRESSES_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x1234),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
];

fn emitted<'a>(repr: &AdvertRepr<'_>, pseudo: &Pseudo, buffer: &'a mut [u8; MAX_LEN]) -> &'a [u8] {
    *buffer = [0xa5; MAX_LEN];
    let len = repr.emit(buffer, pseudo).unwrap();
    assert_eq!(len, repr.buffer_len());
    assert!(buffer[len..].iter().all(|byte| *byte == 0xa5), "wrote beyond its end");
    &buffer[..len]
}

#[test]
fn captured_messages_are_read_and_written_back() {
    let captured: [(&[u8], Family, Pseudo); 6] = [
        (&V2_PASS, Family::V4, Pseudo::None),
        (&V2_PLAIN, Family::V4, Pseudo::None),
        (&V2_IPV6, Family::V6, PSEUDO_V6),
        (&V3_IPV4, Family::V4, PSEUDO_V4),
        (&V3_AS_V2, Family::V4, Pseudo::None),
        (&V3_IPV6, Family::V6, PSEUDO_V6),
    ];
    for (message, family, pseudo) in captured {
        let view = AdvertView::new_checked(message, family).unwrap();
        assert!(view.checksum_ok_v3(&pseudo));
        assert_eq!(view.checksum_ok_v2(), pseudo == Pseudo::None);
        assert_eq!((view.kind(), view.family()), (TYPE_ADVERTISEMENT, family));
        assert_eq!(emitted(&view.to_repr().unwrap(), &pseudo, &mut [0; MAX_LEN]), message);
    }
}

#[test]
fn version_2_fields() {
    let view = AdvertView::new_checked(&V2_PASS, Family::V4).unwrap();
    assert_eq!(view.version(), Version::V2);
    assert_eq!((view.vrid(), view.priority(), view.count()), (50, 100, 1));
    assert_eq!((view.advert_int_raw(), view.advert_int_us()), (1, 1_000_000));
    assert_eq!(
        (view.auth_type(), view.auth_data()),
        (AuthType::Pass, Some(*b"passw123"))
    );
    assert!(view.password_matches(b"passw123"));
    assert!(!view.password_matches(b"passw124"));
    assert!(!view.password_matches(b"Passw123"));
    assert_eq!(view.checksum(), 0xe290);
    assert_eq!(view.addresses(), AddressList::V4(&[Ipv4Addr::new(10, 0, 0, 1)]));

    let view = AdvertView::new_checked(&V2_PLAIN, Family::V4).unwrap();
    assert_eq!((view.auth_type(), view.auth_data()), (AuthType::None, Some([0; 8])));
    assert_eq!(view.advert_int_us(), 2_000_000);

    let view = AdvertView::new_checked(&V2_IPV6, Family::V6).unwrap();
    assert_eq!((view.auth_type(), view.auth_data()), (AuthType::None, None));
    assert!(!view.password_matches(&[0; 8]));
}

#[test]
fn version_3_fields() {
    let view = AdvertView::new_checked(&V3_IPV4, Family::V4).unwrap();
    assert_eq!(view.version(), Version::V3);
    assert_eq!((view.vrid(), view.priority(), view.count()), (52, 102, 3));
    assert_eq!((view.advert_int_raw(), view.advert_int_us()), (50, 500_000));
    assert_eq!((view.auth_type(), view.auth_data()), (AuthType::None, None));
    assert_eq!(view.addresses(), AddressList::V4(&ADDRESSES_V4));
    let with_reserved_bits = {
        let mut message = V3_IPV4;
        message[4] |= 0xf0;
        message
    };
    let view = AdvertView::new_checked(&with_reserved_bits, Family::V4).unwrap();
    assert_eq!(view.advert_int_raw(), 50);

    let view = AdvertView::new_checked(&V3_IPV6, Family::V6).unwrap();
    assert_eq!((view.vrid(), view.advert_int_us()), (53, 1_230_000));
    assert_eq!(view.addresses(), AddressList::V6(&ADDRESSES_V6));
}

#[test]
fn the_source_address_is_covered_in_version_3() {
    let view = AdvertView::new_checked(&V3_IPV4, Family::V4).unwrap();
    let other = Pseudo::V4 {
        src: Ipv4Addr::new(10, 0, 0, 251),
        dst: MULTICAST_V4,
    };
    assert!(!view.checksum_ok_v3(&other));
}

#[test]
fn addresses_by_index_and_by_value() {
    let list = AdvertView::new_checked(&V3_IPV4, Family::V4).unwrap().addresses();
    assert_eq!((list.len(), list.iter().len(), list.is_empty()), (3, 3, false));
    assert_eq!(list.get(2), Some(IpAddr::V4(ADDRESSES_V4[2])));
    assert_eq!(list.get(3), None);
    assert!(list.contains(&IpAddr::V4(ADDRESSES_V4[0])));
    assert!(!list.contains(&IpAddr::V4(SRC_V4)));
    assert_ne!(AddressList::V4(&[]), AddressList::V6(&[]));
    assert_ne!(list, AddressList::V4(&ADDRESSES_V4[..2]));
}

#[test]
fn each_lie_has_its_error() {
    let check = |message: &[u8], family| AdvertView::new_checked(message, family).map(|_| ());
    assert_eq!(check(&[], Family::V4), Err(WireError::TooShort));
    assert_eq!(check(&V3_IPV4[..7], Family::V4), Err(WireError::TooShort));
    assert_eq!(check(&V3_IPV4[..19], Family::V4), Err(WireError::AddressCount));
    assert_eq!(check(&V3_IPV4, Family::V6), Err(WireError::AddressCount));
    // Version 2 without its authentication data, as RFC 3768 does not allow it.
    assert_eq!(check(&V2_PASS[..12], Family::V4), Err(WireError::AddressCount));
    for version in [0, 1, 4, 15] {
        let mut message = V3_IPV4;
        message[0] = version << 4 | 1;
        assert_eq!(check(&message, Family::V4), Err(WireError::UnknownVersion(version)));
    }
    let mut message = V3_IPV4;
    message[3] = 2;
    assert_eq!(check(&message, Family::V4), Err(WireError::TrailingBytes));
    let (view, rest) = AdvertView::split(&message, Family::V4).unwrap();
    assert_eq!(
        (view.addresses().len(), view.as_bytes(), rest),
        (2, &message[..16], &message[16..])
    );
    // No address at all is odd, but not a matter of lengths.
    assert_eq!(check(&[0x31, 1, 100, 0, 0, 100, 0, 0], Family::V4), Ok(()));
}

#[test]
fn another_type_is_seen_but_is_no_repr() {
    let mut message = V3_IPV4;
    message[0] = 0x32;
    let view = AdvertView::new_checked(&message, Family::V4).unwrap();
    assert_eq!((view.kind(), view.to_repr()), (2, None));
    let mut message = V2_PASS;
    message[4] = 2;
    let view = AdvertView::new_checked(&message, Family::V4).unwrap();
    assert_eq!((view.auth_type(), view.to_repr()), (AuthType::Ah, None));
    assert_eq!(AuthType::from(7), AuthType::Unknown(7));
}

#[test]
fn what_cannot_be_said_is_refused_and_leaves_the_buffer() {
    let good = AdvertRepr {
        version: Version::V3,
        vrid: 1,
        priority: 100,
        advert_int: 100,
        auth: AuthField::None,
        addresses: AddressList::V4(&ADDRESSES_V4),
    };
    let too_many = [SRC_V4; MAX_ADDRESSES + 1];
    let mut buffer = [0xa5; MAX_LEN];
    let bad = [
        (
            AdvertRepr {
                advert_int: 4096,
                ..good
            },
            Pseudo::None,
            EmitError::AdvertInterval,
        ),
        (
            AdvertRepr {
                version: Version::V2,
                advert_int: 256,
                ..good
            },
            Pseudo::None,
            EmitError::AdvertInterval,
        ),
        (
            AdvertRepr {
                auth: AuthField::Pass([0; 8]),
                ..good
            },
            Pseudo::None,
            EmitError::NoAuthField,
        ),
        (
            AdvertRepr {
                version: Version::V2,
                auth: AuthField::Pass([0; 8]),
                addresses: AddressList::V6(&ADDRESSES_V6),
                ..good
            },
            PSEUDO_V6,
            EmitError::NoAuthField,
        ),
        (good, PSEUDO_V6, EmitError::FamilyMismatch),
        (
            AdvertRepr {
                addresses: AddressList::V4(&too_many),
                ..good
            },
            Pseudo::None,
            EmitError::TooManyAddresses,
        ),
    ];
    for (repr, pseudo, error) in bad {
        assert_eq!(repr.emit(&mut buffer, &pseudo), Err(error));
    }
    assert_eq!(good.emit(&mut buffer[..19], &PSEUDO_V4), Err(EmitError::BufferTooSmall));
    assert!(buffer.iter().all(|byte| *byte == 0xa5));
    assert_eq!(set_priority(&mut buffer[..7], 0), Err(EmitError::BufferTooSmall));
}

fn auth() -> impl Strategy<Value = AuthField> {
    prop_oneof![Just(AuthField::None), any::<[u8; 8]>().prop_map(AuthField::Pass)]
}

/// Version, interval and authentication that go together, and whether the list is IPv6.
fn shape() -> impl Strategy<Value = (Version, u16, AuthField, bool)> {
    prop_oneof![
        (0u16..=255, auth()).prop_map(|(interval, auth)| (Version::V2, interval, auth, false)),
        (0u16..=255).prop_map(|interval| (Version::V2, interval, AuthField::None, true)),
        (0..=MAX_ADVERT_INT_CS, any::<bool>()).prop_map(|(interval, v6)| (Version::V3, interval, AuthField::None, v6)),
    ]
}

proptest! {
    #[test]
    fn round_trip(
        (version, advert_int, auth, v6) in shape(),
        (vrid, priority, new_priority) in any::<(u8, u8, u8)>(),
        list in prop::collection::vec(any::<u128>(), 0..=MAX_ADDRESSES),
        (src, dst, pseudo_wanted) in any::<(u128, u128, bool)>(),
        flipped_bit in any::<usize>(),
    ) {
        let list_v4: Vec<_> = list.iter().map(|bits| Ipv4Addr::from_bits(*bits as u32)).collect();
        let list_v6: Vec<_> = list.iter().map(|bits| Ipv6Addr::from_bits(*bits)).collect();
        let (addresses, family, pseudo) = if v6 {
            let pseudo = Pseudo::V6 { src: src.into(), dst: dst.into() };
            (AddressList::V6(&list_v6), Family::V6, pseudo)
        } else {
            let pseudo = Pseudo::V4 { src: (src as u32).into(), dst: (dst as u32).into() };
            (AddressList::V4(&list_v4), Family::V4, pseudo)
        };
        let pseudo = if pseudo_wanted { pseudo } else { Pseudo::None };
        let repr = AdvertRepr { version, vrid, priority, advert_int, auth, addresses };
        let mut buffer = [0; MAX_LEN];
        let mut message = emitted(&repr, &pseudo, &mut buffer).to_vec();

        let view = AdvertView::new_checked(&message, family).unwrap();
        prop_assert!(view.checksum_ok_v3(&pseudo));
        prop_assert_eq!(view.to_repr(), Some(repr));
        prop_assert_eq!(view.addresses().iter().count(), list.len());

        // Every bit counts, and so does every cut.
        let bit = flipped_bit % (message.len() * 8);
        message[bit / 8] ^= 1 << (bit % 8);
        if let Ok(view) = AdvertView::new_checked(&message, family) {
            prop_assert!(!view.checksum_ok_v3(&pseudo));
        }
        message[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(AdvertView::new_checked(&message[..message.len() - 1], family).is_err());

        // A changed priority is the same as a new message.
        set_priority(&mut message, new_priority).unwrap();
        let repr = AdvertRepr { priority: new_priority, ..repr };
        prop_assert_eq!(emitted(&repr, &pseudo, &mut buffer), message);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        crate::wire::fuzz::vrrp(&bytes);
    }

    #[test]
    fn no_nearly_right_bytes_make_it_panic(
        which in 0usize..3,
        at in 0usize..8,
        value in any::<u8>(),
        cut in 0usize..=40,
    ) {
        let mut bytes = [&V2_PLAIN[..], &V3_IPV4, &V3_IPV6][which].to_vec();
        bytes[at] = value;
        bytes.truncate(cut);
        crate::wire::fuzz::vrrp(&bytes);
    }
}
