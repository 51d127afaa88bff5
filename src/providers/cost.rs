//! What a request costs in US dollars (spec 07 §5).

use serde_json::Value;

use super::{ModelInfo, Usage};

/// Cost where `usage.input_tokens` do not contain the cached ones (Anthropic, Bedrock).
pub fn anthropic(info: &ModelInfo, usage: &Usage) -> f64 {
    base(info, usage, usage.input_tokens)
}

/// Cost where `usage.input_tokens` contain the cached ones (OpenAI and everything shaped like it).
pub fn openai(info: &ModelInfo, usage: &Usage) -> f64 {
    let cached = usage.cache_write_tokens.unwrap_or(0).saturating_add(usage.cache_read_tokens.unwrap_or(0));
    base(info, usage, usage.input_tokens.saturating_sub(cached))
}

/// Cost by the tier that the input falls into (Gemini, spec 07 §13); `None` for a model without prices. Tokens written to the
/// cache are not charged.
pub fn gemini(info: &ModelInfo, usage: &Usage) -> Option<f64> {
    let input = usage.input_tokens as f64;
    let tiers = info.other.get("tiers").and_then(Value::as_array);
    // A tier without a limit is written as null.
    let fits = |tier: &&Value| match tier.get("contextWindow") {
        Some(Value::Null) => true,
        limit => limit.and_then(Value::as_f64).is_some_and(|limit| input <= limit),
    };
    let tier = tiers.and_then(|tiers| tiers.iter().find(fits));
    let price = |key: &str, base: Option<f64>| tier.and_then(|tier| tier.get(key)?.as_f64()).or(base);
    let input_price = price("inputPrice", info.input_price).filter(|price| *price != 0.0)?;
    let output_price = price("outputPrice", info.output_price).filter(|price| *price != 0.0)?;
    let cached = usage.cache_read_tokens.unwrap_or(0) as f64;
    let reads = price("cacheReadsPrice", info.cache_reads_price).unwrap_or(0.0);
    let part = |price: f64, tokens: f64| price * (tokens / 1_000_000.0);
    Some(part(input_price, input - cached) + part(output_price, usage.output_tokens as f64) + part(reads, cached))
}

/// Sums in the specification's order: floating-point sums depend on it.
fn base(info: &ModelInfo, usage: &Usage, uncached_input: u64) -> f64 {
    let part = |price: Option<f64>, tokens: u64| price.unwrap_or(0.0) / 1_000_000.0 * tokens as f64;
    part(info.cache_writes_price, usage.cache_write_tokens.unwrap_or(0))
        + part(info.cache_reads_price, usage.cache_read_tokens.unwrap_or(0))
        + part(info.input_price, uncached_input)
        + part(info.output_price, usage.output_tokens)
}

/// A price per token, as model lists give it (string or number), as price per million tokens. Falsy values (absent, `""`,
/// the number 0) give `None`; the string `"0"` gives 0; a string without a leading number gives NaN.
pub fn parse_price(price: &Value) -> Option<f64> {
    match price {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(parse_float(text) * 1_000_000.0),
        Value::Number(number) => number.as_f64().filter(|n| *n != 0.0).map(|n| n * 1_000_000.0),
        _ => None,
    }
}

/// ECMAScript `parseFloat`: the longest leading decimal literal, NaN without one.
pub(super) fn parse_float(text: &str) -> f64 {
    let text = crate::ecma::trim_start(text);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.starts_with("Infinity") {
        return if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(unsigned);
    let mut end = whole;
    let mut any = whole > 0;
    if let Some(fraction) = unsigned[whole..].strip_prefix('.') {
        let length = digits(fraction);
        any |= length > 0;
        end += 1 + length;
    }
    if !any {
        return f64::NAN;
    }
    if let Some(exponent) = unsigned[end..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let length = digits(&exponent[sign..]);
        end += if length > 0 { 1 + sign + length } else { 0 };
    }
    text[..text.len() - unsigned.len() + end].parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_float_takes_the_longest_leading_number() {
        for (text, expected) in [
            ("3.5x", 3.5),
            (" -1", -1.0),
            ("1e-6", 1e-6),
            ("1e", 1.0),
            ("1.e2", 100.0),
            (".5.", 0.5),
            ("+2e+", 2.0),
            ("-Infinityx", f64::NEG_INFINITY),
        ] {
            assert_eq!(parse_float(text), expected, "{text}");
        }
        for text in ["", ".", "x1", "-", "e5"] {
            assert!(parse_float(text).is_nan(), "{text}");
        }
    }

    #[test]
    fn gemini_charges_by_the_tier_of_the_input() {
        let info: ModelInfo = serde_json::from_value(serde_json::json!({
            "inputPrice": 9.0, "outputPrice": 4.0, "cacheReadsPrice": 8.0,
            "tiers": [{"contextWindow": 200_000, "inputPrice": 1.0}, {"contextWindow": null, "inputPrice": 2.0, "cacheReadsPrice": 0.5}],
        }))
        .expect("a model info");
        for (input, cached, output, expected) in [
            (200_000, 0, 0, 0.2),
            (200_001, 0, 0, 0.400_002),
            (1_000_000, 500_000, 1_000_000, 1.0 + 4.0 + 0.25),
            (100_000, 50_000, 0, 0.05 + 0.4),
        ] {
            let usage = Usage {
                input_tokens: input,
                output_tokens: output,
                cache_write_tokens: Some(7),
                cache_read_tokens: Some(cached),
                ..Usage::default()
            };
            let cost = gemini(&info, &usage).expect("a price");
            assert!((cost - expected).abs() < 1e-12, "{input} {cached} {output}: {cost}");
        }
        let free = ModelInfo { input_price: Some(0.0), output_price: Some(4.0), ..ModelInfo::default() };
        assert_eq!(gemini(&free, &Usage { input_tokens: 5, ..Usage::default() }), None);
    }

    #[test]
    fn cached_tokens_are_charged_once_and_never_negatively() {
        let info = ModelInfo { input_price: Some(1.0), cache_reads_price: Some(0.5), ..ModelInfo::default() };
        let usage = Usage {
            input_tokens: 1000,
            cache_write_tokens: Some(200),
            cache_read_tokens: Some(900),
            ..Usage::default()
        };
        assert_eq!(openai(&info, &usage), 900.0 * 0.5 / 1e6);
    }
}
