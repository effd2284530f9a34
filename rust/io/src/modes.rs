//! How adverts are received and sent; the same frames and elections either way, at another price.

use std::env;
use std::io;

/// Environment variables that choose.
const RECEIVE_VARIABLE: &str = "KEEPVIP_RECEIVE";
const SEND_VARIABLE: &str = "KEEPVIP_SEND";

/// So many routers, and the price of an advert begins to count.
pub(crate) const MANY: usize = 64;

/// How much of what arrives wakes the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Receive {
    /// A socket filter keeps routine adverts; where the kernel does not let us, as [`Self::Wake`].
    #[default]
    Filter,
    /// Every advert wakes it, those that follow closely together.
    Wake,
}

/// By what kind of socket multicast adverts leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Send {
    /// A raw IP socket for few routers, which the host's OUTPUT rules see as those of any daemon; a packet socket from
    /// [`MANY`] on.
    #[default]
    Auto,
    /// A packet socket, with ready-made frames: half the price, and past the OUTPUT rules.
    Packet,
    /// A raw IP socket.
    Raw,
}

/// Both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Modes {
    /// Adverts in.
    pub receive: Receive,
    /// Adverts out.
    pub send: Send,
}

impl Modes {
    /// What the environment asks for; the defaults where it asks for nothing.
    ///
    /// # Errors
    /// A variable has a value that is none of those documented.
    pub fn from_environment() -> io::Result<Self> {
        Ok(Self {
            receive: choice(
                RECEIVE_VARIABLE,
                &[("filter", Receive::Filter), ("wake", Receive::Wake)],
            )?,
            send: choice(
                SEND_VARIABLE,
                &[("auto", Send::Auto), ("packet", Send::Packet), ("raw", Send::Raw)],
            )?,
        })
    }
}

impl Receive {
    /// As the environment and the status spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Wake => "wake",
        }
    }
}

impl Send {
    /// Whether multicast adverts of so many routers leave as complete frames.
    pub(crate) const fn whole_frames(self, routers: usize) -> bool {
        match self {
            Self::Auto => routers >= MANY,
            Self::Packet => true,
            Self::Raw => false,
        }
    }

    /// As the environment and the status spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Packet => "packet",
            Self::Raw => "raw",
        }
    }
}

fn choice<T: Copy + Default>(variable: &str, choices: &[(&str, T)]) -> io::Result<T> {
    let Some(asked) = env::var_os(variable) else {
        return Ok(T::default());
    };
    let found = choices.iter().find(|(name, _)| asked == *name);
    found.map(|&(_, value)| value).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let message = format!("{variable} is {asked:?}, which is none of: {}", names.join(", "));
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}
