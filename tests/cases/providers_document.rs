//! `docs/providers.md` is generated from the catalogue of providers and the model tables.
//!
//! `LAPCE_AI_BLESS=1 cargo test --test main providers_document` writes it anew.

use std::fmt::Write as _;
use std::sync::Arc;

use lapce_ai::providers::catalogue::{self, ModelSource, ProviderFacts};
use lapce_ai::providers::http::Http;
use lapce_ai::providers::{ModelInfo, Surroundings};

const HEAD: &str = "# Providers and models

Generated from the catalogue of providers and the model tables: do not edit.

A profile names its provider in `apiProvider`; the settings named below belong to that profile. *Environment* lists variables that count when
the setting is absent. Models: *table* is built in (below), *list* is published by the provider and fetched when it is needed
(`lapce-ai models NAME --fetch`, request `model.list`), *free* is whatever the profile names.

`lapce-ai providers` and `lapce-ai models [NAME]` print the same.

A profile whose `apiProvider` nothing describes uses Anthropic. Several profiles with limits of their own can stand behind one:
[virtual-quota-fallback](fallback.md).

## Keys and connections

In place of a secret's text may stand where it is: exactly `${env:NAME}`, an environment variable as it was when the engine was opened, or exactly
`${keyring:NAME}`, an entry of the system's keyring under the service `lapce-ai`, put there by the request `secret.set`.

```json
{\"apiProvider\": \"groq\", \"groqApiKey\": \"${keyring:groq}\", \"httpProxy\": \"http://proxy.example:3128\", \"httpNoProxy\": \"localhost,10.0.0.0/8\"}
```

These settings hold for every provider; [protocol.md](protocol.md#keys-and-connections) tells more.

| setting | means |
|---|---|
| `httpProxy` | an HTTP proxy for all requests; `direct`: none, whatever the environment says |
| `httpNoProxy` | hosts that are reached without it |
| `httpCaCertificates` | a PEM file with authorities that are trusted besides the usual ones |
| `httpRateLimit` | `true`: wait rather than run into a service's rate limit |
| `httpCircuitBreaker` | `true`: leave a service alone for a while that fails again and again |

## Providers of your own

A server that speaks chat completions needs no code: write a file `NAME.toml` into the folder `settings/providers` of the engine's storage. It counts from the
next task on.

```toml
{example}```

A profile with `\"apiProvider\": \"my-server\"` uses it. The request `provider.list` lists it with the others, and
says what is wrong with a row that cannot be used: file, line, key.
The name of a built-in provider is taken only by a row with `replaces = true`. The [built-in table](../src/providers/compatible/compatible.toml)
explains all keys at its top, and is full of examples.

## Providers of this build
";

/// The built-in table, whose head describes the format.
const TABLE: &str = include_str!("../../src/providers/compatible/compatible.toml");

/// The example at its top.
fn example() -> String {
    let (_, rest) = TABLE.split_once("A minimal one:\n#\n").expect("an example");
    rest.lines().map_while(|line| line.strip_prefix("#     ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_example_of_a_row_works() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.toml"), example()).unwrap();
    let transport = lapce_ai::providers::http::Client::default();
    let http = Http::new(Arc::new(transport), Arc::new(|| std::time::SystemTime::UNIX_EPOCH), Arc::new(|| 0.0));
    let surroundings = Surroundings {
        tables: Some(folder.path().to_owned()),
        ..Surroundings::new(http, Arc::new(|id, variables| format!("{id} {variables:?}")))
    };
    let (facts, problems) = catalogue::of_user(&surroundings);
    assert_eq!((facts.len(), problems), (1, Vec::<String>::new()));
    assert_eq!(facts[0].name, "my-server");
}

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
    let mut page = HEAD.replace("{example}", &example());
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
