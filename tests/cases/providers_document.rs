//! `docs/providers.md` is generated from the catalogue of providers and the model tables.
//!
//! `LAPCE_AI_BLESS=1 cargo test --test main providers_document` writes it anew.

use std::fmt::Write as _;

use lapce_ai::providers::ModelInfo;
use lapce_ai::providers::catalogue::{self, ModelSource, ProviderFacts};

const HEAD: &str = "# Providers and models

Generated from the catalogue of providers and the model tables: do not edit.

A profile names its provider in `apiProvider`; the settings named below belong to that profile. *Environment* lists variables that count when
the setting is absent. Models: *table* is built in (below), *list* is published by the provider and fetched when it is needed
(`lapce-ai models NAME --fetch`, request `model.list`), *free* is whatever the profile names.

`lapce-ai providers` and `lapce-ai models [NAME]` print the same.
";

#[test]
fn the_page_of_providers_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers.md");
    let page = page();
    if std::env::var_os("LAPCE_AI_BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/providers.md is out of date: LAPCE_AI_BLESS=1 cargo test --test main providers_document"
    );
}

#[test]
fn the_catalogue_names_what_can_be_built() {
    let mut facts: Vec<String> = catalogue::builtin().iter().map(|facts| facts.name.to_string()).collect();
    let mut names: Vec<String> = lapce_ai::providers::names().map(str::to_owned).collect();
    facts.sort();
    names.sort();
    assert_eq!(facts, names);
}

fn page() -> String {
    let mut page = String::from(HEAD);
    let providers = catalogue::builtin();
    page.push_str("\n| name | provider | speaks | address | key | environment | model | default model | models |\n");
    page.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for facts in &providers {
        provider(facts, &mut page);
    }
    for facts in &providers {
        let Some(table) = catalogue::table(&facts.name) else { continue };
        let _ = write!(page, "\n## {} (`{}`)\n\n", facts.title, facts.name);
        page.push_str("Prices in US dollars a million tokens; the default model is marked.\n\n");
        page.push_str(
            "| model | context | output | images | cache | reasoning | input | output | cache write | cache read |\n",
        );
        page.push_str("|---|--:|--:|:-:|:-:|---|--:|--:|--:|--:|\n");
        for (id, info) in &table.models {
            model(id, info, *id == table.default_model, &mut page);
        }
    }
    page
}

fn provider(facts: &ProviderFacts, page: &mut String) {
    let code = |text: &Option<std::borrow::Cow<'static, str>>| match text {
        Some(text) => format!("`{text}`"),
        None => "–".to_owned(),
    };
    let environment: Vec<String> = facts.environment.iter().map(|name| format!("`{name}`")).collect();
    let models = match facts.models {
        ModelSource::Table => "table",
        ModelSource::Fetched => "list",
        ModelSource::Free => "free",
    };
    let _ = writeln!(
        page,
        "| `{}` | {} | {} | {} | {} | {} | {} | {} | {models} |",
        facts.name,
        facts.title,
        facts.api,
        code(&facts.address),
        code(&facts.key),
        if environment.is_empty() { "–".to_owned() } else { environment.join(" ") },
        code(&facts.model),
        code(&facts.default_model),
    );
}

fn model(id: &str, info: &ModelInfo, is_default: bool, page: &mut String) {
    let flag = |flag: Option<bool>| if flag == Some(true) { "yes" } else { "–" };
    let price = |price: Option<f64>| price.map_or_else(|| "–".to_owned(), |price| price.to_string());
    let reasoning = match info {
        info if info.required_reasoning_budget == Some(true) => "always",
        info if info.supports_reasoning_budget == Some(true) => "budget",
        info if info.supports_reasoning_effort == Some(true) || info.reasoning_effort.is_some() => "effort",
        _ => "–",
    };
    let _ = writeln!(
        page,
        "| `{id}`{} | {} | {} | {} | {} | {reasoning} | {} | {} | {} | {} |",
        if is_default { " (default)" } else { "" },
        info.context_window,
        info.max_tokens.map_or_else(|| "–".to_owned(), |tokens| tokens.to_string()),
        flag(info.supports_images),
        flag(info.supports_prompt_cache),
        price(info.input_price),
        price(info.output_price),
        price(info.cache_writes_price),
        price(info.cache_reads_price),
    );
}
