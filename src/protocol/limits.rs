//! Sizes that a request may have. What exceeds one is refused with its place; nothing is cut silently.

/// Longest JSON text of a request, bytes.
pub const MAX_JSON_BYTES: usize = 64 << 20;
/// Longest text of a message, task or answer, bytes.
pub const MAX_TEXT_BYTES: usize = 4 << 20;
/// Longest name: a type, mode, profile, key, task id, bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// Longest path, bytes.
pub const MAX_PATH_BYTES: usize = 4096;
/// Most images of one message.
pub const MAX_IMAGES: usize = 32;
/// Longest image as a data URL, bytes.
pub const MAX_IMAGE_BYTES: usize = 16 << 20;
/// Longest free-form JSON value in a request, bytes.
pub const MAX_VALUE_BYTES: usize = 16 << 20;
/// Most entries of one list in a request.
pub const MAX_ITEMS: usize = 1024;
