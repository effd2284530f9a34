//! Messages of the kernel's process event connector (`linux/cn_proc.h`), in host byte order.

/// Length of the netlink header and the connector header before the event.
const HEADERS: usize = 16 + 20;
/// `CN_IDX_PROC` and `CN_VAL_PROC`.
const ID: u32 = 1;
const NLMSG_DONE: u16 = 3;

mod field {
    use core::ops::Range;

    pub(super) const IDX: Range<usize> = 16..20;
    pub(super) const VAL: Range<usize> = 20..24;
    pub(super) const WHAT: Range<usize> = 36..40;
    /// Where the data of the event begin: behind its kind, a CPU number and a time.
    pub(super) const DATA: usize = 52;
}

/// The kinds of events, as the kernel numbers them.
pub mod what {
    /// The answer to a subscription.
    pub const NONE: u32 = 0;
    /// A process made another one.
    pub const FORK: u32 = 1;
    /// A process became another program.
    pub const EXEC: u32 = 2;
    /// A process changed its name.
    pub const COMM: u32 = 0x200;
    /// A process ended.
    pub const EXIT: u32 = 0x8000_0000;
}

/// What happened to a process. Threads are not told apart here: see [`parse`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcEvent {
    /// The answer to a subscription; 0 or an errno.
    Subscribed(u32),
    /// `parent` made `child`.
    Fork {
        /// The process that forked.
        parent: u32,
        /// The new one.
        child: u32,
    },
    /// The process is another program now.
    Exec(u32),
    /// The process has another name now.
    Comm(u32),
    /// The process has ended.
    Exit(u32),
}

/// The event of one datagram; None for other messages, and for those of threads that are not the first one of their
/// process.
#[must_use]
pub fn parse(message: &[u8]) -> Option<ProcEvent> {
    let word = |at: usize| -> Option<u32> { Some(u32::from_ne_bytes(message.get(at..at + 4)?.try_into().ok()?)) };
    if word(field::IDX.start)? != ID || word(field::VAL.start)? != ID {
        return None;
    }
    let first = word(field::DATA)?;
    match word(field::WHAT.start)? {
        what::NONE => Some(ProcEvent::Subscribed(first)),
        what::FORK => {
            let (parent, child, child_process) =
                (word(field::DATA + 4)?, word(field::DATA + 8)?, word(field::DATA + 12)?);
            (child == child_process).then_some(ProcEvent::Fork { parent, child })
        }
        kind => {
            let process = word(field::DATA + 4)?;
            if first != process {
                return None;
            }
            match kind {
                what::EXEC => Some(ProcEvent::Exec(process)),
                what::COMM => Some(ProcEvent::Comm(process)),
                what::EXIT => Some(ProcEvent::Exit(process)),
                _ => None,
            }
        }
    }
}

/// The message that subscribes to the events.
#[must_use]
pub fn subscription() -> [u8; HEADERS + 4] {
    /// `PROC_CN_MCAST_LISTEN`.
    const LISTEN: u32 = 1;
    let mut message = [0; HEADERS + 4];
    let mut put = |at: usize, bytes: &[u8]| message[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(HEADERS as u32 + 4).to_ne_bytes());
    put(4, &NLMSG_DONE.to_ne_bytes());
    put(field::IDX.start, &ID.to_ne_bytes());
    put(field::VAL.start, &ID.to_ne_bytes());
    put(32, &4_u16.to_ne_bytes());
    put(HEADERS, &LISTEN.to_ne_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.18 sent it: header, connector header, kind, CPU, time, four words.
    fn event(kind: u32, words: [u32; 4]) -> Vec<u8> {
        let mut message = vec![0xa5; 76];
        message[16..20].copy_from_slice(&1_u32.to_ne_bytes());
        message[20..24].copy_from_slice(&1_u32.to_ne_bytes());
        message[36..40].copy_from_slice(&kind.to_ne_bytes());
        for (place, word) in words.into_iter().enumerate() {
            message[52 + 4 * place..56 + 4 * place].copy_from_slice(&word.to_ne_bytes());
        }
        message
    }

    #[test]
    fn captured_fork() {
        let captured: &[u8] = b"L\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\
            \x00\x01\x00\x00\x00\x00\x00\x00\x00(\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00i\x9c\xf4\xb4\xd2\x10\x00\x00\
            \x97C\x00\x00\x97C\x00\x00\xc0C\x00\x00\xc0C\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
        if cfg!(target_endian = "little") {
            let (parent, child) = (0x4397, 0x43c0);
            assert_eq!(parse(captured), Some(ProcEvent::Fork { parent, child }));
        }
    }

    #[test]
    fn processes_and_not_threads() {
        assert_eq!(parse(&event(what::EXEC, [7, 7, 0, 0])), Some(ProcEvent::Exec(7)));
        assert_eq!(parse(&event(what::COMM, [7, 7, 0, 0])), Some(ProcEvent::Comm(7)));
        assert_eq!(parse(&event(what::COMM, [8, 7, 0, 0])), None);
        assert_eq!(parse(&event(what::EXIT, [7, 7, 0, 0])), Some(ProcEvent::Exit(7)));
        assert_eq!(parse(&event(what::EXIT, [8, 7, 0, 0])), None);
        assert_eq!(parse(&event(what::FORK, [7, 7, 9, 7])), None);
        assert_eq!(parse(&event(what::NONE, [1, 0, 0, 0])), Some(ProcEvent::Subscribed(1)));
        assert_eq!(parse(&event(4, [7, 7, 0, 0])), None);
    }

    #[test]
    fn bytes_that_lie_are_nothing() {
        let whole = event(what::FORK, [7, 7, 9, 9]);
        for len in 0..68 {
            assert_eq!(parse(&whole[..len]), None, "{len}");
        }
        let mut other = whole;
        other[16] = 9;
        assert_eq!(parse(&other), None);
    }
}
