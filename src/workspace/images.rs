//! Images for reading tools (spec 05 §4): kinds, size limits, data URLs.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reading::extension;

/// Why an image is not shown to the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The model takes no images.
    UnsupportedModel,
    /// The image alone exceeds its limit.
    TooLarge {
        /// Its size for people, such as `12.3 MB`.
        size: String,
        /// The limit in megabytes.
        max: f64,
    },
    /// With the images before it, it exceeds the limit of one call.
    MemoryLimit {
        /// The limit in megabytes.
        max: f64,
        /// What the images before it take, for people.
        current: String,
        /// Its size for people.
        size: String,
    },
}

/// The MIME type by the extension in any case; `None` for what is no image.
pub fn mime_type(path: &Path) -> Option<&'static str> {
    Some(match extension(path).as_str() {
        ".png" => "image/png",
        ".jpg" | ".jpeg" => "image/jpeg",
        ".gif" => "image/gif",
        ".webp" => "image/webp",
        ".svg" => "image/svg+xml",
        ".bmp" => "image/bmp",
        ".ico" => "image/x-icon",
        ".tiff" | ".tif" => "image/tiff",
        ".avif" => "image/avif",
        _ => return None,
    })
}

/// Checks an image of `bytes` against the limits in megabytes, `used` megabytes being taken by those before it.
pub fn check(supported: bool, bytes: u64, used: f64, max: f64, max_total: f64) -> Result<(), Refusal> {
    const MEGABYTE: f64 = 1_048_576.0;
    let size = bytes as f64;
    if !supported {
        Err(Refusal::UnsupportedModel)
    } else if size > max * MEGABYTE {
        Err(Refusal::TooLarge { size: human_size(size), max })
    } else if used + size / MEGABYTE > max_total {
        Err(Refusal::MemoryLimit { max: max_total, current: human_size(used * MEGABYTE), size: human_size(size) })
    } else {
        Ok(())
    }
}

/// `data:<mime>;base64,<data>`.
pub fn data_url(mime: &str, bytes: &[u8]) -> String {
    format!("data:{mime};base64,{}", STANDARD.encode(bytes))
}

/// A size for people: decimal units, three significant digits (`999 B`, `1.5 kB`, `12.3 MB`).
pub fn human_size(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let digits = format!("{value:.decimals$}");
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    format!("{digits} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (bytes, shown) in
            [(0.0, "0 B"), (999.0, "999 B"), (1500.0, "1.5 kB"), (12_345_678.0, "12.3 MB"), (1e9, "1 GB")]
        {
            assert_eq!(human_size(bytes), shown);
        }
    }

    #[test]
    fn limits_are_checked_in_order() {
        assert_eq!(check(false, u64::MAX, 0.0, 5.0, 20.0), Err(Refusal::UnsupportedModel));
        assert!(matches!(check(true, 6 << 20, 0.0, 5.0, 20.0), Err(Refusal::TooLarge { .. })));
        assert!(matches!(check(true, 4 << 20, 17.0, 5.0, 20.0), Err(Refusal::MemoryLimit { .. })));
        assert_eq!(check(true, 4 << 20, 16.0, 5.0, 20.0), Ok(()));
    }
}
