//! Ids that cross the boundary to the host.
//!
//! An id is an index with the generation of what it names, so that one kept beyond the life of its object is refused and
//! never taken for another. Both parts fit in 53 bits: every language with only floating-point numbers can hold an id.

use std::fmt;

/// Bits of the generation part.
const GENERATION_BITS: u32 = 20;
/// Highest generation; the one after it is 1 again, never 0.
pub const GENERATION_MAX: u32 = (1 << GENERATION_BITS) - 1;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident / $archived:ident,)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The id of index `index` in this generation; generations above [`GENERATION_MAX`] wrap.
            pub const fn new(generation: u32, index: u32) -> $name {
                $name(((generation & GENERATION_MAX) as u64) << 32 | index as u64)
            }

            /// The id with this number, as a host gave it; it may name nothing.
            pub const fn from_raw(raw: u64) -> $name {
                $name(raw)
            }

            /// The number a host sees; below 2^53. 0 names nothing.
            pub const fn raw(self) -> u64 {
                self.0
            }

            /// The generation part; a number no id can have yields one that no object has.
            pub const fn generation(self) -> u32 {
                (self.0 >> 32) as u32
            }

            /// The index part.
            pub const fn index(self) -> u32 {
                self.0 as u32
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl crate::protocol::record::Value for $name {
            const LAYOUT: u64 = <u64 as crate::protocol::record::Value>::LAYOUT;
            fn tail(&self) -> usize {
                0
            }
        }

        impl crate::protocol::record::View for $archived {
            fn view(&self) -> crate::protocol::record::FieldView<'_> {
                self.0.view()
            }
        }
    )*};
}

ids! {
    /// A session: one stack of tasks.
    SessionId / ArchivedSessionId,
    /// A submitted request.
    RequestId / ArchivedRequestId,
    /// A question to the user.
    AskId / ArchivedAskId,
    /// A question to the host.
    HostRequestId / ArchivedHostRequestId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::FieldView;

    #[test]
    fn parts_come_back_and_generations_differ() {
        let id = SessionId::new(7, u32::MAX);
        assert_eq!((id.generation(), id.index()), (7, u32::MAX));
        assert!(SessionId::new(GENERATION_MAX, u32::MAX).raw() < 1 << 53);
        assert_ne!(SessionId::new(1, 5), SessionId::new(2, 5));
        assert_eq!(SessionId::from_raw(u64::MAX).generation(), u32::MAX);
    }

    #[test]
    fn hosts_see_the_same_number_everywhere() {
        let id = AskId::new(3, 9);
        let number = i64::try_from(id.raw()).unwrap();
        assert_eq!(id.to_string(), number.to_string());
        assert_eq!(serde_json::to_string(&id).unwrap(), number.to_string());
        let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(&id).unwrap();
        let archived = rkyv::access::<ArchivedAskId, rkyv::rancor::Error>(&bytes).unwrap();
        assert!(matches!(crate::protocol::record::View::view(archived), FieldView::Int(seen) if seen == number));
    }
}
