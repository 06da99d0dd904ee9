//! The SQL behind a number: a query of one of the public views that gives exactly it.

use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Where in a query the conditions of the table's row belong.
pub const ROW: &str = "{}";

/// The query that a number comes from. What the numbers of a row share is apart from what those of a column
/// share: a page need not repeat either.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The view whose rows `row` chooses.
    pub view: &'static str,
    /// The query, with [`ROW`] in place of `row`.
    pub query: String,
    /// Conditions that choose what belongs to the table's row.
    pub row: Arc<str>,
}

impl Source {
    /// Columns of those rows of a view that `row` and `more` choose.
    pub fn of_view(view: &'static str, columns: &str, row: &Arc<str>, more: &str) -> Self {
        let more = if more.is_empty() { String::new() } else { format!(" AND {more}") };
        let query = format!("SELECT {columns} FROM {view} WHERE {ROW}{more}");
        Self { view, query, row: row.clone() }
    }

    /// A mean with the ends of its interval and its number of seeds.
    pub fn estimate(view: &'static str, row: &Arc<str>, more: &str) -> Self {
        Self::of_view(view, "value, lower, upper, n", row, more)
    }

    /// The whole query.
    pub fn sql(&self) -> String {
        self.query.replacen(ROW, &self.row, 1)
    }
}

/// What rows of a view can be told apart by.
pub struct Keys<'a> {
    /// Columns that every query names.
    pub named: Vec<(&'static str, Json)>,
    /// Columns that a query names where it must, `true`: or where they are not NULL.
    pub others: Vec<(&'static str, Json, bool)>,
    /// The column `parameters`, for rows that no other column tells apart.
    pub parameters: &'a Map<String, Json>,
}

/// Conditions for each row that no other of them fulfils, as few as are easily found.
pub fn conditions(rows: &[Keys<'_>]) -> Vec<Arc<str>> {
    let equal = |name: &str, value: &Json| match value {
        Json::Null => format!("{name} IS NULL"),
        value => format!("{name} = {}", literal(value)),
    };
    let named = |keys: &Keys| {
        let all: Vec<String> = keys.named.iter().map(|(name, value)| equal(name, value)).collect();
        all.join(" AND ")
    };
    let mut texts: Vec<String> = rows.iter().map(named).collect();
    for alike in groups(&texts) {
        let first = &rows[alike[0]];
        for column in 0..first.others.len() {
            let differs = |&at: &usize| rows[at].others[column].1 != first.others[column].1;
            let needed = alike.iter().any(differs);
            for &at in &alike {
                let (name, value, wanted) = &rows[at].others[column];
                if needed || (*wanted && !value.is_null()) {
                    let _ = write!(texts[at], " AND {}", equal(name, value));
                }
            }
        }
    }
    for alike in groups(&texts).into_iter().filter(|alike| alike.len() > 1) {
        let first = rows[alike[0]].parameters;
        let mut names: Vec<&String> = Vec::new();
        for &at in &alike {
            let own = rows[at].parameters;
            let differs = own.iter().filter(|(name, value)| first.get(*name) != Some(*value));
            let missing = first.keys().filter(|name| !own.contains_key(*name));
            names.extend(differs.map(|(name, _)| name).chain(missing));
        }
        names.sort_unstable();
        names.dedup();
        for &at in &alike {
            for name in &names {
                let value = rows[at].parameters.get(*name).unwrap_or(&Json::Null);
                let _ = write!(texts[at], " AND {}", equal(&parameter(name), value));
            }
        }
    }
    texts.into_iter().map(Arc::from).collect()
}

/// Places of equal texts.
fn groups(texts: &[String]) -> Vec<Vec<usize>> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let place = *places.entry(text).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}

/// A parameter, out of the column `parameters`.
pub fn parameter(name: &str) -> String {
    format!("json_extract(parameters, {})", quoted(&format!("$.\"{name}\"")))
}

/// What SQLite's `json_extract` gives for a value.
pub fn literal(value: &Json) -> String {
    match value {
        Json::Null => "NULL".to_owned(),
        Json::Bool(value) => u8::from(*value).to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => quoted(text),
        Json::Array(_) | Json::Object(_) => quoted(&value.to_string()),
    }
}

/// A text as SQL writes it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_name_what_they_must() {
        let parameters = [
            json!({"a.b": 1, "users": "0..5"}),
            json!({"a.b": 2, "c": true}),
            json!({}),
            json!({}),
            json!({}),
        ];
        let row = |at: usize, attack: &str, epsilon: Json, timing: Json| Keys {
            named: vec![("grid", json!("o'k")), ("attack", json!(attack))],
            others: vec![("epsilon", epsilon, true), ("timing", timing, false)],
            parameters: parameters[at].as_object().unwrap(),
        };
        let rows = [
            row(0, "x", json!(0.1), json!("always")),
            row(1, "x", json!(0.1), json!("always")),
            row(2, "x", Json::Null, json!("random")),
            row(3, "y", json!(1), json!("random")),
            row(4, "none", Json::Null, Json::Null),
        ];
        insta::assert_snapshot!(conditions(&rows).join("\n"), @r#"
        grid = 'o''k' AND attack = 'x' AND epsilon = 0.1 AND timing = 'always' AND json_extract(parameters, '$."a.b"') = 1 AND json_extract(parameters, '$."c"') IS NULL AND json_extract(parameters, '$."users"') = '0..5'
        grid = 'o''k' AND attack = 'x' AND epsilon = 0.1 AND timing = 'always' AND json_extract(parameters, '$."a.b"') = 2 AND json_extract(parameters, '$."c"') = 1 AND json_extract(parameters, '$."users"') IS NULL
        grid = 'o''k' AND attack = 'x' AND epsilon IS NULL AND timing = 'random'
        grid = 'o''k' AND attack = 'y' AND epsilon = 1
        grid = 'o''k' AND attack = 'none'
        "#);
    }

    #[test]
    fn a_query_is_made_of_its_row_and_its_column() {
        let row: Arc<str> = "grid = '{}'".into();
        let source = Source::estimate("table1", &row, "metric = 'ndcg'");
        let sql = "SELECT value, lower, upper, n FROM table1 WHERE grid = '{}' AND metric = 'ndcg'";
        assert_eq!(source.sql(), sql);
    }
}
