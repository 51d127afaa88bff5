//! `localeCompare` for the locale `en`: the order in which people expect file names.

use std::cmp::Ordering;
use std::sync::LazyLock;

use icu_collator::options::{CollatorOptions, Strength};
use icu_collator::preferences::CollationNumericOrdering;
use icu_collator::{CollatorBorrowed, CollatorPreferences};

/// `a.localeCompare(b, "en", {numeric: true, sensitivity: "base"})`: numbers by value, case and accents ignored.
pub fn compare_base_numeric(a: &str, b: &str) -> Ordering {
    static COLLATOR: LazyLock<Option<CollatorBorrowed<'static>>> = LazyLock::new(|| collator(Strength::Primary, true));
    compare(&COLLATOR, a, b)
}

/// `a.localeCompare(b)`.
pub fn compare_locale(a: &str, b: &str) -> Ordering {
    static COLLATOR: LazyLock<Option<CollatorBorrowed<'static>>> =
        LazyLock::new(|| collator(Strength::Tertiary, false));
    compare(&COLLATOR, a, b)
}

fn collator(strength: Strength, numeric: bool) -> Option<CollatorBorrowed<'static>> {
    let mut preferences = CollatorPreferences::default();
    preferences.numeric_ordering = Some(match numeric {
        true => CollationNumericOrdering::True,
        false => CollationNumericOrdering::False,
    });
    let mut options = CollatorOptions::default();
    options.strength = Some(strength);
    CollatorBorrowed::try_new(preferences, options).ok()
}

/// The data is compiled in, so the fallback to the order of code points is never needed.
fn compare(collator: &Option<CollatorBorrowed<'static>>, a: &str, b: &str) -> Ordering {
    collator.as_ref().map_or_else(|| a.cmp(b), |collator| collator.compare(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_order_of_people() {
        for (a, b, order) in [
            ("a2", "a10", Ordering::Less),
            ("B", "a", Ordering::Greater),
            ("A", "a", Ordering::Equal),
            ("é", "e", Ordering::Equal),
            ("a_b", "a-b", Ordering::Less),
            ("a b", "a_b", Ordering::Less),
        ] {
            assert_eq!(compare_base_numeric(a, b), order, "{a} {b}");
        }
        assert_eq!(compare_locale("a2", "a10"), Ordering::Greater);
        assert_eq!(compare_locale("a", "A"), Ordering::Less);
    }
}
