//! The parameters of a cell.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::ops::Index;
use std::sync::Arc;

/// Parameters by name, sorted. Values are shared between the cells of a grid, and names between cells
/// with the same parameters: a hundred thousand cells with maps of their own would take half a gigabyte.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub struct Params {
    names: Names,
    /// One a name.
    values: Box<[Arc<Value>]>,
}

/// Names of parameters, sorted, each once.
pub(crate) type Names = Arc<[Arc<str>]>;

impl Params {
    /// Parameters from names and as many values.
    pub(crate) fn new(names: Names, values: Vec<Arc<Value>>) -> Self {
        debug_assert!(names.windows(2).all(|w| w[0] < w[1]) && names.len() == values.len());
        Self { names, values: values.into_boxed_slice() }
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
        let at = self.names.binary_search_by(|n| n.as_ref().cmp(name)).ok()?;
        Some(&self.values[at])
    }

    /// The names: one place in memory for cells that share them.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// The name and the value at a place among the names.
    pub(crate) fn at(&self, place: usize) -> (&str, &Arc<Value>) {
        (self.names[place].as_ref(), &self.values[place])
    }

    /// The same parameters, which keep no copy of what those of the cell before hold, too.
    pub(crate) fn sharing(mut self, before: &Params) -> Self {
        if self.names == before.names {
            self.names = before.names.clone();
            for (value, known) in self.values.iter_mut().zip(&before.values) {
                if value == known {
                    *value = known.clone();
                }
            }
        }
        self
    }

    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.shared_iter().map(|(name, value)| (name, value.as_ref()))
    }

    pub(crate) fn shared_iter(&self) -> impl Iterator<Item = (&str, &Arc<Value>)> {
        self.names.iter().map(Arc::as_ref).zip(&self.values)
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A map of its own.
    pub fn to_map(&self) -> Map<String, Value> {
        self.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }
}

impl From<Map<String, Value>> for Params {
    fn from(map: Map<String, Value>) -> Self {
        let mut pairs: Vec<_> = map.into_iter().collect();
        // Already so, unless serde_json keeps the order of insertion.
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let (names, values): (Vec<Arc<str>>, Vec<Arc<Value>>) =
            pairs.into_iter().map(|(name, value)| (name.into(), Arc::new(value))).unzip();
        Self::new(names.into(), values)
    }
}

impl Serialize for Params {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
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
    fn what_two_cells_have_in_common_is_held_once() {
        let read =
            |b: u32| -> Params { serde_json::from_value(json!({"a": "x", "b": b})).unwrap() };
        let first = read(1);
        let second = read(2).sharing(&first);
        assert_eq!(second, read(2));
        assert!(Arc::ptr_eq(&second.names, &first.names));
        assert!(Arc::ptr_eq(&second.values[0], &first.values[0]));
        let other: Params = serde_json::from_value(json!({"a": "x"})).unwrap();
        assert_eq!(other.clone().sharing(&first), other);
    }

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
