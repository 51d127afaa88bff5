//! What records are made of: types that may stand in one, their place in the ABI hash, their encoded size, and the view
//! by which a host reads a field without parsing.
//!
//! A record is an rkyv archive without alignment demands, so that it can lie anywhere in the arena and holds no padding.

use rkyv::option::ArchivedOption;
use rkyv::rancor;
use rkyv::rend::unaligned::{f64_ule, i32_ule, i64_ule, u32_ule, u64_ule};
use rkyv::ser::writer::Buffer;
use rkyv::string::ArchivedString;
use rkyv::vec::ArchivedVec;

use super::field::Field;
use super::json::{ArchivedJson, Json};

/// The span is too small for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record does not fit in {room} bytes")]
pub struct TooLarge {
    /// Bytes there were.
    pub room: usize,
}

/// The bytes are not what their kind says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No such kind.
    #[error("unknown record kind {0}")]
    UnknownKind(u16),
    /// Not a valid archive of that kind.
    #[error("malformed `{kind}` record: {reason}")]
    Malformed {
        /// Name of the kind.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A text body that is not UTF-8.
    #[error("the text of `{kind}` is not UTF-8 at byte {at}")]
    Utf8 {
        /// Name of the kind.
        kind: &'static str,
        /// First wrong byte.
        at: usize,
    },
    /// Well formed, but beyond a limit.
    #[error(transparent)]
    Refused(#[from] super::request::RequestError),
}

/// A type that may stand in a record.
pub trait Value {
    /// Its part of the ABI hash.
    const LAYOUT: u64;
    /// Most bytes its archive needs outside of the archived struct.
    fn tail(&self) -> usize;
}

/// A structured body.
pub trait Record: Value + Sized {
    /// Most bytes [`Record::encode_into`] writes.
    fn encoded_upper_bound(&self) -> usize;

    /// Writes the archive to the beginning of `to` and returns its length; no allocation of its own.
    ///
    /// # Errors
    /// [`TooLarge`] when it does not fit; what was written then means nothing.
    fn encode_into(&self, to: &mut [u8]) -> Result<usize, TooLarge>;

    /// Checks and reads an archive.
    ///
    /// # Errors
    /// What is malformed.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

/// A field of an archived record as a host sees it.
#[derive(Clone, Copy)]
pub enum FieldView<'a> {
    /// The record has no such field.
    Unknown,
    /// An optional field without a value.
    Absent,
    /// Text; JSON text for free-form values.
    Str(&'a str),
    /// An integer or id.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A list of texts or of rows.
    List(&'a dyn Rows),
}

/// Something with named fields.
pub trait Fields {
    /// The field, [`FieldView::Unknown`] if there is none of that name. A text in a list is itself whatever the name.
    fn field(&self, field: Field) -> FieldView<'_>;
}

/// A list in an archived record.
pub trait Rows {
    /// Number of rows.
    fn count(&self) -> usize;
    /// Field of a row; [`FieldView::Absent`] beyond the last.
    fn cell(&self, row: usize, field: Field) -> FieldView<'_>;
}

impl<T: Fields> Rows for ArchivedVec<T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn cell(&self, row: usize, field: Field) -> FieldView<'_> {
        self.get(row).map_or(FieldView::Absent, |row| row.field(field))
    }
}

impl Fields for ArchivedString {
    fn field(&self, _: Field) -> FieldView<'_> {
        FieldView::Str(self.as_str())
    }
}

/// How an archived type shows itself.
pub trait View {
    /// The view.
    fn view(&self) -> FieldView<'_>;
}

impl View for ArchivedString {
    fn view(&self) -> FieldView<'_> {
        FieldView::Str(self.as_str())
    }
}
impl View for ArchivedJson {
    fn view(&self) -> FieldView<'_> {
        FieldView::Str(self.as_str())
    }
}
impl View for bool {
    fn view(&self) -> FieldView<'_> {
        FieldView::Bool(*self)
    }
}
impl View for f64_ule {
    fn view(&self) -> FieldView<'_> {
        FieldView::Float(self.to_native())
    }
}
impl View for u32_ule {
    fn view(&self) -> FieldView<'_> {
        FieldView::Int(i64::from(self.to_native()))
    }
}
impl View for i32_ule {
    fn view(&self) -> FieldView<'_> {
        FieldView::Int(i64::from(self.to_native()))
    }
}
impl View for i64_ule {
    fn view(&self) -> FieldView<'_> {
        FieldView::Int(self.to_native())
    }
}
impl View for u64_ule {
    fn view(&self) -> FieldView<'_> {
        FieldView::Int(i64::try_from(self.to_native()).unwrap_or(i64::MAX))
    }
}
impl<T: View> View for ArchivedOption<T> {
    fn view(&self) -> FieldView<'_> {
        match self {
            ArchivedOption::Some(value) => value.view(),
            ArchivedOption::None => FieldView::Absent,
        }
    }
}
impl<T: Fields> View for ArchivedVec<T> {
    fn view(&self) -> FieldView<'_> {
        FieldView::List(self)
    }
}
macro_rules! plain_values {
    ($($type:ty)*) => {$(
        impl Value for $type {
            const LAYOUT: u64 = super::abi::word(stringify!($type));
            fn tail(&self) -> usize {
                0
            }
        }
    )*};
}
plain_values!(bool u32 i32 u64 i64 f64);

