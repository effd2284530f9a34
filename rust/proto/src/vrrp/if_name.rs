//! Names of network interfaces, in a fixed size.

/// Longest interface name with its terminating zero (`IFNAMSIZ`).
pub const IF_NAME_LEN: usize = 16;

/// An interface name, zero padded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct IfName(pub [u8; IF_NAME_LEN]);

impl IfName {
    /// The name as the kernel knows it; `None` when it is empty or does not fit 15 bytes.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes.len() >= IF_NAME_LEN || bytes.contains(&0) {
            return None;
        }
        let mut out = [0; IF_NAME_LEN];
        out[..bytes.len()].copy_from_slice(bytes);
        Some(Self(out))
    }

    /// The name without its padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(IF_NAME_LEN);
        &self.0[..len]
    }
}

impl core::fmt::Debug for IfName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(self.as_bytes()))
    }
}
