//! From seconds to text.

/// Writes seconds in the shortest form, largest unit first; zero is `0s`.
pub fn format(mut seconds: u64) -> String {
    if seconds == 0 {
        return "0s".to_string();
    }
    let mut text = String::new();
    for (letter, size) in [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)] {
        if seconds >= size {
            text.push_str(&format!("{}{letter}", seconds / size));
            seconds %= size;
        }
    }
    text
}
