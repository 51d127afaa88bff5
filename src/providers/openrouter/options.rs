//! The profile keys of OpenRouter and of the gateways that speak its dialect (spec 04 §4.2, spec 07 §17).

use serde_json::{Map, Value, json};

use crate::providers::Model;
use crate::providers::models::{DynamicTable, ModelList, find};
use crate::providers::options::Options;
use crate::providers::params::{ModelParams, ParamsFormat, model_params};

/// Temperature and top-p of DeepSeek's reasoning models and their kin.
const R1_TEMPERATURE: f64 = 0.6;
const R1_TOP_P: f64 = 0.95;

/// What the profile says.
#[derive(Clone, Debug)]
pub struct RoutingOptions {
    /// What is built in.
    table: &'static DynamicTable,
    /// Everything that is not secret: parameters follow from it once the model is known.
    plain: Map<String, Value>,
    /// `openRouterSpecificProvider`, if not empty.
    pub specific_provider: Option<String>,
    data_collection: Option<String>,
    sort: Option<String>,
    /// `openRouterUseMiddleOutTransform`; default true.
    pub middle_out: bool,
}

impl RoutingOptions {
    /// Reads the profile. `table` has OpenRouter's default model and sets of ids.
    pub fn read(options: Options<'_>, table: &'static DynamicTable) -> RoutingOptions {
        let text = |key| options.filled(key).map(str::to_owned);
        RoutingOptions {
            table,
            plain: options.map().clone(),
            specific_provider: text("openRouterSpecificProvider"),
            data_collection: text("openRouterProviderDataCollection"),
            sort: text("openRouterProviderSort"),
            middle_out: options.value("openRouterUseMiddleOutTransform") != Some(&Value::Bool(false)),
        }
    }

    /// The model `id` as the fetched lists know it: as offered by the chosen upstream provider, else as listed, else with the
    /// built-in facts.
    pub fn choose(&self, id: String, models: &ModelList, endpoints: &ModelList) -> Choice {
        let forced = self.specific_provider.as_deref().filter(|name| find(endpoints, name).is_some());
        let by_endpoint = forced.and_then(|name| find(endpoints, name));
        let info =
            by_endpoint.or_else(|| find(models, &id)).cloned().unwrap_or_else(|| self.table.default_info.clone());
        let reasoner = id.starts_with("deepseek/deepseek-r1") || id == "perplexity/sonar-reasoning";
        let temperature = if reasoner { R1_TEMPERATURE } else { 0.0 };
        Choice {
            params: model_params(ParamsFormat::OpenRouter, &id, &info, &self.plain, temperature),
            top_p: reasoner.then_some(R1_TOP_P),
            reasoner,
            provider: self.preference(forced),
            cached: in_set(self.table, "promptCachingModels", &id),
            model: Model { id, info },
        }
    }

    /// Which upstream providers may answer; `forced` alone if there is one.
    fn preference(&self, forced: Option<&str>) -> Option<Value> {
        let mut preference = Map::new();
        if let Some(name) = forced {
            preference.insert("order".into(), json!([name]));
            preference.insert("only".into(), json!([name]));
            preference.insert("allow_fallbacks".into(), json!(false));
        }
        if let Some(rule) = &self.data_collection {
            preference.insert("data_collection".into(), json!(rule));
        }
        if let (Some(sort), None) = (&self.sort, forced) {
            preference.insert("sort".into(), json!(sort));
        }
        (!preference.is_empty()).then_some(Value::Object(preference))
    }
}

/// The model of a request, and what follows from it.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The model.
    pub model: Model,
    /// Parameters.
    pub params: ModelParams,
    /// Top-p, where it is sent.
    pub top_p: Option<f64>,
    /// Whether the conversation goes out in R1 format.
    pub reasoner: bool,
    /// Which upstream providers may answer.
    pub provider: Option<Value>,
    /// Whether the prompt gets cache marks.
    pub cached: bool,
}

/// Whether `id` is in this built-in set.
fn in_set(table: &DynamicTable, set: &str, id: &str) -> bool {
    table.other.get(set).and_then(Value::as_array).is_some_and(|ids| ids.iter().any(|known| known == id))
}
