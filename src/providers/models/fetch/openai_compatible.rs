//! Ids that an OpenAI-compatible server lists (spec 07 §11.6).

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{DEFAULT_LIMIT, answer};
use crate::providers::Surroundings;
use crate::providers::failure::{self, Failure};
use crate::providers::http::{DEFAULT_HEADERS, HeaderMap, HttpRequest, set_header};

/// The ids that the server at `base` lists, each once, in its order. Empty on any failure. `headers` are the profile's own.
pub async fn model_ids(
    surroundings: &Surroundings,
    base: &str,
    key: Option<&SecretString>,
    headers: &[(String, SecretString)],
) -> Vec<String> {
    let base = crate::ecma::trim(base);
    if url::Url::parse(base).is_err() {
        return Vec::new();
    }
    let bytes = async {
        let request = request(format!("{base}/models"), key, headers)?;
        failure::read_bytes(surroundings.http.send(request).await?).await
    };
    bytes.await.map(|bytes| read(&bytes)).unwrap_or_default()
}

fn request(
    url: String,
    key: Option<&SecretString>,
    headers: &[(String, SecretString)],
) -> Result<HttpRequest, Failure> {
    let mut map = HeaderMap::new();
    for (name, value) in DEFAULT_HEADERS {
        set_header(&mut map, name, value)?;
    }
    for (name, value) in headers {
        set_header(&mut map, name, value.expose_secret())?;
    }
    if let Some(key) = key {
        set_header(&mut map, "Authorization", &format!("Bearer {}", key.expose_secret()))?;
    }
    let request = HttpRequest::get(url, map);
    Ok(HttpRequest { header_timeout: Some(DEFAULT_LIMIT), retries: 0, ..request })
}

fn read(bytes: &[u8]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let entries: Vec<Value> = answer::data(bytes).unwrap_or_default();
    let ids = entries.iter().filter_map(|entry| answer::text(&entry["id"]));
    ids.filter(|id| seen.insert(*id)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_stand_once_in_their_order() {
        for (answer, ids) in [
            (r#"{"data":[{"id":"b"},{"id":"a"},{"id":"b"},{"id":7},{}]}"#, vec!["b", "a"]),
            (r#"{"data":{}}"#, vec![]),
            ("<html>", vec![]),
        ] {
            assert_eq!(super::read(answer.as_bytes()), ids, "{answer}");
        }
    }
}
