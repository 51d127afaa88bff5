//! Where credentials are looked for (spec 07 §14), first match.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;

use super::Given;
use super::credential::{Credential, Kind, parse};
use super::error::GoogleAuthError;
use crate::providers::Surroundings;

/// No credentials file is longer.
const FILE_LIMIT: u64 = 256 << 10;

/// The credential in force: JSON of the profile, its key file, else the application-default one. JSON that is none leads to
/// the application-default one too, past the key file.
///
/// # Errors
/// A credential that is named but cannot be used.
pub async fn find(given: &Given, surroundings: &Surroundings) -> Result<Credential, GoogleAuthError> {
    if let Some(json) = &given.json {
        match parse(json.expose_secret(), "vertexJsonCredentials") {
            Err(GoogleAuthError::NotJson { line, column, .. }) => {
                tracing::warn!(
                    line,
                    column,
                    "vertexJsonCredentials is not JSON; application-default credentials are used"
                );
            }
            credential => return credential,
        }
    } else if let Some(file) = &given.key_file {
        return parse_file(file).await;
    }
    application_default(surroundings).await
}

/// The file that `GOOGLE_APPLICATION_CREDENTIALS` names, the one that gcloud writes, else the machine.
async fn application_default(surroundings: &Surroundings) -> Result<Credential, GoogleAuthError> {
    let variable = |name: &str| (surroundings.environment)(name).filter(|value| !value.is_empty());
    let credential = match variable("GOOGLE_APPLICATION_CREDENTIALS") {
        Some(file) => Some(parse_file(Path::new(&file)).await?),
        None => {
            let file = gcloud_file(surroundings);
            match tokio::fs::try_exists(&file).await {
                Ok(true) => Some(parse_file(&file).await?),
                _ => None,
            }
        }
    };
    let mut credential = credential.unwrap_or_else(|| Credential {
        kind: Kind::Metadata,
        quota_project: None,
        place: "metadata".to_owned(),
    });
    credential.quota_project = variable("GOOGLE_CLOUD_QUOTA_PROJECT").or(credential.quota_project);
    Ok(credential)
}

fn gcloud_file(surroundings: &Surroundings) -> PathBuf {
    const NAME: &str = "application_default_credentials.json";
    match (surroundings.environment)("APPDATA").filter(|_| cfg!(windows)) {
        Some(data) => Path::new(&data).join("gcloud").join(NAME),
        None => surroundings.home.join(".config/gcloud").join(NAME),
    }
}

async fn parse_file(file: &Path) -> Result<Credential, GoogleAuthError> {
    parse(read_file(file).await?.expose_secret(), &file.display().to_string())
}

/// A credentials file, whole.
///
/// # Errors
/// No file, one that cannot be read, is no text or longer than 256 KiB.
pub async fn read_file(file: &Path) -> Result<SecretString, GoogleAuthError> {
    let place = || file.display().to_string();
    let unreadable = |error: std::io::Error| GoogleAuthError::Unreadable { place: place(), cause: error.to_string() };
    let metadata = tokio::fs::metadata(file).await.map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(std::io::Error::from(std::io::ErrorKind::InvalidInput)));
    }
    let mut bytes = Vec::new();
    let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
    opened.take(FILE_LIMIT + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(GoogleAuthError::TooLarge { place: place() });
    }
    let text = String::from_utf8(bytes).map_err(|_| unreadable(std::io::ErrorKind::InvalidData.into()))?;
    Ok(text.into())
}
