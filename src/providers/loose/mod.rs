//! Reading JSON that may be of any type: what has another type than wanted counts as absent and is skipped, unread.
//!
//! A stream's event is read in one pass into borrowed fields, without building a document of it. A [`Text`] is unescaped only
//! where it is used.

mod text;

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub use text::Text;

/// What is wanted of a value, by its type; absent (the default) for every type that is not named.
pub trait Wanted<'de>: Default {
    /// A text; a [`Text`] if it is to be kept.
    fn text(_: &str) -> Self {
        Self::default()
    }

    /// A number.
    fn number(_: f64) -> Self {
        Self::default()
    }

    /// True or false.
    fn flag(_: bool) -> Self {
        Self::default()
    }

    /// An array.
    fn array<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    /// An object.
    fn object<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

/// A value of which [`Wanted`] takes what it can.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loose<T>(pub T);

/// `deserialize_with` of a field that is an object of this type; its default in place of anything else.
pub fn object<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Loose::deserialize(deserializer).map(|Loose(Object(value))| value)
}

impl<'de, T: Wanted<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Loose<T>, D::Error> {
        deserializer.deserialize_any(Any(PhantomData)).map(Loose)
    }
}

impl Wanted<'_> for Option<f64> {
    fn number(number: f64) -> Option<f64> {
        Some(number)
    }
}

impl Wanted<'_> for bool {
    fn flag(flag: bool) -> bool {
        flag
    }
}

/// An object with these members.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<T>(pub T);

impl<'de, T: Default + Deserialize<'de>> Wanted<'de> for Object<T> {
    fn object<A: MapAccess<'de>>(members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

/// The same, or none: tells an object without members from no object.
impl<'de, T: Deserialize<'de>> Wanted<'de> for Option<Object<T>> {
    fn object<A: MapAccess<'de>>(members: A) -> Result<Option<Object<T>>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(|object| Some(Object(object)))
    }
}

/// The first item of an array.
#[derive(Clone, Debug, PartialEq)]
pub struct First<T>(pub Option<T>);

impl<T> Default for First<T> {
    fn default() -> First<T> {
        First(None)
    }
}

impl<'de, T: Deserialize<'de>> Wanted<'de> for First<T> {
    fn array<A: SeqAccess<'de>>(mut items: A) -> Result<First<T>, A::Error> {
        let first = items.next_element()?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(First(first))
    }
}

/// All items of an array. The first, in most events the only one, costs no allocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Items<T> {
    first: Option<T>,
    more: Vec<T>,
}

impl<T> Default for Items<T> {
    fn default() -> Items<T> {
        Items { first: None, more: Vec::new() }
    }
}

impl<T> IntoIterator for Items<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.more)
    }
}

impl<'de, T: Deserialize<'de>> Wanted<'de> for Items<T> {
    fn array<A: SeqAccess<'de>>(mut items: A) -> Result<Items<T>, A::Error> {
        let mut all = Items { first: items.next_element()?, more: Vec::new() };
        while let Some(item) = items.next_element()? {
            all.more.push(item);
        }
        Ok(all)
    }
}

/// Whether ECMAScript takes the value for true.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Truthy(pub bool);

impl<'de> Wanted<'de> for Truthy {
    fn text(text: &str) -> Truthy {
        Truthy(!text.is_empty())
    }

    fn number(number: f64) -> Truthy {
        Truthy(number != 0.0)
    }

    fn flag(flag: bool) -> Truthy {
        Truthy(flag)
    }

    fn array<A: SeqAccess<'de>>(mut items: A) -> Result<Truthy, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Truthy(true))
    }

    fn object<A: MapAccess<'de>>(mut members: A) -> Result<Truthy, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Truthy(true))
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Wanted<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        Ok(T::number(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        Ok(T::number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        Ok(T::number(number))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<T, E> {
        Ok(T::flag(flag))
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        T::array(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Event<'a> {
        #[serde(borrow)]
        text: Text<'a>,
        number: Loose<Option<f64>>,
        flag: Loose<bool>,
        #[serde(borrow)]
        inner: Loose<Option<Object<Inner<'a>>>>,
        first: Loose<First<Loose<Option<f64>>>>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Inner<'a> {
        #[serde(borrow)]
        text: Text<'a>,
    }

    #[test]
    fn what_has_another_type_counts_as_absent() {
        let whole =
            r#"{"text":"a","number":1,"flag":true,"inner":{"text":"b","more":[{}]},"first":[2,"x"],"other":{"a":[1]}}"#;
        let event: Event<'_> = serde_json::from_str(whole).expect("JSON");
        assert_eq!(event.text.into_string(), "a");
        assert_eq!((event.number.0, event.flag.0, event.first.0.0), (Some(1.0), true, Some(Loose(Some(2.0)))));
        assert_eq!(event.inner.0.map(|inner| inner.0.text.into_string()), Some("b".into()));
        for odd in ["null", "{}", "[]", "[[1]]", "{\"a\":{}}"] {
            let event = format!(r#"{{"text":{odd},"number":{odd},"flag":{odd},"other":{odd}}}"#);
            let event: Event<'_> = serde_json::from_str(&event).expect(odd);
            assert_eq!(event, Event::default(), "{odd}");
        }
        for odd in ["null", "1.5", "-1", "true", "\"\\n\"", "[]"] {
            let event = format!(r#"{{"inner":{odd}}}"#);
            assert_eq!(serde_json::from_str::<Event<'_>>(&event).expect(odd), Event::default(), "{odd}");
        }
    }
}
