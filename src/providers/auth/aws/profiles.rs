//! The shared files: `~/.aws/config` and `~/.aws/credentials`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt;

use super::AwsError;
use super::ini::{self, Section};
use super::source::variable;
use crate::providers::{Environment, Surroundings};

/// No file of AWS's tools is longer.
const FILE_LIMIT: u64 = 1 << 20;
const DEFAULT_PROFILE: &str = "default";

/// Profiles and SSO sessions by name.
#[derive(Debug, Default)]
pub struct Profiles {
    profiles: BTreeMap<String, Section>,
    sessions: BTreeMap<String, Section>,
}

impl Profiles {
    /// Reads both files; one that is not there is empty.
    ///
    /// # Errors
    /// A file that is there and cannot be read, or is longer than 1 MiB.
    pub async fn load(surroundings: &Surroundings) -> Result<Profiles, AwsError> {
        let file = |name: &str, usual: &str| match variable(&surroundings.environment, name) {
            Some(path) => expanded(&path, &surroundings.home),
            None => surroundings.home.join(".aws").join(usual),
        };
        let config = read(&file("AWS_CONFIG_FILE", "config")).await?.unwrap_or_default();
        let credentials = read(&file("AWS_SHARED_CREDENTIALS_FILE", "credentials")).await?.unwrap_or_default();
        Ok(Profiles::of(&config, &credentials))
    }

    /// From the texts of the two files. A setting of the credentials file wins.
    pub fn of(config: &str, credentials: &str) -> Profiles {
        let mut all = Profiles::default();
        for (name, section) in ini::parse(config) {
            if let Some(session) = name.strip_prefix("sso-session ") {
                all.sessions.entry(session.to_owned()).or_default().extend(section);
            } else if let Some(profile) = name.strip_prefix("profile ") {
                all.profiles.entry(profile.to_owned()).or_default().extend(section);
            } else if name == DEFAULT_PROFILE {
                all.profiles.entry(name).or_default().extend(section);
            }
        }
        for (name, section) in ini::parse(credentials) {
            all.profiles.entry(name).or_default().extend(section);
        }
        all
    }

    /// A profile by its name.
    pub fn profile(&self, name: &str) -> Option<&Section> {
        self.profiles.get(name)
    }

    /// An SSO session by its name.
    pub fn session(&self, name: &str) -> Option<&Section> {
        self.sessions.get(name)
    }

    /// A setting of a profile; one without value counts as absent.
    pub fn setting(&self, profile: &str, key: &str) -> Option<&str> {
        self.profiles.get(profile)?.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Name of the profile that holds when none is named.
pub fn in_use(environment: &Environment) -> String {
    variable(environment, "AWS_PROFILE").unwrap_or_else(|| DEFAULT_PROFILE.to_owned())
}

/// A small file as text; `None` if there is none.
///
/// # Errors
/// A file that cannot be read, is no text, or is longer than 1 MiB.
pub async fn read(path: &Path) -> Result<Option<String>, AwsError> {
    let failed = |error: std::io::Error| AwsError::File { path: path.to_owned(), cause: error.to_string() };
    let metadata = match tokio::fs::metadata(path).await {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.is_file() || metadata.len() > FILE_LIMIT {
        return Err(failed(ErrorKind::InvalidData.into()));
    }
    let mut text = String::new();
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    file.take(FILE_LIMIT).read_to_string(&mut text).await.map_err(failed)?;
    Ok(Some(text))
}

/// A path in which `~` stands for the home folder.
pub fn expanded(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credentials_file_wins() {
        let config = "[default]\nregion = a\n[profile dev]\nregion = b\naws_access_key_id = 1\n[stray]\nregion = c\n\
                      [sso-session s]\nsso_region = d\n[services x]\nregion = e\n";
        let credentials = "[dev]\naws_access_key_id = 2\n[profile other]\nregion = f\n";
        let profiles = Profiles::of(config, credentials);
        for (profile, key, expected) in [
            ("default", "region", Some("a")),
            ("dev", "region", Some("b")),
            ("dev", "aws_access_key_id", Some("2")),
            ("stray", "region", None),
            ("other", "region", None),
            ("x", "region", None),
        ] {
            assert_eq!(profiles.setting(profile, key), expected, "{profile} {key}");
        }
        assert_eq!(profiles.session("s").and_then(|s| s.get("sso_region")).map(String::as_str), Some("d"));
    }
}
