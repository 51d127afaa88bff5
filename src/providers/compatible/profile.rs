//! What a row and the user's profile say together: address, key, model.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::row::{Row, UnknownModel, is_address};
use crate::providers::models::{self, DynamicTable, ModelList, ModelTable};
use crate::providers::options::Options;
use crate::providers::{Model, ModelInfo, ProviderError, Surroundings};

/// Context window of models nobody knows anything about.
const UNKNOWN_CONTEXT: u64 = 128_000;

/// A profile read by its row.
pub struct Profile {
    pub row: Arc<Row>,
    pub base_url: String,
    pub key: SecretString,
    /// The profile's `openAiHeaders`, if the row heeds them; `None` removes a header.
    pub headers: Vec<(String, Option<SecretString>)>,
    /// All options that are not secret.
    pub options: Map<String, Value>,
    table: Option<&'static ModelTable>,
    published: Option<&'static DynamicTable>,
    /// The id that the profile names.
    wanted: Option<String>,
}

/// The model of one request.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub id: String,
    pub info: Cow<'static, ModelInfo>,
}

impl Profile {
    /// Reads the options of a profile.
    ///
    /// # Errors
    /// No key (`provider.key_required`), or a variant that the row does not have (`provider.unknown_choice`).
    pub fn read(row: Arc<Row>, options: Options<'_>, surroundings: &Surroundings) -> Result<Profile, ProviderError> {
        let (base_url, table) = address(&row, options, surroundings)?;
        let headers = if row.user_headers { options.headers("openAiHeaders") } else { Vec::new() };
        Ok(Profile {
            base_url,
            key: key(&row, options, surroundings)?,
            headers,
            options: options.map().clone(),
            table: table.and_then(models::table),
            published: row.list.as_ref().and_then(|list| models::dynamic(&list.of)),
            wanted: options.filled(&row.model_setting).map(str::to_owned),
            row,
        })
    }

    /// The model to use, given the published list if there is one.
    pub fn choose(&self, list: Option<&ModelList>) -> Chosen {
        let default_id = self.row.default_model_id();
        let id = self.wanted.as_deref().unwrap_or(default_id);
        if let Some(info) = self.facts(id, list) {
            return Chosen { id: id.to_owned(), info };
        }
        let info = match self.published {
            Some(published) => Cow::Borrowed(&published.default_info),
            None => self.facts(default_id, list).unwrap_or_else(|| Cow::Borrowed(unknown_info())),
        };
        let id = match self.row.unknown_model() {
            UnknownModel::Default => default_id,
            UnknownModel::Keep => id,
        };
        Chosen { id: id.to_owned(), info }
    }

    fn facts(&self, id: &str, list: Option<&ModelList>) -> Option<Cow<'static, ModelInfo>> {
        let own = || self.row.models.get(id).cloned().map(Cow::Owned);
        let listed = || self.table.and_then(|table| table.get(id)).map(Cow::Borrowed);
        let published = || models::find(list?, id).cloned().map(Cow::Owned);
        own().or_else(listed).or_else(published)
    }
}

impl From<Chosen> for Model {
    fn from(chosen: Chosen) -> Model {
        Model { id: chosen.id, info: chosen.info.into_owned() }
    }
}

/// Base address, and name of the table of models.
fn address<'a>(
    row: &'a Row,
    options: Options<'_>,
    surroundings: &Surroundings,
) -> Result<(String, Option<&'a str>), ProviderError> {
    let mut fixed = (row.base_url.as_deref(), row.table.as_deref());
    if let Some(variant) = &row.variant {
        let value = options.filled(&variant.setting).unwrap_or(&variant.default);
        let Some(choice) = variant.choices.get(value) else {
            let known: Vec<&str> = variant.choices.keys().map(String::as_str).collect();
            let variables = [("key", variant.setting.as_str()), ("choices", &known.join(", "))];
            return Err(ProviderError::worded(&surroundings.wording, "provider.unknown_choice", &variables));
        };
        fixed = (Some(&choice.base_url), Some(&choice.table));
    }
    let usable = |address: &&str| !row.base_url_checked || is_address(address);
    let set = row.base_url_setting.as_deref().and_then(|key| options.filled(key)).filter(usable);
    let of_environment = || row.base_url_env.as_deref().and_then(|name| (surroundings.environment)(name));
    let base_url = match set {
        Some(address) => address.to_owned(),
        None => of_environment()
            .filter(|address| !address.is_empty())
            .unwrap_or_else(|| fixed.0.unwrap_or_default().to_owned()),
    };
    Ok((base_url, fixed.1))
}

fn key(row: &Row, options: Options<'_>, surroundings: &Surroundings) -> Result<SecretString, ProviderError> {
    let set = row.key_setting.as_deref().and_then(|key| options.secret_text(key));
    let of_environment = || row.key_env.as_deref().and_then(|name| (surroundings.environment)(name)).map(Into::into);
    let default = || row.key_default.as_deref().map(SecretString::from);
    let key = set.or_else(of_environment).or_else(default).filter(|key| !key.expose_secret().is_empty());
    match key {
        Some(key) => Ok(key),
        None if row.key_required => {
            let variables = [("provider", row.name.as_str())];
            Err(ProviderError::worded(&surroundings.wording, "provider.key_required", &variables))
        }
        None => Ok(default().unwrap_or_default()),
    }
}

fn unknown_info() -> &'static ModelInfo {
    static INFO: OnceLock<ModelInfo> = OnceLock::new();
    INFO.get_or_init(|| ModelInfo { context_window: UNKNOWN_CONTEXT, ..ModelInfo::default() })
}