impl Value for String {
    const LAYOUT: u64 = super::abi::word("string");
    fn tail(&self) -> usize {
        self.len()
    }
}
impl Value for Json {
    const LAYOUT: u64 = super::abi::word("json");
    fn tail(&self) -> usize {
        self.as_str().len()
    }
}
impl<T: Value> Value for Option<T> {
    const LAYOUT: u64 = super::abi::mix(super::abi::word("option"), T::LAYOUT);
    fn tail(&self) -> usize {
        self.as_ref().map_or(0, Value::tail)
    }
}
impl<T: Value + rkyv::Archive> Value for Vec<T> {
    const LAYOUT: u64 = super::abi::mix(super::abi::word("list"), T::LAYOUT);
    fn tail(&self) -> usize {
        self.iter().map(|item| size_of::<T::Archived>() + item.tail()).sum()
    }
}

/// Archives into a span.
pub(super) fn write<T>(record: &T, to: &mut [u8]) -> Result<usize, TooLarge>
where
    T: for<'a, 'b> rkyv::Serialize<
            rkyv::api::high::HighSerializer<Buffer<'b>, rkyv::ser::allocator::ArenaHandle<'a>, rancor::Failure>,
        >,
{
    let room = to.len();
    let written = rkyv::api::high::to_bytes_in::<_, rancor::Failure>(record, Buffer::from(to));
    written.map(|buffer| buffer.len()).map_err(|_| TooLarge { room })
}

/// Defines records: the struct with its archive, JSON form and schema, its place in the ABI hash, its field views.
macro_rules! records {
    ($(
        $(#[$meta:meta])*
        $name:ident / $archived:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }
    )*) => {$(
        #[derive(
            Clone, Debug, Default, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize,
            serde::Deserialize, schemars::JsonSchema,
        )]
        $(#[$meta])*
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        impl $crate::protocol::record::Value for $name {
            const LAYOUT: u64 = {
                use $crate::protocol::abi;
                let hash = abi::word(stringify!($name));
                $(
                    let hash = abi::mix(hash, abi::word(stringify!($field)));
                    let hash = abi::mix(hash, <$type as $crate::protocol::record::Value>::LAYOUT);
                    let hash = abi::mix(hash, std::mem::offset_of!($archived, $field) as u64);
                )*
                abi::mix(hash, size_of::<$archived>() as u64)
            };

            fn tail(&self) -> usize {
                0 $(+ $crate::protocol::record::Value::tail(&self.$field))*
            }
        }

        impl $crate::protocol::record::Record for $name {
            fn encoded_upper_bound(&self) -> usize {
                size_of::<$archived>() + $crate::protocol::record::Value::tail(self)
            }

            fn encode_into(&self, to: &mut [u8]) -> Result<usize, $crate::protocol::record::TooLarge> {
                $crate::protocol::record::write(self, to)
            }

            fn decode(bytes: &[u8]) -> Result<$name, String> {
                rkyv::from_bytes::<$name, rkyv::rancor::Error>(bytes).map_err(|error| error.to_string())
            }
        }

        impl $crate::protocol::record::Fields for $archived {
            fn field(&self, field: $crate::protocol::field::Field) -> $crate::protocol::record::FieldView<'_> {
                match field.as_str() {
                    $(stringify!($field) => $crate::protocol::record::View::view(&self.$field),)*
                    _ => $crate::protocol::record::FieldView::Unknown,
                }
            }
        }

        impl $name {
            /// Names of the fields, in order.
            pub const FIELDS: &'static [&'static str] = &[$(stringify!($field),)*];
        }
    )*};
}
pub(super) use records;

/// Defines a closed set of words: an enum that is one byte in a record and its word everywhere else.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident / $archived:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Hash, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        $(#[$meta])*
        pub enum $name { $(#[serde(rename = $word)] $(#[$doc])* $variant,)* }

        impl $name {
            /// All of them; the position is the byte in a record.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The one with this word.
            pub fn parse(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::protocol::record::Value for $name {
            const LAYOUT: u64 = {
                use $crate::protocol::abi;
                let hash = abi::word(stringify!($name));
                $(let hash = abi::mix(hash, abi::word($word));)*
                hash
            };

            fn tail(&self) -> usize {
                0
            }
        }

        impl $crate::protocol::record::View for $archived {
            fn view(&self) -> $crate::protocol::record::FieldView<'_> {
                $crate::protocol::record::FieldView::Str(match self { $($archived::$variant => $word,)* })
            }
        }
    )*};
}
pub(super) use words;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::event::{AskOutcome, LogLevel, SessionState};
    use crate::protocol::failure::ErrorKind;

    #[test]
    fn words_are_read_as_they_are_written() {
        macro_rules! check {
            ($($words:ident)*) => {$(
                for word in $words::ALL {
                    assert_eq!($words::parse(&word.to_string()), Some(*word));
                    assert_eq!(serde_json::to_value(word).unwrap(), word.as_str());
                }
                assert_eq!($words::parse("no such word"), None);
            )*};
        }
        check!(ErrorKind SessionState AskOutcome LogLevel);
    }

    #[test]
    fn numbers_show_themselves_as_integers() {
        let int = |view: FieldView| match view {
            FieldView::Int(value) => value,
            _ => panic!("no integer"),
        };
        assert_eq!(int(u32_ule::from_native(u32::MAX).view()), i64::from(u32::MAX));
        assert_eq!(int(i32_ule::from_native(-7).view()), -7);
        assert_eq!(int(i64_ule::from_native(i64::MIN).view()), i64::MIN);
        assert_eq!(int(u64_ule::from_native(1 << 53).view()), 1 << 53);
        // A host has no integer for more.
        assert_eq!(int(u64_ule::from_native(u64::MAX).view()), i64::MAX);
    }
}
