//! Lists of the message with a bound each: a few bytes must not ask for gigabytes.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::limits::MAX_TEXT_BYTES;

/// Room that is taken on the word of a length alone; beyond it a list grows as its elements are
/// read.
const TRUSTED: usize = 1024;

/// Deserialises a list of at most `MOST` elements.
pub(crate) fn list<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Bounded<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let stated = elements.size_hint().unwrap_or(0);
            let mut list = Vec::with_capacity(stated.min(TRUSTED));
            while let Some(element) = elements.next_element()? {
                if list.len() == MOST {
                    return Err(A::Error::invalid_length(list.len() + 1, &self));
                }
                list.push(element);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, MOST>(PhantomData))
}

/// A list of at most `MOST` elements where a type is wanted.
struct Inner<T, const MOST: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Inner<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        list::<D, T, MOST>(deserializer).map(Inner)
    }
}

/// Deserialises a list of lists of at most `MOST` elements each, at most `LISTS` of them.
pub(crate) fn lists<'de, D, T, const LISTS: usize, const MOST: usize>(
    deserializer: D,
) -> Result<Vec<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let outer = list::<D, Inner<T, MOST>, LISTS>(deserializer)?;
    Ok(outer.into_iter().map(|inner| inner.0).collect())
}

/// Deserialises a list of at most `MOST` entries, or none.
pub(crate) fn optional_list<'de, D, T, const MOST: usize>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Inner<T, MOST>>::deserialize(deserializer)?.map(|inner| inner.0))
}

/// Deserialises a list of at most `MOST` texts, or none.
pub(crate) fn optional_texts<'de, D, const MOST: usize>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Text(String);

    impl<'de> Deserialize<'de> for Text {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            text(deserializer).map(Self)
        }
    }

    let texts = optional_list::<D, Text, MOST>(deserializer)?;
    Ok(texts.map(|texts| texts.into_iter().map(|text| text.0).collect()))
}

/// Deserialises a text of at most [`MAX_TEXT_BYTES`].
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    if text.len() > MAX_TEXT_BYTES {
        return Err(D::Error::custom("a text is too long"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Debug, serde::Deserialize, PartialEq, Serialize)]
    struct Short(#[serde(deserialize_with = "list::<_, _, 3>")] Vec<u32>);

    #[test]
    fn a_list_is_taken_up_to_its_bound() {
        let full = postcard::to_stdvec(&vec![1u32, 2, 3]).unwrap();
        assert_eq!(postcard::from_bytes::<Short>(&full).unwrap(), Short(vec![1, 2, 3]));
        let over = postcard::to_stdvec(&vec![1u32, 2, 3, 4]).unwrap();
        assert!(postcard::from_bytes::<Short>(&over).is_err());
        let json = serde_json::from_str::<Short>("[1, 2, 3, 4]");
        assert!(json.is_err(), "without a stated length too");
    }
}
