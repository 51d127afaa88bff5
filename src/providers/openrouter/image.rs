//! Pictures from a model that draws (spec 07 §17, `generateImage`).

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::providers::Surroundings;
use crate::providers::failure::{self, Failure, Sdk};
use crate::providers::http::{DEFAULT_HEADERS, HeaderMap, HttpRequest, set_header};

/// Also the place of the path: the two are joined as they stand.
const DEFAULT_BASE: &str = "https://openrouter.ai/api/v1/";
const FORMATS: [&str; 3] = ["png", "jpeg", "jpg"];

/// What to draw.
#[derive(Clone, Debug, Default)]
pub struct ImageRequest {
    /// What the picture should show.
    pub prompt: String,
    /// Id of the model.
    pub model: String,
    /// Key.
    pub key: Option<SecretString>,
    /// Base address with a slash at its end; `None` or empty: OpenRouter's.
    pub base_url: Option<String>,
    /// A picture to go on from, as a data URL.
    pub input_image: Option<String>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedImage {
    /// The picture as a data URL.
    pub data_url: String,
    /// `png`, `jpeg` or `jpg`.
    pub format: String,
}

/// Asks for a picture.
///
/// # Errors
/// Why there is none, in words of the catalogue (`provider.image.*`).
pub async fn generate_image(surroundings: &Surroundings, image: &ImageRequest) -> Result<GeneratedImage, String> {
    let say = |id: &str, variables: &[(&str, &str)]| (surroundings.wording)(id, variables);
    let Some(key) = image.key.as_ref().filter(|key| !key.expose_secret().is_empty()) else {
        return Err(say("provider.image.no_key", &[]));
    };
    let answer = async {
        let response = surroundings.http.send(request(image, key)?).await?;
        failure::read_json(response).await
    };
    let answer = answer.await.map_err(|failure| {
        let error = failure::raw(&failure, Sdk::OpenAi, key, &surroundings.wording);
        match error.status {
            Some(status) => say("provider.image.http", &[("status", &status.to_string()), ("message", &error.message)]),
            None => say("provider.image.unknown", &[("message", &error.message)]),
        }
    })?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        return Err(say("provider.image.api", &[("message", &failure::error_message(error))]));
    }
    read(&answer).map_err(|id| say(id, &[]))
}

fn request(image: &ImageRequest, key: &SecretString) -> Result<HttpRequest, Failure> {
    let base = image.base_url.as_deref().filter(|base| !base.is_empty()).unwrap_or(DEFAULT_BASE);
    let mut headers = HeaderMap::new();
    set_header(&mut headers, "Authorization", &format!("Bearer {}", key.expose_secret()))?;
    set_header(&mut headers, "Content-Type", "application/json")?;
    for (name, value) in DEFAULT_HEADERS {
        set_header(&mut headers, name, value)?;
    }
    let content = match &image.input_image {
        Some(url) => json!([
            {"type": "text", "text": image.prompt},
            {"type": "image_url", "image_url": {"url": url}},
        ]),
        None => json!(image.prompt),
    };
    let body = json!({
        "model": image.model,
        "messages": [{"role": "user", "content": content}],
        "modalities": ["image", "text"],
    });
    Ok(HttpRequest { retries: 0, ..HttpRequest::post(format!("{base}chat/completions"), headers, &body) })
}

/// The picture of an answer, or the id of the text that says what is missing.
fn read(answer: &Value) -> Result<GeneratedImage, &'static str> {
    let image = answer.pointer("/choices/0/message/images/0").ok_or("provider.image.no_image")?;
    let url = image.pointer("/image_url/url").and_then(Value::as_str).filter(|url| !url.is_empty());
    let url = url.ok_or("provider.image.no_data")?;
    let format = url.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,")).map(|(format, _)| format);
    match format.filter(|format| FORMATS.contains(format)) {
        Some(format) => Ok(GeneratedImage { data_url: url.to_owned(), format: format.to_owned() }),
        None => Err("provider.image.bad_format"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_data_url_of_a_known_format() {
        let message = |message: Value| json!({"choices": [{"message": message}]});
        let with_url = |url: &str| message(json!({"images": [{"image_url": {"url": url}}]}));
        for (answer, expected) in [
            (with_url("data:image/png;base64,QQ=="), Ok("png")),
            (with_url("data:image/jpg;base64,QQ=="), Ok("jpg")),
            (with_url("data:image/gif;base64,QQ=="), Err("provider.image.bad_format")),
            (with_url("https://h/a.png"), Err("provider.image.bad_format")),
            (with_url(""), Err("provider.image.no_data")),
            (message(json!({"images": [{}]})), Err("provider.image.no_data")),
            (message(json!({"images": []})), Err("provider.image.no_image")),
            (message(json!({"content": "no"})), Err("provider.image.no_image")),
            (json!({}), Err("provider.image.no_image")),
        ] {
            assert_eq!(
                read(&answer).as_ref().map(|image| image.format.as_str()).map_err(|id| *id),
                expected,
                "{answer}"
            );
        }
    }

    #[test]
    fn the_address_is_joined_as_it_stands() {
        for (base, input, url, content) in [
            (None, None, "https://openrouter.ai/api/v1/chat/completions", json!("draw")),
            (Some(""), None, "https://openrouter.ai/api/v1/chat/completions", json!("draw")),
            (
                Some("https://h/v1"),
                Some("data:x"),
                "https://h/v1chat/completions",
                json!([{"type": "text", "text": "draw"}, {"type": "image_url", "image_url": {"url": "data:x"}}]),
            ),
        ] {
            let image = ImageRequest {
                prompt: "draw".into(),
                model: "m".into(),
                base_url: base.map(str::to_owned),
                input_image: input.map(str::to_owned),
                key: None,
            };
            let request = request(&image, &"k".into()).expect("a request");
            let body: Value = serde_json::from_slice(&request.body).expect("JSON");
            assert_eq!((request.url.as_str(), &body["messages"][0]["content"]), (url, &content));
            assert_eq!(body["modalities"], json!(["image", "text"]));
        }
    }
}
