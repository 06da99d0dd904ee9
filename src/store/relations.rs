//! The tables and views of the database, and their columns.

use super::{Database, DatabaseError};

/// A table or a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub name: String,
    pub view: bool,
    pub columns: Vec<Column>,
}

/// A column of a table or a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// The declared type; of a view's the one that SQLite infers, which is empty for most expressions.
    pub declared: String,
}

impl Relation {
    /// The query of its rows, of those that meet `condition` where there is one.
    pub fn select(&self, condition: Option<&str>) -> String {
        let name = self.name.replace('"', "\"\"");
        // The line's end ends a comment in the condition.
        let filter = condition.map_or(String::new(), |sql| format!(" WHERE (\n{sql}\n)"));
        format!("SELECT * FROM \"{name}\"{filter}")
    }
}

impl Database {
    /// All tables and views, by name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn relations(&self) -> Result<Vec<Relation>, DatabaseError> {
        let sql = "SELECT name, type = 'view' FROM sqlite_schema
            WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
        let mut statement = self.connection.prepare(sql)?;
        let mut columns =
            self.connection.prepare("SELECT name, type FROM pragma_table_info(?) ORDER BY cid")?;
        let named = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let relations = named.map(|row| {
            let (name, view): (String, bool) = row?;
            let columns = columns
                .query_map([&name], |row| Ok(Column { name: row.get(0)?, declared: row.get(1)? }))?
                .collect::<Result<_, _>>()?;
            Ok(Relation { name, view, columns })
        });
        relations.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_views_are_told_with_their_columns() {
        let dir = tempfile::tempdir().unwrap();
        let relations = Database::open(&dir.path().join("a.db")).unwrap().relations().unwrap();
        let named = |name: &str| relations.iter().find(|relation| relation.name == name).unwrap();
        assert!(named("table1").view && !named("metrics").view);
        let declared = |name: &str| -> Vec<String> {
            let columns = named(name).columns.iter();
            columns.map(|column| format!("{} {}", column.name, column.declared)).collect()
        };
        assert_eq!(declared("t_quantiles"), ["df INTEGER", "t975 REAL"]);
        assert_eq!(declared("latest_grids"), ["id INTEGER", "name TEXT"]);
        assert!(relations.iter().all(|relation| !relation.columns.is_empty()));
    }

    #[test]
    fn a_comment_in_a_condition_hides_nothing() {
        let relation = Relation { name: "a\"b".to_owned(), view: false, columns: Vec::new() };
        insta::assert_snapshot!(relation.select(Some("x = 1 -- or 2")), @r#"
        SELECT * FROM "a""b" WHERE (
        x = 1 -- or 2
        )
        "#);
    }
}
