//! The socket filter, instruction by instruction.
//!
//! It keeps an advert that is equal to the last accepted one of its router: same interface, addresses, TTL 255 and octets.
//! It notes when that came and that it came, and passes everything else on. What it cannot understand is passed on.

use keepvip_proto::vrrp::config::{Family, NetnsId};

use super::layout::{COUNT, DESTINATION, LAST, LENGTH, MOST, PAYLOAD, SOURCE};
use crate::sys::bpf::Insn;

/// Where the registers of the machine are used for one thing throughout.
const RESULT: u8 = 0;
const A: u8 = 1;
const B: u8 = 2;
const C: u8 = 3;
const D: u8 = 4;
const E: u8 = 5;
const PACKET: u8 = 6;
const RECEIVED: u8 = 7;
const ENTRY: u8 = 8;
const EXPECTED: u8 = 9;
const FRAME: u8 = 10;

/// Places in the frame.
const HEADER: i16 = -48;
const KEY: i16 = -56;
const INDEX: i16 = -60;
const HEAD: i16 = -72;
const COPY: i16 = HEAD - MOST as i16;

/// Kernel functions.
const MAP_LOOKUP: i32 = 1;
const KTIME: i32 = 5;
const LOAD_BYTES: i32 = 26;
const LOAD_BYTES_RELATIVE: i32 = 68;

/// `offsetof(struct __sk_buff, ifindex)`.
const IFINDEX: i16 = 40;

const BYTE: u8 = 0x10;
const HALF: u8 = 0x08;
const WORD: u8 = 0x00;
const DOUBLE: u8 = 0x18;

/// Where a jump goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Pass,
    Keep,
}

#[derive(Default)]
struct Assembler {
    code: Vec<Insn>,
    jumps: Vec<(usize, To)>,
}

impl Assembler {
    fn put(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        let registers = if cfg!(target_endian = "little") {
            from << 4 | to
        } else {
            to << 4 | from
        };
        self.code.push(Insn {
            code,
            registers,
            offset,
            immediate,
        });
    }

    fn number(&mut self, to: u8, value: i32) {
        self.put(0xb7, to, 0, 0, value);
    }

    fn copy(&mut self, to: u8, from: u8) {
        self.put(0xbf, to, from, 0, 0);
    }

    fn add(&mut self, to: u8, value: i32) {
        self.put(0x07, to, 0, 0, value);
    }

    /// The address of a place in the frame.
    fn place(&mut self, to: u8, place: i16) {
        self.copy(to, FRAME);
        self.add(to, place.into());
    }

    fn load(&mut self, size: u8, to: u8, base: u8, offset: i16) {
        self.put(0x61 | size, to, base, offset, 0);
    }

    fn store(&mut self, size: u8, base: u8, offset: i16, from: u8) {
        self.put(0x63 | size, base, from, offset, 0);
    }

    fn store_number(&mut self, size: u8, offset: i16, value: i32) {
        self.put(0x62 | size, FRAME, 0, offset, value);
    }

    fn call(&mut self, function: i32) {
        self.put(0x85, 0, 0, 0, function);
    }

    fn jump(&mut self, code: u8, left: u8, right: u8, value: i32, to: To) {
        self.jumps.push((self.code.len(), to));
        self.put(code, left, right, 0, value);
    }

    fn unless_equal(&mut self, left: u8, value: i32, to: To) {
        self.jump(0x55, left, 0, value, to);
    }

    fn if_equal(&mut self, left: u8, value: i32, to: To) {
        self.jump(0x15, left, 0, value, to);
    }

    fn unless_same(&mut self, left: u8, right: u8, to: To) {
        self.jump(0x5d, left, right, 0, to);
    }

    fn map(&mut self, to: u8, descriptor: i32) {
        self.put(0x18, to, 1, 0, descriptor);
        self.put(0, 0, 0, 0, 0);
    }

    /// Copies `len` octets of the packet to the frame; a packet that is shorter is passed.
    fn fetch(&mut self, function: i32, offset: i32, place: i16, len: i32) {
        self.copy(A, PACKET);
        self.number(B, offset);
        self.place(C, place);
        self.number(D, len);
        if function == LOAD_BYTES_RELATIVE {
            self.number(E, 1); // from the network header
        }
        self.call(function);
        self.unless_equal(RESULT, 0, To::Pass);
    }

    fn expect_byte(&mut self, offset: i16, value: i32) {
        self.load(BYTE, A, FRAME, HEADER + offset);
        self.unless_equal(A, value, To::Pass);
    }

