//! What goes wrong behind Gemini CLI's login, in words (spec 07 §19.1).

use secrecy::SecretString;

use crate::providers::auth::google::GoogleAuthError;
use crate::providers::failure::{Failure, message, without_key};
use crate::providers::http::HttpFailure;
use crate::providers::{ProviderError, Wording};

/// Why there is no answer.
#[derive(Debug)]
pub enum CliFailure {
    /// No usable login.
    Login(GoogleAuthError),
    /// The id under which Gemini CLI asks for tokens cannot be had.
    Client(Failure),
    /// The list that should have the id has none.
    NoClient,
    /// The call was not made or its answer cannot be used.
    Call(Failure),
    /// The service refused; the token may stand in its words.
    Answer(Failure, SecretString),
    /// The account is not ready yet.
    Onboarding,
}

impl From<GoogleAuthError> for CliFailure {
    fn from(error: GoogleAuthError) -> CliFailure {
        CliFailure::Login(error)
    }
}

impl From<Failure> for CliFailure {
    fn from(failure: Failure) -> CliFailure {
        CliFailure::Call(failure)
    }
}

impl CliFailure {
    /// Status of the service's answer, if that is what failed.
    pub fn status(&self) -> Option<u16> {
        match self {
            CliFailure::Answer(Failure::Http(HttpFailure::Status { status, .. }), _) => Some(*status),
            _ => None,
        }
    }

    /// The failure as the provider reports it.
    pub fn worded(&self, wording: &Wording) -> ProviderError {
        let worded = |id: &str, name: &str, value: &str| ProviderError::worded(wording, id, &[(name, value)]);
        match self {
            CliFailure::Login(error) => worded("provider.gemini_cli.login", "cause", &error.words(wording)),
            CliFailure::Client(failure) => worded("provider.gemini_cli.client", "cause", &message(failure, wording)),
            CliFailure::NoClient => ProviderError::worded(wording, "provider.gemini_cli.no_client", &[]),
            CliFailure::Call(failure) => api(&message(failure, wording), wording),
            CliFailure::Answer(failure, token) => {
                let details = without_key(message(failure, wording), token);
                match self.status() {
                    Some(429) => worded("provider.gemini_cli.rate_limit", "details", &details),
                    Some(400) => worded("provider.gemini_cli.bad_request", "details", &details),
                    _ => api(&details, wording),
                }
            }
            CliFailure::Onboarding => ProviderError::worded(wording, "provider.gemini_cli.onboarding", &[]),
        }
    }
}

/// `provider.gemini_cli.api`.
pub fn api(error: &str, wording: &Wording) -> ProviderError {
    ProviderError::worded(wording, "provider.gemini_cli.api", &[("error", error)])
}
