//! Which model a profile means, on the wire and in facts (spec 07 §15.3).

use super::arn::Arn;
use crate::providers::models::table;
use crate::providers::options::Options;
use crate::providers::{Model, ModelInfo};

/// Inference-profile prefixes by the beginning of the region, in the order they are tried.
const PROFILE_PREFIXES: [(&str, &str); 6] =
    [("us-gov-", "ug."), ("us-", "us."), ("eu-", "eu."), ("ap-", "apac."), ("ca-", "ca."), ("sa-", "sa.")];
/// What stands for a prompt router until it says which model it chose.
const ROUTER_MODEL: &str = "anthropic.claude-3-sonnet-20240229-v1:0";
/// The model that can be asked for a window of a million tokens.
const MILLION_MODEL: &str = "anthropic.claude-sonnet-4-20250514-v1:0";
const MILLION: u64 = 1_000_000;
/// Output tokens of models that are not in the table, by the first name contained in the id.
const FAMILIES: [(&str, i64); 6] = [
    ("claude-4", 8192),
    ("claude-3-7", 8192),
    ("claude-3-5", 8192),
    ("claude-4-opus", 4096),
    ("claude-3-opus", 4096),
    ("claude-3-haiku", 4096),
];

/// The id without the prefix of an inference profile.
pub fn base_id(id: &str) -> &str {
    PROFILE_PREFIXES.iter().find_map(|(_, prefix)| id.strip_prefix(prefix)).unwrap_or(id)
}

/// Whether a window of a million tokens is asked for and this id names the model that has it; a whole resource name does not.
pub fn has_million_window(id: &str, options: Options<'_>) -> bool {
    options.is("awsBedrock1MContext") && base_id(id) == MILLION_MODEL
}

/// The model of a profile, whose region is `region`: that of the resource name if there is one.
///
/// `None` when the profile names neither a resource nor a model.
pub fn resolve(options: Options<'_>, arn: Option<(&str, &Arn)>, region: Option<&str>) -> Option<Model> {
    let mut model = match arn {
        Some((text, arn)) => {
            let model = by_id(&arn.model_id, Some(&arn.model_type), options);
            match arn.model_type.as_str() {
                "foundation-model" => model,
                _ => Model { id: text.to_owned(), ..model },
            }
        }
        None => {
            let mut model = by_id(options.filled("apiModelId")?, None, options);
            if options.is("awsUseCrossRegionInference") {
                model.id.insert_str(0, profile_prefix(region.unwrap_or("")));
            }
            model
        }
    };
    if has_million_window(&model.id, options) {
        model.info.context_window = MILLION;
    }
    Some(model)
}

/// Facts of a model by its id, with what the profile says in place of them. An id that is not in the table becomes the
/// default model (a router's stand-in for a router), with guessed facts.
pub fn by_id(id: &str, model_type: Option<&str>, options: Options<'_>) -> Model {
    let Some(models) = table("bedrock") else { return Model { id: id.to_owned(), ..Model::default() } };
    let known = |id: &str| models.get(id).map(|info| Model { id: id.to_owned(), info: info.clone() });
    let router = || model_type.filter(|kind| kind.contains("router")).and_then(|_| known(ROUTER_MODEL));
    let guess = || Model { id: models.default_model.clone(), info: guessed(models.default_info(), id) };
    let mut model = known(base_id(id)).or_else(router).unwrap_or_else(guess);
    let positive = |key: &str| options.number(key).filter(|n| *n > 0.0);
    if let Some(tokens) = positive("modelMaxTokens") {
        model.info.max_tokens = Some(tokens as i64);
    }
    if let Some(tokens) = positive("awsModelContextWindow") {
        model.info.context_window = tokens as u64;
    }
    model
}

fn profile_prefix(region: &str) -> &'static str {
    PROFILE_PREFIXES.iter().find(|(start, _)| region.starts_with(start)).map_or("", |(_, prefix)| prefix)
}

fn guessed(default: &ModelInfo, id: &str) -> ModelInfo {
    let id = id.to_lowercase();
    let family = FAMILIES.iter().find(|(name, _)| id.contains(name));
    ModelInfo {
        max_tokens: Some(family.map_or(4096, |(_, tokens)| *tokens)),
        context_window: if family.is_some() { 200_000 } else { 128_000 },
        supports_images: Some(family.is_some()),
        supports_prompt_cache: Some(family.is_some()),
        ..default.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resolved(options: Value) -> Option<Model> {
        let settings = crate::settings::Settings { other: options.as_object()?.clone(), ..Default::default() };
        let options = Options::of(&settings);
        let arn = options.filled("awsCustomArn").and_then(|text| Some((text, Arn::parse(text)?)));
        resolve(options, arn.as_ref().map(|(text, arn)| (*text, arn)), options.text("awsRegion"))
    }

    #[test]
    fn names_on_the_wire() {
        let sonnet = "anthropic.claude-sonnet-4-20250514-v1:0";
        let profile = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0";
        let foundation = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0";
        let router = "arn:aws:bedrock:us-east-1:1:default-prompt-router/x";
        for (options, id, window, tokens) in [
            (json!({"apiModelId": sonnet}), sonnet, 200_000, 8192),
            (json!({"apiModelId": "acme.x"}), sonnet, 128_000, 4096),
            (json!({"apiModelId": "acme.Claude-4-opus"}), sonnet, 200_000, 8192),
            (json!({"apiModelId": "acme.claude-3-haiku"}), sonnet, 200_000, 4096),
            (json!({"apiModelId": format!("eu.{sonnet}")}), sonnet, 200_000, 8192),
            (json!({"apiModelId": sonnet, "modelMaxTokens": 5, "awsModelContextWindow": 7}), sonnet, 7, 5),
            (json!({"apiModelId": sonnet, "awsBedrock1MContext": true}), sonnet, 1_000_000, 8192),
            (json!({"awsCustomArn": profile, "awsBedrock1MContext": true}), profile, 200_000, 8192),
            (json!({"awsCustomArn": foundation}), "anthropic.claude-3-haiku-20240307-v1:0", 200_000, 4096),
            (json!({"awsCustomArn": router}), router, 200_000, 4096),
        ] {
            let model = resolved(options.clone()).expect("a model");
            let found = (model.id.as_str(), model.info.context_window, model.info.max_tokens);
            assert_eq!(found, (id, window, Some(tokens)), "{options}");
        }
        assert_eq!(resolved(json!({})), None);
        assert_eq!(resolved(json!({"apiModelId": ""})), None);
    }

    #[test]
    fn regions_have_prefixes() {
        for (region, prefix) in [
            ("us-gov-west-1", "ug."),
            ("us-east-1", "us."),
            ("ap-south-1", "apac."),
            ("sa-east-1", "sa."),
            ("af-south-1", ""),
            ("", ""),
        ] {
            let options = json!({
                "apiModelId": "amazon.nova-pro-v1:0", "awsUseCrossRegionInference": true, "awsRegion": region,
            });
            let model = resolved(options).expect("a model");
            assert_eq!(model.id, format!("{prefix}amazon.nova-pro-v1:0"), "{region}");
        }
    }

    #[test]
    fn constants_are_those_of_the_table() {
        let other = &table("bedrock").expect("a table").other;
        let prefixes =
            PROFILE_PREFIXES.map(|(region, profile)| json!({"regionPrefix": region, "profilePrefix": profile}));
        assert_eq!(other["inferenceProfilePrefixes"], json!(prefixes));
        assert_eq!(other["defaultPromptRouterModel"], ROUTER_MODEL);
        assert_eq!(other["oneMillionContextModel"], MILLION_MODEL);
    }
}
