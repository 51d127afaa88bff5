//! LM Studio's models (spec 07 §21.2), over its documented REST interface, which tells the same as its websocket.

use serde_json::Value;

use super::super::lists::ModelList;
use super::answer::{size, text, unique};
use super::{Query, Surroundings};
use crate::protocol::model::ModelInfo;
use crate::providers::failure::{self, Failure};

pub const NAME: &str = "lmstudio";
const BASE: &str = "http://localhost:1234";

/// The language models, loaded or not, in the order in which LM Studio lists them; none when it does not answer.
pub async fn models(surroundings: &Surroundings, query: &Query) -> ModelList {
    let list = async {
        // An LM Studio that does not serve models is not asked about them.
        ask(surroundings, query, "/v1/models").await?;
        ask(surroundings, query, "/api/v0/models").await
    };
    list.await.map(|list| read(&list)).unwrap_or_default()
}

async fn ask(surroundings: &Surroundings, query: &Query, path: &str) -> Result<Value, Failure> {
    let request = query.get(format!("{}{path}", query.base(BASE)), &[])?;
    failure::read_json(surroundings.http.send(request).await?).await
}

fn read(list: &Value) -> ModelList {
    let entries = list["data"].as_array().into_iter().flatten();
    let language = entries.filter(|entry| entry["type"] == "llm" || entry["type"] == "vlm");
    unique(language.filter_map(|entry| Some((text(&entry["id"])?.to_owned(), info(entry)))))
}

fn info(entry: &Value) -> ModelInfo {
    let loaded = size(&entry["loaded_context_length"]);
    let context = if loaded == 0 { size(&entry["max_context_length"]) } else { loaded };
    ModelInfo {
        max_tokens: i64::try_from(context).ok(),
        context_window: context,
        supports_images: Some(entry["type"] == "vlm"),
        supports_prompt_cache: Some(true),
        input_price: Some(0.0),
        output_price: Some(0.0),
        ..ModelInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn language_models_have_the_window_they_were_loaded_with() {
        let list = json!({"object": "list", "data": [
            {"id": "a/llm", "type": "llm", "state": "not-loaded", "max_context_length": 32768},
            {"id": "b/vlm", "type": "vlm", "state": "loaded", "max_context_length": 131072, "loaded_context_length": 8192},
            {"id": "c/embed", "type": "embeddings", "max_context_length": 2048},
            {"type": "llm"},
        ]});
        let shown: Vec<_> =
            read(&list).into_iter().map(|(id, info)| (id, info.context_window, info.supports_images)).collect();
        assert_eq!(shown, [("a/llm".into(), 32768, Some(false)), ("b/vlm".into(), 8192, Some(true))]);
        assert_eq!(read(&json!({"data": 7})), []);
    }
}
