//! Why there are no credentials. Names files, profiles and services, never a key.

use std::path::PathBuf;

use crate::providers::Wording;
use crate::providers::http::TransportError;

/// Why there are no credentials. `Display` is for logs; users get [`AwsError::words`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{self:?}")]
pub enum AwsError {
    /// None anywhere.
    NoCredentials,
    /// The profile is in neither file.
    NoProfile {
        /// Its name.
        profile: String,
    },
    /// The profile holds nothing that leads to credentials.
    EmptyProfile {
        /// Its name.
        profile: String,
    },
    /// Profiles that name each other as their source.
    Loop {
        /// The one that came again.
        profile: String,
    },
    /// A setting of a profile, or a variable, is missing or cannot be used.
    Setting {
        /// Profile, session or the environment.
        place: String,
        /// Its name.
        key: &'static str,
    },
    /// The role asks for a code of a device, which nobody can be asked for here.
    Mfa {
        /// The profile.
        profile: String,
    },
    /// A file cannot be read.
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// Nobody is logged in, or no longer.
    Login {
        /// The profile that has to be logged in.
        profile: String,
    },
    /// A `credential_process` failed, took too long or gave something else than credentials.
    Process {
        /// What happened: its exit status, or the system's words.
        cause: String,
    },
    /// The address of a container's credentials would show its token to strangers.
    UnsafeAddress {
        /// Its host.
        host: String,
    },
    /// A service does not answer.
    NoAnswer {
        /// Which.
        service: &'static str,
        /// What happened.
        cause: TransportError,
    },
    /// A service refuses.
    Refused {
        /// Which.
        service: &'static str,
        /// Status of its answer.
        status: u16,
        /// Its name of the error; may be empty.
        name: String,
        /// Its words.
        message: String,
    },
    /// A service's answer holds no usable credentials.
    Unusable {
        /// Which.
        service: &'static str,
    },
    /// The request cannot be signed: a header or region with characters that cannot be sent.
    Unsignable,
}

impl AwsError {
    /// The error in words.
    pub fn words(&self, wording: &Wording) -> String {
        let say = |id: &str, variables: &[(&str, &str)]| wording(id, variables);
        match self {
            AwsError::NoCredentials => say("provider.aws.no_credentials", &[]),
            AwsError::NoProfile { profile } => say("provider.aws.no_profile", &[("profile", profile)]),
            AwsError::EmptyProfile { profile } => say("provider.aws.empty_profile", &[("profile", profile)]),
            AwsError::Loop { profile } => say("provider.aws.profile_loop", &[("profile", profile)]),
            AwsError::Setting { place, key } => say("provider.aws.setting", &[("place", place), ("key", key)]),
            AwsError::Mfa { profile } => say("provider.aws.mfa", &[("profile", profile)]),
            AwsError::File { path, cause } => {
                say("provider.aws.file", &[("file", &path.display().to_string()), ("cause", cause)])
            }
            AwsError::Login { profile } => say("provider.aws.login", &[("profile", profile)]),
            AwsError::Process { cause } => say("provider.aws.process", &[("cause", cause)]),
            AwsError::UnsafeAddress { host } => say("provider.aws.unsafe_address", &[("host", host)]),
            AwsError::NoAnswer { service, cause } => {
                say("provider.aws.no_answer", &[("service", service), ("cause", &cause.to_string())])
            }
            AwsError::Refused { service, status, name, message } => {
                let status = status.to_string();
                let variables = [("service", *service), ("status", &status), ("name", name), ("message", message)];
                say("provider.aws.refused", &variables)
            }
            AwsError::Unusable { service } => say("provider.aws.unusable", &[("service", service)]),
            AwsError::Unsignable => say("provider.aws.unsignable", &[]),
        }
    }
}
