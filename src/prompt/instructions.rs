//! USER'S CUSTOM INSTRUCTIONS (spec 03 §6.1): what the user wants of every answer, from all places where that can stand.

use super::text::Texts;

/// The parts of the section.
#[derive(Clone, Copy, Debug)]
pub struct Instructions<'a> {
    /// Locale such as `en`; without one the part is left out.
    pub language: &'a str,
    /// Those for all modes.
    pub global: &'a str,
    /// Those of the mode.
    pub mode: &'a str,
    /// Rule blocks in order, each with its heading.
    pub rules: &'a [String],
}

/// The section; empty when it has no part.
pub fn custom_instructions(texts: &Texts, instructions: &Instructions<'_>) -> String {
    let Instructions { language, global, mode, rules } = *instructions;
    let mut parts = Vec::new();
    if !language.is_empty() {
        let language = minijinja::context! { language, language_name => language_name(language) };
        parts.push(format!("Language Preference:\n{}", texts.render("sys.custom.language", language)));
    }
    for (heading, text) in [("Global Instructions", global), ("Mode-specific Instructions", mode)] {
        let text = crate::ecma::trim(text);
        if !text.is_empty() {
            parts.push(format!("{heading}:\n{text}"));
        }
    }
    if !rules.is_empty() {
        parts.push(format!("Rules:\n\n{}", rules.join("\n\n")));
    }
    if parts.is_empty() {
        return String::new();
    }
    let intro = texts.get("sys.custom.intro");
    format!("\n====\n\nUSER'S CUSTOM INSTRUCTIONS\n\n{intro}\n\n{}", parts.join("\n\n"))
}

/// The languages with a display name (spec 03 §6.1).
const LANGUAGES: [(&str, &str); 22] = [
    ("ar", "العربية (تجريبي)"),
    ("ca", "Català"),
    ("cs", "Čeština"),
    ("de", "Deutsch"),
    ("en", "English"),
    ("es", "Español"),
    ("fr", "Français"),
    ("hi", "हिन्दी"),
    ("id", "Bahasa Indonesia"),
    ("it", "Italiano"),
    ("ja", "日本語"),
    ("ko", "한국어"),
    ("nl", "Nederlands"),
    ("pl", "Polski"),
    ("pt-BR", "Português"),
    ("ru", "Русский"),
    ("th", "ไทย"),
    ("tr", "Türkçe"),
    ("uk", "Українська"),
    ("vi", "Tiếng Việt"),
    ("zh-CN", "简体中文"),
    ("zh-TW", "繁體中文"),
];

/// Display name of a locale; an unknown code is its own name.
fn language_name(code: &str) -> &str {
    LANGUAGES.iter().find(|(known, _)| *known == code).map_or(code, |(_, name)| name)
}

/// The language of a host's locale: the word characters after the last hyphen in upper case; what is not in the list is `en`,
/// its base language too (kept from the reference).
pub fn language_of_locale(locale: &str) -> &'static str {
    let (base, region) = locale.rsplit_once('-').unwrap_or((locale, ""));
    let region = region.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("");
    let normal = if region.is_empty() {
        locale.to_owned()
    } else {
        let rest = &locale[base.len() + 1 + region.len()..];
        format!("{base}-{}{rest}", region.to_ascii_uppercase())
    };
    LANGUAGES.iter().find(|(known, _)| *known == normal).map_or("en", |(known, _)| known)
}

/// What a system calls a locale (`de_DE.UTF-8`), as editors name their languages: `pt-br`, and without its region (`de`) where a
/// language has only one display name. Empty for `C` and `POSIX`.
pub fn locale_of_system(name: &str) -> String {
    let name = name.split(['.', '@', ':']).next().unwrap_or("");
    if matches!(name, "C" | "POSIX") {
        return String::new();
    }
    let locale = name.replace('_', "-").to_ascii_lowercase();
    let language = locale.split('-').next().unwrap_or("");
    let is_named = |code: &str| LANGUAGES.iter().any(|(known, _)| *known == code);
    if is_named(language) { language.to_owned() } else { locale }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 03 §6.1: a locale's region is upper-cased; an unknown one is English, not its base language
    /// parity 03 §quirks.5: `fr-ca` is English
    #[test]
    fn locales_become_languages() {
        for (locale, language) in [
            ("pt-br", "pt-BR"),
            ("zh-tw", "zh-TW"),
            ("de", "de"),
            ("fr-ca", "en"),
            ("", "en"),
            ("xx", "en"),
            ("-", "en"),
        ] {
            assert_eq!(language_of_locale(locale), language, "{locale}");
        }
    }

    /// parity 03 §6.1: the locale of the environment, where no host and no setting tells a language
    #[test]
    fn locales_of_systems_become_languages() {
        for (name, language) in [
            ("de_DE.UTF-8", "de"),
            ("de_AT@euro", "de"),
            ("pt_BR.UTF-8", "pt-BR"),
            ("pt_PT", "en"),
            ("zh_TW", "zh-TW"),
            ("fr_CA.UTF-8", "fr"),
            ("C.UTF-8", "en"),
            ("POSIX", "en"),
            ("ja", "ja"),
            ("", "en"),
        ] {
            assert_eq!(language_of_locale(&locale_of_system(name)), language, "{name}");
        }
    }

    /// parity 03 §6.1: without a part there is no section; each part is trimmed and has its heading
    #[test]
    fn parts_stand_in_order() {
        let texts = Texts::builtin();
        let none = Instructions { language: "", global: " \n", mode: "", rules: &[] };
        assert_eq!(custom_instructions(&texts, &none), "");
        let rules = ["# Rules from a:\nx".to_owned(), "# Rules from b:\n".to_owned()];
        let all = Instructions { language: "tlh", global: " Be brief. \n", mode: "\nPlan.", rules: &rules };
        let text = custom_instructions(&texts, &all);
        assert!(text.starts_with("\n====\n\nUSER'S CUSTOM INSTRUCTIONS\n\n"), "{text}");
        let tail = "\n\nGlobal Instructions:\nBe brief.\n\nMode-specific Instructions:\nPlan.\n\nRules:\n\n# Rules from a:\nx\n\n# Rules from b:\n";
        assert!(text.ends_with(tail) && text.contains("\"tlh\" (tlh)"), "{text}");
    }
}
