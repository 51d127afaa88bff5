//! `String(value)` of JSON values.

use serde_json::Value;

/// The text ECMAScript makes of a value: arrays joined by commas (null as nothing), objects as their tag.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), number_text),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let texts = items.iter().map(|item| if item.is_null() { String::new() } else { text_of(item) });
            texts.collect::<Vec<_>>().join(",")
        }
        Value::Object(_) => "[object Object]".to_owned(),
    }
}

/// `Number.prototype.toString`: the shortest digits, with an exponent below 1e-6 and from 1e21 on.
pub fn number_text(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if !number.is_finite() {
        return if number.is_nan() { "NaN".into() } else { number.to_string().replace("inf", "Infinity") };
    }
    let magnitude = number.abs();
    if (1e-6..1e21).contains(&magnitude) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    if text.contains("e-") { text } else { text.replace('e', "e+") }
}

/// `toFixed(2)` of an amount.
pub fn cents(value: f64) -> String {
    // Only eighths with an odd numerator can lie exactly between two cents; they go up, where `format!` takes the even one.
    let tie = (value * 8.0).rem_euclid(2.0) == 1.0;
    if tie { format!("{:.2}", value + 0.001_f64.copysign(value)) } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_as_text() {
        for (value, expected) in [
            (json!(null), "null"),
            (json!(true), "true"),
            (json!(1), "1"),
            (json!(1.0), "1"),
            (json!(-0.0), "0"),
            (json!(0.1), "0.1"),
            (json!(1e20), "100000000000000000000"),
            (json!(1e21), "1e+21"),
            (json!(1.5e-7), "1.5e-7"),
            (json!(9_007_199_254_740_993_u64), "9007199254740992"),
            (json!(["a", null, [1, [2]], {"b": 1}]), "a,,1,2,[object Object]"),
            (json!({}), "[object Object]"),
        ] {
            assert_eq!(text_of(&value), expected, "{value}");
        }
    }

    #[test]
    fn amounts_have_two_decimals() {
        for (value, text) in [
            (0.0, "0.00"),
            (0.005, "0.01"),
            (0.123, "0.12"),
            (0.125, "0.13"),
            (0.375, "0.38"),
            (-0.125, "-0.13"),
            (1.005, "1.00"),
            (2.5, "2.50"),
            (10.235, "10.23"),
        ] {
            assert_eq!(cents(value), text);
        }
    }
}
