//! What a client and an engine in another process say to each other before their rings exist.
//!
//! On the wire: a head of fixed size, which both sides can read whatever their versions, then a JSON body. Whoever reads one
//! must expect anything: sizes are limited, unknown fields are skipped, and nothing here is trusted for memory safety.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::abi::abi_hash;
use super::limits::{MAX_ITEMS, MAX_NAME_BYTES, quoted};

/// First word of every message of the handshake.
pub const MAGIC: u64 = u64::from_le_bytes(*b"LAPCEAI\x02");
/// Bytes of the head.
pub const HEAD_LEN: usize = 56;
/// Longest body, bytes: a client with all sessions an engine runs fits.
pub const BODY_LIMIT: usize = 1 << 20;
/// Sessions one hello may name.
const SESSION_LIMIT: usize = 65_536;

/// What a message of the handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MessageKind {
    /// Client to engine.
    Hello = 1,
    /// Engine to client: attached.
    Welcome = 2,
    /// Engine to client: not attached.
    Refusal = 3,
}

/// The fixed head of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What follows.
    pub kind: MessageKind,
    /// Version of the shared regions' layout.
    pub layout_version: u32,
    /// Hash over the records' definitions.
    pub abi_hash: u64,
    /// Version of the library, UTF-8, filled with zeros.
    pub version: [u8; 24],
    /// Bytes of the body.
    pub body_len: u32,
}

/// Sizes of a ring as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingSizes {
    /// Slots.
    pub slots: u32,
    /// Bytes of the arena.
    pub bytes: u32,
}

/// A client introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// 32 lower-case hex digits that no other client has; the same after a reattach.
    pub client: String,
    /// Name for people, such as that of the editor.
    pub name: String,
    /// The number the engine gave it before; 0 for none.
    #[serde(default)]
    pub number: u32,
    /// Host request methods it answers.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Its sessions may be seen and answered by observers of the same user.
    #[serde(default)]
    pub share: bool,
    /// It wants to see shared sessions of others.
    #[serde(default)]
    pub observe: bool,
    /// Engine to client; the engine makes this region.
    pub events: RingSizes,
    /// Client to engine; its region comes with this message.
    pub requests: RingSizes,
    /// Last session sequence it has got, by session index. Sessions it does not name: what it had not released.
    #[serde(default)]
    pub seen: Vec<(u32, u32)>,
    /// Last sequence of events of no session it has got; `None` when it does not know.
    #[serde(default)]
    pub seen_own: Option<u32>,
}

/// A session the client owns or may observe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeSession {
    /// Its id.
    pub session: u64,
    /// Whether it belongs to this client.
    pub own: bool,
}

/// The engine takes the client in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Number of the client: the generation part of its request ids.
    pub number: u32,
    /// Number of this pair of regions, in the header of the events region.
    pub generation: u64,
    /// Generation part of session ids.
    pub engine_generation: u32,
    /// Process of the engine.
    pub pid: u32,
    /// Ring sizes the engine chose for its region.
    pub events: RingSizes,
    /// Sessions that live.
    #[serde(default)]
    pub sessions: Vec<WelcomeSession>,
}

/// Why a client is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Name of an [`ErrorKind`](super::failure::ErrorKind).
    pub kind: String,
    /// For people.
    pub message: String,
}

/// A message that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Not one of ours at all.
    #[error("the other side is no lapce-ai")]
    Foreign,
    /// Made by another version.
    #[error(
        "versions differ: here {} (layout {}, records {:016x}), there {theirs} (layout {layout}, records {abi:016x})",
        env!("CARGO_PKG_VERSION"), Head::LAYOUT_VERSION, abi_hash()
    )]
    Version {
        /// Their version.
        theirs: String,
        /// Their layout.
        layout: u32,
        /// Their records.
        abi: u64,
    },
    /// A kind, size or field that is impossible.
    #[error("hello.{place}: {message}")]
    Malformed {
        /// Which part.
        place: &'static str,
        /// What is wrong.
        message: String,
    },
}

fn malformed(place: &'static str, message: impl Into<String>) -> HelloError {
    HelloError::Malformed { place, message: quoted(message.into()) }
}

impl Head {
    /// Version of the regions' layout, which `transport` asserts to be its own.
    pub const LAYOUT_VERSION: u32 = 2;

