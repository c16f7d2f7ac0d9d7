//! The two fields that make up nearly all of a `tokenizer.json`, read without copying where nothing is escaped.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A token's spelling.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Spelling<'a>(Cow<'a, str>);

impl Spelling<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A merge: a list of two spellings, or in older files both in one string with a space between.
pub(super) enum MergePair<'a> {
    Two(Spelling<'a>, Spelling<'a>),
    /// The string and where its space is.
    One(Spelling<'a>, usize),
}

impl MergePair<'_> {
    pub(super) fn left(&self) -> &str {
        match self {
            Self::Two(left, _) => left.as_str(),
            Self::One(both, space) => &both.as_str()[..*space],
        }
    }

    pub(super) fn right(&self) -> &str {
        match self {
            Self::Two(_, right) => right.as_str(),
            Self::One(both, space) => &both.as_str()[space + 1..],
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Spelling<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Spelling<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a token as a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Spelling(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Spelling(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MergePair<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;

        fn one<'a, E: Error>(both: Cow<'a, str>) -> Result<MergePair<'a>, E> {
            let space = both.find(' ').ok_or_else(|| E::custom(format_args!("merge {both:?} has no space")))?;
            Ok(MergePair::One(Spelling(both), space))
        }

        impl<'de> Visitor<'de> for Pair {
            type Value = MergePair<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a merge as two tokens in a list or in one string")
            }

            fn visit_borrowed_str<E: Error>(self, both: &'de str) -> Result<Self::Value, E> {
                one(Cow::Borrowed(both))
            }

            fn visit_str<E: Error>(self, both: &str) -> Result<Self::Value, E> {
                one(Cow::Owned(both.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Self::Value, A::Error> {
                let mut next = |index| pair.next_element()?.ok_or_else(|| A::Error::invalid_length(index, &self));
                let (left, right) = (next(0)?, next(1)?);
                match pair.next_element::<Spelling<'de>>()? {
                    None => Ok(MergePair::Two(left, right)),
                    Some(_) => Err(A::Error::invalid_length(3, &self)),
                }
            }
        }

        deserializer.deserialize_any(Pair)
    }
}