    /// The same octets in the header and in the entry.
    fn expect_same(&mut self, size: u8, offset: i16, in_entry: usize) {
        self.load(size, A, FRAME, HEADER + offset);
        self.load(size, B, ENTRY, in_entry as i16);
        self.unless_same(A, B, To::Pass);
    }

    fn finish(mut self) -> Vec<Insn> {
        let keep = self.code.len();
        self.call(KTIME);
        self.store(DOUBLE, ENTRY, LAST as i16, RESULT);
        self.number(A, 1);
        self.put(0xdb, ENTRY, A, COUNT as i16, 0); // an atomic addition: several processors may receive
        self.number(RESULT, 0);
        self.put(0x95, 0, 0, 0, 0);
        let pass = self.code.len();
        self.put(0xb4, RESULT, 0, 0, -1);
        self.put(0x95, 0, 0, 0, 0);
        for (at, to) in self.jumps {
            let target = if to == To::Pass { pass } else { keep };
            self.code[at].offset = i16::try_from(target - at - 1).unwrap_or(i16::MAX);
        }
        self.code
    }
}

/// The filter for the socket of one address family in one namespace. `keys` finds a router's place in `entries`.
pub(super) fn program(family: Family, netns: NetnsId, keys: i32, entries: i32) -> Vec<Insn> {
    let mut code = Assembler::default();
    code.copy(PACKET, A);
    // A raw IPv4 socket sees the IP header, a raw IPv6 socket does not.
    let payload = match family {
        Family::V4 => {
            code.fetch(LOAD_BYTES, 0, HEADER, 20);
            code.expect_byte(0, 0x45);
            code.expect_byte(8, 255);
            code.expect_byte(9, 112);
            code.load(HALF, RECEIVED, FRAME, HEADER + 2);
            code.put(0xdc, RECEIVED, 0, 0, 16); // from network order
            code.add(RECEIVED, -20);
            20
        }
        Family::V6 => {
            code.fetch(LOAD_BYTES_RELATIVE, 0, HEADER, 40);
            code.expect_byte(6, 112);
            code.expect_byte(7, 255);
            code.load(HALF, RECEIVED, FRAME, HEADER + 4);
            code.put(0xdc, RECEIVED, 0, 0, 16);
            0
        }
    };
    code.fetch(LOAD_BYTES, payload, HEAD, 8);
    code.load(WORD, A, PACKET, IFINDEX);
    code.store(WORD, FRAME, KEY, A);
    code.load(BYTE, A, FRAME, HEAD + 1);
    code.store(BYTE, FRAME, KEY + 4, A);
    code.store_number(BYTE, KEY + 5, super::layout::family_number(family).into());
    code.store_number(HALF, KEY + 6, i32::from(netns.cast_signed()));
    code.map(A, keys);
    code.place(B, KEY);
    code.call(MAP_LOOKUP);
    code.if_equal(RESULT, 0, To::Pass);
    code.load(WORD, A, RESULT, 0);
    code.store(WORD, FRAME, INDEX, A);
    code.map(A, entries);
    code.place(B, INDEX);
    code.call(MAP_LOOKUP);
    code.if_equal(RESULT, 0, To::Pass);
    code.copy(ENTRY, RESULT);
    code.load(DOUBLE, EXPECTED, ENTRY, LENGTH as i16);
    code.unless_same(EXPECTED, RECEIVED, To::Pass);
    // Bounds that the verifier wants to see; no advert is shorter.
    code.jump(0xa5, EXPECTED, 0, 8, To::Pass);
    code.jump(0x25, EXPECTED, 0, MOST as i32, To::Pass);
    match family {
        Family::V4 => {
            code.expect_same(WORD, 12, SOURCE);
            code.expect_same(WORD, 16, DESTINATION);
        }
        Family::V6 => {
            for half in [0, 8] {
                code.expect_same(DOUBLE, 8 + half, SOURCE + half as usize);
                code.expect_same(DOUBLE, 24 + half, DESTINATION + half as usize);
            }
        }
    }
    for at in (0..MOST).step_by(8) {
        code.store_number(DOUBLE, COPY + at as i16, 0);
    }
    code.copy(A, PACKET);
    code.number(B, payload);
    code.place(C, COPY);
    code.copy(D, EXPECTED);
    code.call(LOAD_BYTES);
    code.unless_equal(RESULT, 0, To::Pass);
    for at in (0..MOST).step_by(8) {
        if at > 0 {
            code.jump(0xb5, EXPECTED, 0, at as i32, To::Keep);
        }
        code.load(DOUBLE, A, FRAME, COPY + at as i16);
        code.load(DOUBLE, B, ENTRY, (PAYLOAD + at) as i16);
        code.unless_same(A, B, To::Pass);
    }
    code.finish()
}
