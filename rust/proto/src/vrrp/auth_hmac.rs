//! Signed adverts: which key signs, what is accepted, and what has been heard before (`vrrp-behaviour.md` 6).
//!
//! The wall clock comes in as a number, like every other fact. Marks of senders and the last sequence of our own are all
//! the state that there is; nothing is allocated for a packet.

use core::fmt;
use core::net::IpAddr;

use super::report::Reject;
use crate::wire::AdvertView;
use crate::wire::hmac_trailer::{Sequence, TRAILER_LEN, TrailerView, sign};

/// Senders that a multicast router remembers.
const MULTICAST_SENDERS: usize = 4;

/// One secret.
#[derive(Clone, PartialEq, Eq)]
pub struct HmacKey {
    /// Its number in the trailer, 1 to 255.
    pub id: u8,
    /// Its octets.
    pub secret: Vec<u8>,
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is done with adverts that are not signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HmacMode {
    /// They are rejected.
    Enforce,
    /// They are accepted; our own are signed.
    Permissive,
    /// They are accepted, and our own are not signed either.
    ReceiveOnly,
}

/// `auth_hmac` of one router (`config-keywords.md` 7.6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HmacConfig {
    /// All keys that verify.
    pub keys: Vec<HmacKey>,
    /// The one that signs.
    pub active_key: u8,
    /// What becomes of unsigned adverts.
    pub mode: HmacMode,
    /// Largest difference of the clocks in seconds; `None` for `anti_replay monotonic`, which looks at no clock.
    pub window_s: Option<u32>,
}

impl HmacConfig {
    fn key(&self, id: u8) -> Option<&[u8]> {
        self.keys
            .iter()
            .find(|key| key.id == id)
            .map(|key| key.secret.as_slice())
    }

    /// Our own adverts carry a trailer.
    #[must_use]
    pub fn signs(&self) -> bool {
        self.mode != HmacMode::ReceiveOnly
    }
}

/// A trailer that was found to be right; it counts once the rest of the advert is, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    sender: IpAddr,
    sequence: Sequence,
    /// The sender's clock is this many seconds off, and that is more than half of what is tolerated.
    pub(crate) skew_s: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    sender: IpAddr,
    sequence: Sequence,
    /// Counts adverts; the sender with the lowest one is forgotten first.
    heard: u64,
}

/// What a router remembers of sequences.
#[derive(Clone, Debug)]
pub(crate) struct HmacState {
    sent: Option<Sequence>,
    marks: Vec<Mark>,
    /// How many there may be.
    places: usize,
    heard: u64,
}

