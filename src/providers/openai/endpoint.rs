//! Address and headers of a request: OpenAI, Azure OpenAI or Azure AI Inference by the host (spec 07 §11, §12).

use secrecy::ExposeSecret;

use super::options::OpenAiOptions;
use crate::providers::Environment;
use crate::providers::chat::{overlay_headers, sdk_headers};
use crate::providers::http::{HeaderMap, InvalidHeader, set_header};

const DEFAULT_BASE: &str = "https://api.openai.com/v1";
const AZURE_VERSION: &str = "2024-08-01-preview";
const AZURE_INFERENCE_VERSION: &str = "2024-05-01-preview";
/// Who is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `{base}/chat/completions`, bearer key.
    OpenAi,
    /// `{base}/deployments/{model}/chat/completions`, `api-key`.
    Azure,
    /// `{base}/models/chat/completions`, bearer key.
    AzureInference,
}

impl Endpoint {
    /// The one the profile's host means; an explicit port defeats the Azure names.
    pub fn of(options: &OpenAiOptions) -> Endpoint {
        let host = options.host();
        if host.ends_with(".services.ai.azure.com") {
            Endpoint::AzureInference
        } else if host == "azure.com" || host.ends_with(".azure.com") || options.use_azure {
            Endpoint::Azure
        } else {
            Endpoint::OpenAi
        }
    }

    /// Address of the chat call; `None` if the base is no address.
    pub fn url(self, options: &OpenAiOptions) -> Option<String> {
        let base = if options.base_url.is_empty() { DEFAULT_BASE } else { &options.base_url };
        let path = match self {
            Endpoint::AzureInference => "/models/chat/completions".to_owned(),
            Endpoint::Azure if !base.contains("/deployments") => {
                format!("/deployments/{}/chat/completions", options.model_id)
            }
            Endpoint::Azure | Endpoint::OpenAi => "/chat/completions".to_owned(),
        };
        let mut url = url::Url::parse(&format!("{}{path}", base.strip_suffix('/').unwrap_or(base))).ok()?;
        let version = match self {
            Endpoint::OpenAi => return Some(url.into()),
            Endpoint::Azure => AZURE_VERSION,
            Endpoint::AzureInference => AZURE_INFERENCE_VERSION,
        };
        let version = options.azure_api_version.as_deref().unwrap_or(version);
        url.set_query(None);
        url.query_pairs_mut().append_pair("api-version", version);
        Some(url.into())
    }

    /// All headers: the defaults under the profile's own, except Azure's key and the content type.
    pub fn headers(self, options: &OpenAiOptions, environment: &Environment) -> Result<HeaderMap, InvalidHeader> {
        let mut headers = sdk_headers(&options.key, environment, true)?;
        if self == Endpoint::Azure {
            headers.remove("authorization");
        }
        overlay_headers(&mut headers, &options.headers)?;
        if self == Endpoint::Azure {
            set_header(&mut headers, "api-key", options.key.expose_secret())?;
        }
        Ok(headers)
    }
}