    /// The head of our own message.
    pub fn ours(kind: MessageKind, body_len: usize) -> Head {
        let mut version = [0; 24];
        for (to, from) in version.iter_mut().zip(env!("CARGO_PKG_VERSION").bytes()) {
            *to = from;
        }
        let body_len = u32::try_from(body_len).unwrap_or(u32::MAX);
        Head { kind, layout_version: Self::LAYOUT_VERSION, abi_hash: abi_hash(), version, body_len }
    }

    /// As sent.
    pub fn to_bytes(&self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        let parts: [&[u8]; 6] = [
            &MAGIC.to_le_bytes(),
            &(self.kind as u32).to_le_bytes(),
            &self.layout_version.to_le_bytes(),
            &self.abi_hash.to_le_bytes(),
            &self.version,
            &self.body_len.to_le_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(parts.concat()) {
            *to = from;
        }
        bytes
    }

    /// Reads a head. A peer of another version is an error that names both.
    ///
    /// # Errors
    /// See [`HelloError`].
    pub fn from_bytes(bytes: &[u8; HEAD_LEN]) -> Result<Head, HelloError> {
        let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if long(0) != MAGIC {
            return Err(HelloError::Foreign);
        }
        let mut version = [0; 24];
        version.copy_from_slice(&bytes[24..48]);
        let (layout, abi) = (word(12), long(16));
        if layout != Self::LAYOUT_VERSION || abi != abi_hash() {
            let shown: String = version.iter().take_while(|b| **b != 0).map(|b| char::from(*b & 0x7f)).collect();
            let theirs = shown.chars().filter(|c| c.is_ascii_graphic()).collect();
            return Err(HelloError::Version { theirs, layout, abi });
        }
        let kind = match word(8) {
            1 => MessageKind::Hello,
            2 => MessageKind::Welcome,
            3 => MessageKind::Refusal,
            other => return Err(malformed("kind", format!("{other} is unknown"))),
        };
        let body_len = word(48);
        if body_len as usize > BODY_LIMIT {
            return Err(malformed("body_len", format!("{body_len} bytes, at most {BODY_LIMIT}")));
        }
        Ok(Head { kind, layout_version: layout, abi_hash: abi, version, body_len })
    }
}

/// Head and body of our own message.
fn message(kind: MessageKind, body: &impl Serialize) -> Vec<u8> {
    // Plain data with text keys always serialises.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut bytes = Head::ours(kind, body.len()).to_bytes().to_vec();
    bytes.extend(body);
    bytes
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HelloError> {
    if bytes.len() > BODY_LIMIT {
        return Err(malformed("body", format!("{} bytes, at most {BODY_LIMIT}", bytes.len())));
    }
    serde_json::from_slice(bytes).map_err(|error| malformed("body", error.to_string()))
}

impl Hello {
    /// As sent, head included.
    pub fn to_bytes(&self) -> Vec<u8> {
        message(MessageKind::Hello, self)
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`HelloError::Malformed`] with the field that is beyond its limits.
    pub fn from_body(bytes: &[u8]) -> Result<Hello, HelloError> {
        let hello: Hello = body(bytes)?;
        hello.validate()?;
        Ok(hello)
    }

    /// Checks the fields against their limits.
    ///
    /// # Errors
    /// [`HelloError::Malformed`] with the field that is beyond them.
    pub fn validate(&self) -> Result<(), HelloError> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if self.client.len() != 32 || !self.client.bytes().all(is_hex) {
            return Err(malformed("client", "must be 32 lower-case hex digits"));
        }
        if self.name.len() > MAX_NAME_BYTES {
            return Err(malformed("name", format!("more than {MAX_NAME_BYTES} bytes")));
        }
        if self.capabilities.len() > MAX_ITEMS || self.capabilities.iter().any(|name| name.len() > MAX_NAME_BYTES) {
            return Err(malformed("capabilities", "too many or too long"));
        }
        if self.seen.len() > SESSION_LIMIT {
            return Err(malformed("seen", format!("more than {SESSION_LIMIT} sessions")));
        }
        Ok(())
    }
}

impl Welcome {
    /// As sent, head included.
    pub fn to_bytes(&self) -> Vec<u8> {
        message(MessageKind::Welcome, self)
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`HelloError::Malformed`].
    pub fn from_body(bytes: &[u8]) -> Result<Welcome, HelloError> {
        body(bytes)
    }
}

impl Refusal {
    /// As sent, head included.
    pub fn to_bytes(&self) -> Vec<u8> {
        message(MessageKind::Refusal, self)
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`HelloError::Malformed`].
    pub fn from_body(bytes: &[u8]) -> Result<Refusal, HelloError> {
        body(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            client: "0123456789abcdef0123456789abcdef".into(),
            name: "editor".into(),
            number: 7,
            capabilities: vec!["edit.propose".into()],
            share: true,
            observe: false,
            events: RingSizes { slots: 1024, bytes: 1 << 20 },
            requests: RingSizes { slots: 256, bytes: 1 << 18 },
            seen: vec![(1, 9), (2, 0)],
            seen_own: Some(4),
        }
    }

