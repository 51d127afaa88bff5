//! Names and numbers of all fields of events, for hosts that read records by accessor.

macro_rules! fields {
    ($($number:literal $variant:ident = $name:literal,)*) => {
        /// A field of an event. The number is part of the ABI: never changed, never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Field { $(#[doc = concat!("`", $name, "`")] $variant = $number,)* }

        impl Field {
            /// All fields in order of their numbers.
            pub const ALL: &'static [Field] = &[$(Field::$variant,)*];

            /// The name in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Field::$variant => $name,)* }
            }

            /// The number of the ABI.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The field of that number.
            pub const fn from_number(number: u32) -> Option<Field> {
                match number { $($number => Some(Field::$variant),)* _ => None }
            }
        }
    };
}

fields! {
    1 Text = "text",
    2 Task = "task",
    3 Kind = "kind",
    4 Form = "form",
    5 Images = "images",
    6 Details = "details",
    7 Result = "result",
    8 Code = "code",
    9 Message = "message",
    10 Hint = "hint",
    11 RetryAfterMs = "retry_after_ms",
    12 Place = "place",
    13 State = "state",
    14 Reason = "reason",
    15 Tool = "tool",
    16 Status = "status",
    17 Summary = "summary",
    18 DurationMs = "duration_ms",
    19 Path = "path",
    20 Protected = "protected",
    21 Suggestions = "suggestions",
    22 ExpiresMs = "expires_ms",
    23 Outcome = "outcome",
    24 Method = "method",
    25 Parameters = "parameters",
    26 DeadlineMs = "deadline_ms",
    27 TokensIn = "tokens_in",
    28 TokensOut = "tokens_out",
    29 CacheReadTokens = "cache_read_tokens",
    30 CacheWriteTokens = "cache_write_tokens",
    31 ReasoningTokens = "reasoning_tokens",
    32 Cost = "cost",
    33 ContextTokens = "context_tokens",
    34 ContextWindow = "context_window",
    35 Items = "items",
    36 Id = "id",
    37 Content = "content",
    38 Mode = "mode",
    39 Profile = "profile",
    40 Commit = "commit",
    41 Attempt = "attempt",
    42 InMs = "in_ms",
    43 Parent = "parent",
    44 Texts = "texts",
    45 Files = "files",
    46 Added = "added",
    47 Removed = "removed",
    48 Done = "done",
    49 Total = "total",
    50 Server = "server",
    51 Groups = "groups",
    52 Cursor = "cursor",
    53 Keys = "keys",
    54 Level = "level",
    55 Target = "target",
    56 Counters = "counters",
    57 TokensBefore = "tokens_before",
    58 TokensAfter = "tokens_after",
    59 Error = "error",
    60 Ids = "ids",
}
