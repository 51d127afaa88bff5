//! What the Bedrock cases need besides a transport: files, variables, signatures and errors as the vectors show them (note of
//! `provider_requests_cloud`).

use std::path::Path;

use bytes::Bytes;
use lapce_ai::providers::ProviderError;
use lapce_ai::providers::http::HttpRequest;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Writes the shared credentials file of a case below `home`.
pub fn place_files(input: &Value, home: &Path) {
    if let Some(ini) = input["ini"].as_str() {
        std::fs::create_dir_all(home.join(".aws")).expect("a folder");
        std::fs::write(home.join(".aws/credentials"), ini).expect("a file");
    }
}

/// Variables that a case names.
pub fn variables(input: &Value) -> Vec<(String, String)> {
    let named = input["env"].as_object().into_iter().flatten();
    named.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Whether nobody answers: the addresses of clouds' machines.
pub fn is_unreachable(request: &HttpRequest) -> bool {
    ["http://169.254.", "http://[fd00:ec2:"].iter().any(|start| request.url.starts_with(start))
}

/// The bytes of a response that is no text, cut after seven of them.
pub fn pieces(response: &Value) -> Option<Vec<Bytes>> {
    let bytes: Vec<u8> = serde_json::from_value(response["body"].clone()).ok()?;
    let cut = bytes.len().min(7);
    Some(vec![Bytes::copy_from_slice(&bytes[..cut]), Bytes::copy_from_slice(&bytes[cut..])])
}

/// Signed headers without what depends on the choice of headers, and the body's hash by name if it is that.
pub fn show_signature(headers: &mut Map<String, Value>, body: &[u8]) {
    let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    if headers.get("x-amz-content-sha256").is_some_and(|value| *value == hash) {
        headers["x-amz-content-sha256"] = json!("⟦SHA256_OF_BODY⟧");
    }
    if let Some(Value::String(authorization)) = headers.get_mut("authorization")
        && authorization.starts_with("AWS4-")
    {
        authorization.truncate(authorization.find(',').unwrap_or(authorization.len()));
    }
}

/// The code of a text that only Bedrock's cases show.
pub fn code(id: &str, variables: &[(&str, &str)]) -> Option<String> {
    let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
    Some(match id {
        "provider.bedrock.unknown" => format!("⟦{id}|{}⟧", variable("errorMessage")),
        "provider.bedrock.complete" => format!("⟦{id}⟧{}", variable("message")),
        "transform.bedrock.unsupported_image_format" => format!("⟦{id}|{}⟧", variable("format")),
        "provider.stream_truncated" => "FRAME_TRUNCATED".into(),
        "provider.stream_corrupt" => "FRAME_CHECKSUM".into(),
        "provider.bedrock.delta_members" => "UNION_MEMBERS".into(),
        "provider.aws.no_credentials" | "provider.aws.no_profile" | "provider.aws.empty_profile" => {
            "NO_CREDENTIALS".into()
        }
        "provider.invalid_answer" => "BAD_JSON".into(),
        _ => return None,
    })
}

/// An error with all that is kept of it.
pub fn threw(error: &ProviderError) -> Value {
    let message = match error.message.starts_with('⟦') {
        true => error.message.clone(),
        false => format!("⟦ORIGINAL|{}⟧", error.message),
    };
    let status = error.details.get("$metadata").and_then(|metadata| metadata.get("httpStatusCode"));
    let members = [("name", error.details.get("name").cloned()), ("message", Some(json!(message)))];
    let members = members.into_iter().chain([("http_status", status.cloned())]);
    members.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into()
}