    fn split(bytes: &[u8]) -> (Head, &[u8]) {
        let (head, body) = bytes.split_first_chunk().unwrap();
        (Head::from_bytes(head).unwrap(), body)
    }

    #[test]
    fn messages_come_back() {
        let bytes = hello().to_bytes();
        let (head, body) = split(&bytes);
        assert_eq!((head.kind, head.body_len as usize), (MessageKind::Hello, body.len()));
        assert_eq!(Hello::from_body(body).unwrap(), hello());
        let sessions = vec![WelcomeSession { session: 1 << 32 | 1, own: true }];
        let events = RingSizes { slots: 8, bytes: 4096 };
        let welcome = Welcome { number: 1, generation: 2, engine_generation: 3, pid: 4, events, sessions };
        let bytes = welcome.to_bytes();
        assert_eq!(Welcome::from_body(split(&bytes).1).unwrap(), welcome);
        let refusal = Refusal { kind: "busy".into(), message: "full".into() };
        let bytes = refusal.to_bytes();
        assert_eq!(Refusal::from_body(split(&bytes).1).unwrap(), refusal);
    }

    #[test]
    fn other_versions_are_named_and_strangers_refused() {
        let mut bytes: [u8; HEAD_LEN] = hello().to_bytes()[..HEAD_LEN].try_into().unwrap();
        bytes[12] = 9;
        let error = Head::from_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains("layout 9") && error.contains(env!("CARGO_PKG_VERSION")), "{error}");
        bytes[0] = 0;
        assert_eq!(Head::from_bytes(&bytes), Err(HelloError::Foreign));
    }

    #[test]
    fn bodies_beyond_their_limits_are_refused_by_place() {
        for (change, place) in [
            (Box::new(|h: &mut Hello| h.client = "xyz".into()) as Box<dyn Fn(&mut Hello)>, "hello.client"),
            (Box::new(|h| h.name = "n".repeat(300)), "hello.name"),
            (Box::new(|h| h.capabilities = vec![String::new(); 2000]), "hello.capabilities"),
            (Box::new(|h| h.seen = vec![(1, 1); 70_000]), "hello.seen"),
        ] {
            let mut changed = hello();
            change(&mut changed);
            let body = serde_json::to_vec(&changed).unwrap();
            assert!(Hello::from_body(&body).unwrap_err().to_string().starts_with(place));
        }
        assert!(Hello::from_body(b"{").is_err());
        let long = vec![b' '; BODY_LIMIT + 1];
        for error in [
            Hello::from_body(&long).unwrap_err(),
            Welcome::from_body(&long).unwrap_err(),
            Refusal::from_body(&long).unwrap_err(),
        ] {
            assert!(error.to_string().starts_with("hello.body"), "{error}");
        }
    }

    #[test]
    fn impossible_heads_are_refused_by_place() {
        for (at, value, place) in [(8, 0, "hello.kind"), (8, 4, "hello.kind"), (51, 1, "hello.body_len")] {
            let mut bytes = Head::ours(MessageKind::Welcome, BODY_LIMIT).to_bytes();
            assert_eq!(Head::from_bytes(&bytes).unwrap().kind, MessageKind::Welcome);
            bytes[at] = value;
            assert!(Head::from_bytes(&bytes).unwrap_err().to_string().starts_with(place));
        }
        // A body nobody can send is not announced as a short one.
        assert!(Head::from_bytes(&Head::ours(MessageKind::Hello, usize::MAX).to_bytes()).is_err());
    }
}
