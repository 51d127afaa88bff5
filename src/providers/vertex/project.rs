//! A project of Vertex AI in a region, and who may ask there.

use crate::providers::Surroundings;
use crate::providers::auth::google::{Given, GoogleAuth};
use crate::providers::options::Options;

/// Stands for what the profile leaves out.
const NOT_PROVIDED: &str = "not-provided";
/// Region of Claude where the profile names none.
const CLAUDE_REGION: &str = "us-east5";

/// A project of Vertex AI. Cheap to clone.
#[derive(Clone)]
pub struct VertexProject {
    /// `vertexProjectId`; the credential's own project never counts.
    project: String,
    /// `vertexRegion`.
    region: Option<String>,
    /// Gives access tokens.
    pub auth: GoogleAuth,
}

impl VertexProject {
    /// Reads the profile.
    pub fn read(options: Options<'_>, surroundings: &Surroundings) -> VertexProject {
        VertexProject {
            project: options.filled("vertexProjectId").unwrap_or(NOT_PROVIDED).to_owned(),
            region: options.filled("vertexRegion").map(str::to_owned),
            auth: GoogleAuth::new(Given::read(options), surroundings),
        }
    }

    /// Address of a method of a Google model (spec 07 §14.1); `base` stands in place of scheme and host.
    pub fn google_url(&self, base: Option<&str>, model: &str, method: &str) -> String {
        let region = self.region.as_deref().unwrap_or(NOT_PROVIDED);
        let host = match region {
            "global" => "https://aiplatform.googleapis.com".to_owned(),
            region => format!("https://{region}-aiplatform.googleapis.com"),
        };
        let path = self.path(region, "google", model, method);
        format!("{}/v1beta1/{path}", base.unwrap_or(&host))
    }

    /// Address of a method of a Claude model (spec 07 §14.2); `base` stands in place of everything up to the version.
    pub fn claude_url(&self, base: Option<&str>, model: &str, method: &str) -> String {
        let region = self.region.as_deref().unwrap_or(CLAUDE_REGION);
        let own = format!("https://{region}-aiplatform.googleapis.com/v1");
        let base = base.map_or(own.as_str(), |base| base.strip_suffix('/').unwrap_or(base));
        format!("{base}/{}", self.path(region, "anthropic", model, method))
    }

    fn path(&self, region: &str, publisher: &str, model: &str, method: &str) -> String {
        format!("projects/{}/locations/{region}/publishers/{publisher}/models/{model}:{method}", self.project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use serde_json::json;
    use std::sync::Arc;

    fn project(options: serde_json::Value) -> VertexProject {
        let http = crate::providers::http::Http::new(
            Arc::new(crate::providers::http::Client::default()),
            Arc::new(|| std::time::SystemTime::UNIX_EPOCH),
            Arc::new(|| 0.0),
        );
        let settings: Settings = serde_json::from_value(options).expect("settings");
        VertexProject::read(Options::of(&settings), &Surroundings::new(http, Arc::new(|id, _| id.to_owned())))
    }

    #[test]
    fn the_region_decides_the_host() {
        const HOST: &str = "aiplatform.googleapis.com";
        for (options, google, claude) in [
            (
                json!({"vertexProjectId": "p", "vertexRegion": "europe-west1"}),
                format!(
                    "https://europe-west1-{HOST}/v1beta1/projects/p/locations/europe-west1/publishers/google/models/m:do"
                ),
                format!(
                    "https://europe-west1-{HOST}/v1/projects/p/locations/europe-west1/publishers/anthropic/models/m:do"
                ),
            ),
            (
                json!({"vertexProjectId": "p", "vertexRegion": "global"}),
                format!("https://{HOST}/v1beta1/projects/p/locations/global/publishers/google/models/m:do"),
                format!("https://global-{HOST}/v1/projects/p/locations/global/publishers/anthropic/models/m:do"),
            ),
            (
                json!({"vertexRegion": ""}),
                format!(
                    "https://not-provided-{HOST}/v1beta1/projects/not-provided/locations/not-provided/publishers/google/models/m:do"
                ),
                format!(
                    "https://us-east5-{HOST}/v1/projects/not-provided/locations/us-east5/publishers/anthropic/models/m:do"
                ),
            ),
        ] {
            let project = project(options);
            assert_eq!(project.google_url(None, "m", "do"), google);
            assert_eq!(project.claude_url(None, "m", "do"), claude);
        }
    }

    #[test]
    fn a_base_replaces_the_host() {
        let project = project(json!({"vertexProjectId": "p", "vertexRegion": "r"}));
        let rest = "projects/p/locations/r/publishers";
        assert_eq!(
            project.google_url(Some("http://g.test/x"), "m", "do"),
            format!("http://g.test/x/v1beta1/{rest}/google/models/m:do")
        );
        for base in ["http://c.test/v9", "http://c.test/v9/"] {
            assert_eq!(
                project.claude_url(Some(base), "m", "do"),
                format!("http://c.test/v9/{rest}/anthropic/models/m:do")
            );
        }
    }
}
