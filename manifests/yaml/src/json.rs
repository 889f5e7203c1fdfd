//! Objects of JSON, one after the other.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::YamlError;
use crate::documents::{Document, Repeated};

/// None if it is not JSON: a mapping of YAML may begin like it.
pub(crate) fn stream(text: &str, repeated: Repeated) -> Result<Option<Vec<Document>>, YamlError> {
    if serde_json::Deserializer::from_str(text).into_iter::<Value>().any(|value| value.is_err()) {
        return Ok(None);
    }
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.trim_start().is_empty() {
        let begin = text.len() - rest.trim_start().len();
        let line = 1 + text[..begin].matches('\n').count();
        let mut one = serde_json::Deserializer::from_str(&text[begin..]);
        let value = Fields(repeated).deserialize(&mut one);
        let value = value.map_err(|error| YamlError::at(line + error.line().max(1) - 1, without_place(&error)))?;
        let mut end = one.into_iter::<serde::de::IgnoredAny>();
        // Where the first value ended is where the next begins.
        rest = &text[begin + end.byte_offset()..];
        let _ = end.next();
        if !value.is_null() {
            found.push(Document { line, value, doubts: Vec::new() });
        }
    }
    Ok(Some(found))
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

/// Any value, with an eye on keys that are there twice.
#[derive(Clone, Copy)]
struct Fields(Repeated);

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            found.push(item);
        }
        Ok(found.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(self)?;
            if found.contains_key(&name) && self.0 == Repeated::Refused {
                return Err(A::Error::custom(format!("duplicate key {name:?}")));
            }
            found.insert(name, value);
        }
        Ok(Value::Object(found))
    }
}
