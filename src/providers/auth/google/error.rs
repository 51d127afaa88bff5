//! Why there is no access token. Names places and servers, never a key.

use crate::providers::Wording;
use crate::providers::failure::{Failure, message};
use crate::providers::http::{HttpFailure, TransportError};

/// Why there is no access token.
#[derive(Clone, Debug, PartialEq)]
pub enum GoogleAuthError {
    /// The file cannot be read.
    Unreadable {
        /// Which.
        place: String,
        /// The system's words.
        cause: String,
    },
    /// The file is larger than any credential.
    TooLarge {
        /// Which.
        place: String,
    },
    /// The text is not JSON.
    NotJson {
        /// Where it stands.
        place: String,
        /// Where it stops being JSON.
        line: usize,
        /// Where in that line.
        column: usize,
    },
    /// A member is missing, empty or not a text.
    Missing {
        /// Where it should be.
        place: String,
        /// Its name.
        field: &'static str,
    },
    /// A credential of a type that is not supported.
    UnknownType {
        /// Where it stands.
        place: String,
        /// Its type.
        kind: String,
    },
    /// The private key is none.
    InvalidKey {
        /// Where it stands.
        place: String,
    },
    /// No credentials anywhere.
    NotFound,
    /// The token server cannot be reached, or breaks off.
    NoAnswer {
        /// Its host.
        server: String,
        /// What happened.
        cause: TransportError,
    },
    /// The token server refuses.
    Refused {
        /// Its host.
        server: String,
        /// Status of its answer.
        status: u16,
        /// What it says, without secrets.
        message: String,
    },
    /// The token server's answer has no usable token.
    NoToken {
        /// Its host.
        server: String,
    },
}

impl GoogleAuthError {
    /// The error in words.
    pub fn words(&self, wording: &Wording) -> String {
        let say = |id: &str, variables: &[(&str, &str)]| wording(id, variables);
        match self {
            GoogleAuthError::Unreadable { place, cause } => {
                say("provider.google_auth.unreadable", &[("place", place), ("cause", cause)])
            }
            GoogleAuthError::TooLarge { place } => say("provider.google_auth.too_large", &[("place", place)]),
            GoogleAuthError::NotJson { place, line, column } => {
                let (line, column) = (line.to_string(), column.to_string());
                say("provider.google_auth.not_json", &[("place", place), ("line", &line), ("column", &column)])
            }
            GoogleAuthError::Missing { place, field } => {
                say("provider.google_auth.missing", &[("place", place), ("field", field)])
            }
            GoogleAuthError::UnknownType { place, kind } => {
                say("provider.google_auth.unknown_type", &[("place", place), ("type", kind)])
            }
            GoogleAuthError::InvalidKey { place } => say("provider.google_auth.invalid_key", &[("place", place)]),
            GoogleAuthError::NotFound => say("provider.google_auth.not_found", &[]),
            GoogleAuthError::NoAnswer { server, cause } => {
                let cause = message(&Failure::Http(HttpFailure::Transport(cause.clone())), wording);
                say("provider.google_auth.no_answer", &[("server", server), ("cause", &cause)])
            }
            GoogleAuthError::Refused { server, status, message } => {
                let status = status.to_string();
                let variables = [("server", server.as_str()), ("status", &status), ("message", message)];
                say("provider.google_auth.refused", &variables)
            }
            GoogleAuthError::NoToken { server } => say("provider.google_auth.no_token", &[("server", server)]),
        }
    }
}
