//! The project that Code Assist is asked in (spec 07 §19.1): from the profile, from a file beside the login, else the one
//! that the service has for the account, which it may have to make first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::call::Calls;
use super::failure::CliFailure;
use crate::ecma::is_truthy;
use crate::providers::auth::google::source::read_file;
use crate::providers::{Environment, Surroundings};

const VARIABLE: &str = "GOOGLE_CLOUD_PROJECT";
/// How often, at most, and after what pause an account that is being made is asked for again.
const POLLS: u32 = 30;
const PAUSE: Duration = Duration::from_secs(2);

/// The project, found once.
pub struct Project {
    /// `geminiCliProjectId`.
    given: Option<String>,
    /// Variables in a file beside the login.
    variables: PathBuf,
    environment: Environment,
    found: OnceCell<String>,
}

impl Project {
    /// Looks nowhere yet.
    pub fn new(given: Option<&str>, login: PathBuf, surroundings: &Surroundings) -> Project {
        Project {
            given: given.map(str::to_owned),
            variables: login.join(".env"),
            environment: surroundings.environment.clone(),
            found: OnceCell::new(),
        }
    }

    /// Its id.
    ///
    /// # Errors
    /// A call that fails, an account that is not ready in a minute.
    pub async fn id(&self, calls: &Calls) -> Result<&str, CliFailure> {
        match &self.given {
            Some(given) => Ok(given),
            None => Ok(self.found.get_or_try_init(|| self.find(calls)).await?),
        }
    }

    async fn find(&self, calls: &Calls) -> Result<String, CliFailure> {
        if let Some(project) = variable_in(&self.variables).await {
            return Ok(project);
        }
        let first = (self.environment)(VARIABLE).filter(|project| !project.is_empty());
        let first = first.unwrap_or_else(|| "default".to_owned());
        let metadata = json!({
            "ideType": "IDE_UNSPECIFIED",
            "platform": "PLATFORM_UNSPECIFIED",
            "pluginType": "GEMINI",
            "duetProject": first,
        });
        let load = json!({"cloudaicompanionProject": first, "metadata": metadata});
        let loaded = calls.ask("loadCodeAssist", &load).await?;
        match filled(&loaded["cloudaicompanionProject"]) {
            Some(project) => Ok(project),
            None => {
                let onboard = json!({"tierId": tier(&loaded), "cloudaicompanionProject": first, "metadata": metadata});
                Ok(onboarded(calls, &onboard).await?.unwrap_or(first))
            }
        }
    }
}

/// Has the account made ready, and gives the project it gets.
async fn onboarded(calls: &Calls, body: &Value) -> Result<Option<String>, CliFailure> {
    for poll in 0..=POLLS {
        if poll > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let operation = calls.ask("onboardUser", body).await?;
        if is_truthy(&operation["done"]) {
            return Ok(filled(&operation["response"]["cloudaicompanionProject"]["id"]));
        }
    }
    Err(CliFailure::Onboarding)
}

/// The tier that is default, else the free one.
fn tier(loaded: &Value) -> String {
    let tiers = loaded["allowedTiers"].as_array();
    let default = tiers.into_iter().flatten().find(|tier| is_truthy(&tier["isDefault"]));
    default.and_then(|tier| filled(&tier["id"])).unwrap_or_else(|| "free-tier".to_owned())
}

fn filled(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The variable in a file of `NAME=value` lines; a file that cannot be read has none.
async fn variable_in(file: &Path) -> Option<String> {
    value_of(VARIABLE, read_file(file).await.ok()?.expose_secret())
}

/// The last value of `name` among lines `NAME=value`, with `export`, quotes and comments as shells have them.
fn value_of(name: &str, text: &str) -> Option<String> {
    let value = |line: &str| {
        let line = line.trim_start();
        let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        (key.trim() == name).then(|| unquoted(value.trim()).to_owned())
    };
    text.lines().filter_map(value).next_back().filter(|value| !value.is_empty())
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\'', '`'] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner;
        }
    }
    value.split('#').next().unwrap_or("").trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_from_its_file() {
        for (text, expected) in [
            ("GOOGLE_CLOUD_PROJECT=p", Some("p")),
            ("A=1\r\n export GOOGLE_CLOUD_PROJECT = \"p q\" # why\r\n", Some("p q")),
            ("GOOGLE_CLOUD_PROJECT='p#1'", Some("p#1")),
            ("GOOGLE_CLOUD_PROJECT=p # why", Some("p")),
            ("GOOGLE_CLOUD_PROJECT=\"p", Some("\"p")),
            ("GOOGLE_CLOUD_PROJECT=a\nGOOGLE_CLOUD_PROJECT=b", Some("b")),
            ("#GOOGLE_CLOUD_PROJECT=p", None),
            ("GOOGLE_CLOUD_PROJECT=", None),
            ("MY_GOOGLE_CLOUD_PROJECT=p\nGOOGLE_CLOUD_PROJECT", None),
            ("", None),
        ] {
            assert_eq!(value_of(VARIABLE, text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_default_tier_is_chosen() {
        for (loaded, expected) in [
            (json!({"allowedTiers": [{"id": "a"}, {"id": "b", "isDefault": true}]}), "b"),
            (json!({"allowedTiers": [{"id": "a"}]}), "free-tier"),
            (json!({"allowedTiers": [{"isDefault": true}]}), "free-tier"),
            (json!({"allowedTiers": 7}), "free-tier"),
            (json!(null), "free-tier"),
        ] {
            assert_eq!(tier(&loaded), expected, "{loaded}");
        }
    }
}
