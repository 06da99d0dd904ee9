//! The parameters of a cell.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ops::Index;
use std::sync::Arc;

/// Parameters by name, sorted. Names and values are shared between the cells of a grid: a hundred
/// thousand cells with maps of their own would take half a gigabyte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Map<String, Value>", from = "Map<String, Value>")]
pub struct Params(Box<[(Arc<str>, Arc<Value>)]>);

impl Params {
    /// Parameters from pairs that are sorted by name, each name once.
    pub(crate) fn from_sorted(pairs: Vec<(Arc<str>, Arc<Value>)>) -> Self {
        debug_assert!(pairs.windows(2).all(|w| w[0].0 < w[1].0));
        Self(pairs.into_boxed_slice())
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.shared(name).map(Arc::as_ref)
    }

    /// The text of a parameter; `None` also where it is no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    pub(crate) fn shared(&self, name: &str) -> Option<&Arc<Value>> {
        let at = self.0.binary_search_by(|(n, _)| n.as_ref().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    pub(crate) fn shared_iter(&self) -> impl Iterator<Item = (&str, &Arc<Value>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A map of its own.
    pub fn to_map(&self) -> Map<String, Value> {
        self.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }
}

impl From<Map<String, Value>> for Params {
    fn from(map: Map<String, Value>) -> Self {
        let mut pairs: Vec<_> =
            map.into_iter().map(|(name, value)| (Arc::from(name), Arc::new(value))).collect();
        // Already so, unless serde_json keeps the order of insertion.
        pairs.sort_by(|a: &(Arc<str>, Arc<Value>), b| a.0.cmp(&b.0));
        Self(pairs.into_boxed_slice())
    }
}

impl From<Params> for Map<String, Value> {
    fn from(params: Params) -> Self {
        params.to_map()
    }
}

impl FromIterator<(String, Value)> for Params {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(iter: T) -> Self {
        iter.into_iter().collect::<Map<_, _>>().into()
    }
}

impl Index<&str> for Params {
    type Output = Value;

    /// `null` where there is no such parameter, as serde_json does.
    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn params_read_and_write_as_an_object() {
        let value = json!({"b": 1.0, "a": "x", "c": [1, 2]});
        let params: Params = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(params.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(params["b"], json!(1.0));
        assert_eq!(params["d"], Value::Null);
        assert_eq!(params.text("a"), Some("x"));
        assert_eq!(serde_json::to_value(&params).unwrap(), value);
    }
}