impl HmacState {
    /// Nothing was sent or heard; `places`: how many senders are told apart.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            sent: None,
            marks: Vec::with_capacity(places),
            places,
            heard: 0,
        }
    }

    /// Forgets the senders, not our own sequence: after a reload replay protection starts afresh.
    pub(crate) fn forget_senders(&mut self, places: usize) {
        self.marks = Vec::with_capacity(places);
        self.places = places;
    }

    /// The trailer of our next advert, at `utc_us` on the wall clock.
    pub(crate) fn sign(
        &mut self,
        config: &HmacConfig,
        utc_us: u64,
        source: IpAddr,
        message: &AdvertView<'_>,
    ) -> Option<[u8; TRAILER_LEN]> {
        let clock = Sequence::at(utc_us);
        let sequence = match self.sent {
            None => clock,
            Some(last) => {
                let next = Sequence(last.0.wrapping_add(1));
                // Far ahead of the clock, which was set back: nobody would accept what follows on that.
                let adrift = config
                    .window_s
                    .is_some_and(|window_s| ahead_s(next, clock) > i64::from(window_s));
                if clock.is_after(next) || adrift { clock } else { next }
            }
        };
        self.sent = Some(sequence);
        sign(
            config.active_key,
            config.key(config.active_key)?,
            sequence,
            source,
            message,
        )
    }

    /// Checks what follows a message, in the order of the reference. `Ok(None)`: nothing does, and that is accepted.
    pub(crate) fn verify(
        &self,
        config: &HmacConfig,
        utc_us: u64,
        sender: IpAddr,
        message: &AdvertView<'_>,
        trailer: &[u8],
    ) -> Result<Option<Verified>, (Reject, u32, u32)> {
        if trailer.is_empty() {
            return match config.mode {
                HmacMode::Enforce => Err((Reject::HmacMissing, 0, 0)),
                HmacMode::Permissive | HmacMode::ReceiveOnly => Ok(None),
            };
        }
        let Some(trailer) = TrailerView::new_checked(trailer) else {
            return Err((Reject::HmacMalformed, 0, 0));
        };
        let sequence = trailer.sequence();
        let clock = Sequence::at(utc_us);
        let off_s = u32::try_from(ahead_s(sequence, clock).unsigned_abs()).unwrap_or(u32::MAX);
        if let Some(window_s) = config.window_s
            && off_s > window_s
        {
            return Err((Reject::HmacStale, off_s, window_s));
        }
        let Some(key) = config.key(trailer.key_id()) else {
            return Err((
                Reject::HmacUnknownKey,
                u32::from(trailer.key_id()),
                u32::from(config.active_key),
            ));
        };
        if !trailer.verify(key, sender, message) {
            return Err((Reject::HmacInvalid, 0, 0));
        }
        if let Some(mark) = self.mark(config, clock, sender)
            && !sequence.is_after(mark)
        {
            return Err((Reject::HmacReplay, 0, 0));
        }
        let skew_s = config
            .window_s
            .is_some_and(|window_s| off_s > window_s / 2)
            .then_some(off_s);
        Ok(Some(Verified {
            sender,
            sequence,
            skew_s,
        }))
    }

    /// The last sequence of a sender, unless the clock has left it behind (or was set back from it).
    fn mark(&self, config: &HmacConfig, clock: Sequence, sender: IpAddr) -> Option<Sequence> {
        let mark = self.marks.iter().find(|mark| mark.sender == sender)?.sequence;
        let expired = config
            .window_s
            .is_some_and(|window_s| ahead_s(mark, clock).unsigned_abs() > u64::from(window_s));
        (!expired).then_some(mark)
    }

    /// Remembers an advert that was accepted.
    pub(crate) fn accept(&mut self, verified: &Verified) {
        self.heard += 1;
        let mark = Mark {
            sender: verified.sender,
            sequence: verified.sequence,
            heard: self.heard,
        };
        if let Some(known) = self.marks.iter_mut().find(|known| known.sender == mark.sender) {
            *known = mark;
        } else if self.marks.len() < self.places {
            self.marks.push(mark);
        } else if let Some(oldest) = self.marks.iter_mut().min_by_key(|known| known.heard) {
            *oldest = mark;
        }
    }
}

/// How many senders a router tells apart: its peers, or the most recent ones of its LAN.
pub(crate) const fn places(peers: Option<usize>) -> usize {
    match peers {
        Some(peers) => peers,
        None => MULTICAST_SENDERS,
    }
}

