//! Reads settings from JSON values. Errors name the key that does not fit.

use ebm_data::DataConfig;
use serde::de::{DeserializeOwned, IntoDeserializer, Unexpected};
use serde::{Deserializer, de};
use serde_json::{Map, Number, Value, json};

use super::ExperimentConfig;
use super::complaint::{Complaint, Problem};
use super::error::Fault;

/// The settings of an experiment from a file in which all defaults are filled in.
pub(super) fn decode_experiment(file: Map<String, Value>) -> Result<ExperimentConfig, Fault> {
    decode_file(Value::Object(file))
}

/// The data alone of a file that has no other section.
pub(super) fn decode_data(file: Value) -> Result<DataConfig, Fault> {
    #[derive(serde::Deserialize)]
    struct DataAlone {
        data: DataConfig,
    }
    decode_file::<DataAlone>(file).map(|file| file.data)
}

fn decode_file<T: DeserializeOwned>(file: Value) -> Result<T, Fault> {
    read(&file).map_err(|complaint| {
        let better = match (complaint.path(), complaint.problem()) {
            ("data", _) => blame_in_data(&file),
            ("long_run", Problem::Missing(_)) => absent_of_long_run(&file),
            _ => None,
        };
        better.unwrap_or_else(|| complaint.into())
    })
}

/// Any settings.
pub(super) fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, Fault> {
    read(value).map_err(Fault::from)
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Complaint> {
    T::deserialize(Node(value))
}

/// serde names only the first missing key, but a user who adds this section by `--set` needs all of them.
fn absent_of_long_run(file: &Value) -> Option<Fault> {
    let section = file.get("long_run")?;
    let mut absent = vec!["every", "steps", "start"];
    absent.retain(|&key| section.get(key).is_none());
    let absent = absent.join(", ");
    Some(Fault::new(
        "long_run",
        format!("needs the keys every, steps and start; missing: {absent}"),
    ))
}

/// `data` is read in two passes for its tag, in which serde loses the key that is wrong. Trying each key alone finds
/// it.
fn blame_in_data(file: &Value) -> Option<Fault> {
    let data = file.get("data")?;
    let Some(data) = data.as_object() else {
        let complaint = Complaint::kind(data, "a section in { } with the key source");
        return Some(complaint.within("data").into());
    };
    let source = data.get("source")?;
    let complaint = |alone: Value| {
        let complaint = read::<DataConfig>(&alone).err()?;
        let is_absent = matches!(complaint.problem(), Problem::Missing(_));
        (!is_absent).then_some(complaint)
    };
    if let Some(found) = complaint(json!({"source": source})) {
        return Some(found.within("source").within("data").into());
    }
    data.iter().find_map(|(key, value)| {
        let found = complaint(json!({"source": source, key: value}))?;
        let found = match found.problem() {
            Problem::UnknownKey(..) => found,
            _ => found.within(key),
        };
        Some(found.within("data").into())
    })
}

/// A value that is read with [`Complaint`] as its error. Numbers without a fraction count as whole, however they are
/// written.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Value);

impl Node<'_> {
    fn refuse(self, wanted: &str) -> Complaint {
        Complaint::kind(self.0, wanted)
    }

    fn number<'de, V: de::Visitor<'de>>(
        number: &Number,
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        if let Some(value) = number.as_u64() {
            return visitor.visit_u64(value);
        }
        if let Some(value) = number.as_i64() {
            return visitor.visit_i64(value);
        }
        let value = number.as_f64().unwrap_or(f64::NAN);
        // Above 2⁵³ a float no longer says which whole number is meant.
        if value.fract() == 0.0 && (0.0..9.007_199_254_740_992e15).contains(&value) {
            return visitor.visit_u64(value as u64);
        }
        visitor.visit_f64(value)
    }

    /// A whole number that the type has room for.
    fn whole<'de, V: de::Visitor<'de>>(
        self,
        visitor: V,
        smallest: i64,
        largest: u64,
    ) -> Result<V::Value, Complaint> {
        let wanted = || match smallest {
            0 => format!("a whole number from 0 to {largest}"),
            _ => format!("a whole number from {smallest} to {largest}"),
        };
        match self.0 {
            Value::Number(number) => {
                Self::number(number, visitor).map_err(|complaint| match complaint.problem() {
                    Problem::Kind { .. } => self.refuse(&wanted()),
                    _ => complaint,
                })
            }
            _ => Err(self.refuse(&wanted())),
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident $kind:ty),* $(,)?) => {$(
        fn $method<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
            self.whole(visitor, <$kind>::MIN as i64, <$kind>::MAX as u64)
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Complaint;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => Self::number(number, visitor),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items {
                items: items.iter().enumerate(),
            }),
            Value::Object(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                next: None,
            }),
        }
    }

    whole_numbers! {
        deserialize_u8 u8, deserialize_u16 u16, deserialize_u32 u32, deserialize_u64 u64,
        deserialize_i8 i8, deserialize_i16 i16, deserialize_i32 i32, deserialize_i64 i64,
    }

    fn deserialize_f32<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0.as_f64() {
            Some(value) => visitor.visit_f64(value),
            None => Err(self.refuse("a number")),
        }
    }

    fn deserialize_bool<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.refuse("true or false")),
        }
    }

    fn deserialize_string<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Value::String(text) => visitor.visit_str(text),
            _ => Err(self.refuse("a text in quotes")),
        }
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Value::Array(_) => self.deserialize_any(visitor),
            _ => Err(self.refuse("a list in [ ]")),
        }
    }

    fn deserialize_map<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            _ => Err(self.refuse("a section in { }")),
        }
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        self.deserialize_map(visitor)
    }

    /// All enums of the settings are names.
    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(self.refuse(&format!("one of {}", variants.join(", ")))),
        }
    }

    serde::forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Complaint> for Node<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The items of a list.
struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Complaint;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Complaint> {
        let Some((index, value)) = self.items.next() else {
            return Ok(None);
        };
        let found = seed.deserialize(Node(value));
        found
            .map(Some)
            .map_err(|complaint| complaint.within_item(index))
    }
}

/// The keys of a section and their values.
struct Entries<'a> {
    entries: serde_json::map::Iter<'a>,
    next: Option<(&'a str, &'a Value)>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Complaint;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Complaint> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.next = Some((key, value));
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Complaint> {
        let Some((key, value)) = self.next.take() else {
            return Err(de::Error::invalid_type(
                Unexpected::Map,
                &"a key before its value",
            ));
        };
        seed.deserialize(Node(value))
            .map_err(|complaint| complaint.within(key))
    }
}