/// Whole seconds from `clock` to `sequence`, negative when that is in the past; in serial arithmetic.
fn ahead_s(sequence: Sequence, clock: Sequence) -> i64 {
    i64::from(sequence.seconds().wrapping_sub(clock.seconds()).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{AddressList, AdvertRepr, AuthField, Family, Pseudo, Version};

    const UTC: u64 = 1_700_000_000_000_000;
    const SECOND: u64 = 1_000_000;

    fn config(window_s: Option<u32>) -> HmacConfig {
        HmacConfig {
            keys: vec![HmacKey {
                id: 1,
                secret: vec![7; 32],
            }],
            active_key: 1,
            mode: HmacMode::Enforce,
            window_s,
        }
    }

    fn message() -> Vec<u8> {
        let repr = AdvertRepr {
            version: Version::V3,
            vrid: 7,
            priority: 100,
            advert_int: 100,
            auth: AuthField::None,
            addresses: AddressList::Wire(Family::V4, &[10, 0, 0, 1]),
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut bytes, &Pseudo::None).unwrap();
        bytes
    }

    fn sender(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn sequence(state: &mut HmacState, config: &HmacConfig, utc_us: u64) -> Sequence {
        let bytes = message();
        let view = AdvertView::new_checked(&bytes, Family::V4).unwrap();
        let trailer = state.sign(config, utc_us, sender(9), &view).unwrap();
        TrailerView::new_checked(&trailer).unwrap().sequence()
    }

    #[test]
    fn sequences_follow_the_clock_or_the_last_one() {
        let (config, mut state) = (config(Some(5)), HmacState::new(MULTICAST_SENDERS));
        let first = sequence(&mut state, &config, UTC);
        assert_eq!(first, Sequence::at(UTC));
        assert_eq!(sequence(&mut state, &config, UTC), Sequence(first.0 + 1));
        assert_eq!(sequence(&mut state, &config, UTC + SECOND), Sequence::at(UTC + SECOND));
        // Set back within the window: what was said stays behind. Farther: nobody would listen.
        let ahead = Sequence(Sequence::at(UTC + SECOND).0 + 1);
        assert_eq!(sequence(&mut state, &config, UTC - 3 * SECOND), ahead);
        assert_eq!(
            sequence(&mut state, &config, UTC - 5 * SECOND),
            Sequence::at(UTC - 5 * SECOND)
        );
    }

    #[test]
    fn a_monotonic_sequence_never_goes_back() {
        let (config, mut state) = (config(None), HmacState::new(MULTICAST_SENDERS));
        let first = sequence(&mut state, &config, UTC);
        assert_eq!(sequence(&mut state, &config, UTC - 900 * SECOND), Sequence(first.0 + 1));
    }

    /// Signs at `at` as `last`, and gives it to `state` at `utc`.
    fn hear(
        state: &mut HmacState,
        config: &HmacConfig,
        last: u8,
        at: u64,
        utc: u64,
    ) -> Result<Option<u32>, (Reject, u32, u32)> {
        let bytes = message();
        let view = AdvertView::new_checked(&bytes, Family::V4).unwrap();
        let trailer = HmacState::new(MULTICAST_SENDERS)
            .sign(config, at, sender(last), &view)
            .unwrap();
        let verified = state.verify(config, utc, sender(last), &view, &trailer)?;
        state.accept(verified.as_ref().unwrap());
        Ok(verified.unwrap().skew_s)
    }

    #[test]
    fn the_window_and_its_half() {
        let (config, mut state) = (config(Some(10)), HmacState::new(MULTICAST_SENDERS));
        assert_eq!(hear(&mut state, &config, 1, UTC, UTC), Ok(None));
        assert_eq!(hear(&mut state, &config, 1, UTC + 5 * SECOND, UTC), Ok(None));
        assert_eq!(hear(&mut state, &config, 1, UTC + 6 * SECOND, UTC), Ok(Some(6)));
        assert_eq!(hear(&mut state, &config, 2, UTC - 10 * SECOND, UTC), Ok(Some(10)));
        for far in [UTC - 11 * SECOND, UTC + 11 * SECOND] {
            assert_eq!(hear(&mut state, &config, 1, far, UTC), Err((Reject::HmacStale, 11, 10)));
        }
    }

    #[test]
    fn a_mark_counts_until_the_window_has_left_it() {
        let (config, mut state) = (config(Some(5)), HmacState::new(MULTICAST_SENDERS));
        hear(&mut state, &config, 1, UTC, UTC).unwrap();
        assert_eq!(hear(&mut state, &config, 1, UTC, UTC), Err((Reject::HmacReplay, 0, 0)));
        let before = hear(&mut state, &config, 1, UTC - SECOND, UTC);
        assert_eq!(before, Err((Reject::HmacReplay, 0, 0)));
        // Our clock was set back by so much that the mark means nothing.
        let early = UTC - 20 * SECOND;
        assert_eq!(hear(&mut state, &config, 1, early, early), Ok(None));
    }

    #[test]
    fn the_four_most_recent_senders_are_remembered() {
        let (config, mut state) = (config(None), HmacState::new(MULTICAST_SENDERS));
        for last in 1..=4 {
            hear(&mut state, &config, last, UTC, UTC).unwrap();
        }
        hear(&mut state, &config, 1, UTC + 1000, UTC).unwrap();
        hear(&mut state, &config, 5, UTC, UTC).unwrap();
        // 2 was heard least recently and made room.
        assert_eq!(hear(&mut state, &config, 2, UTC, UTC), Ok(None));
        for last in [1, 4, 5] {
            let again = hear(&mut state, &config, last, UTC, UTC);
            assert_eq!(again, Err((Reject::HmacReplay, 0, 0)));
        }
    }
}
