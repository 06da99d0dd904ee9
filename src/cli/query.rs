//! `advrec query`.

use super::{BadInput, Context, Output, exit};
use crate::export::{Csv, Objects, RowWriter as _, text};
use crate::store::{Database, DatabaseError, Rows};
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use rusqlite::types::{Value, ValueRef};
use std::collections::BTreeSet;
use std::io::Write;

/// Arguments of `advrec query`.
#[derive(clap::Args)]
pub struct Args {
    /// One SELECT statement; the views table1, table2, seeds_summary, runs and failures are a start
    #[arg(value_name = "SQL")]
    sql: String,
    /// How rows are printed [default: table, or json with --output json]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// RFC 4180, with a header
    Csv,
    /// An array of objects
    Json,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let db = Database::open_to_read(&context.db)?;
    let rows = db.rows(&args.sql).map_err(|error| BadInput(explain(&error, "SQL", "")))?;
    let format = args.format.unwrap_or(match context.output {
        Output::Human => Format::Table,
        Output::Json => Format::Json,
    });
    let text = match format {
        Format::Table => table(&rows),
        Format::Csv => csv(&rows)?,
        Format::Json => json(&rows)?,
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(exit::DONE)
}

/// What is wrong with a query of which `what` is at fault: what stands after `before` in it.
pub(super) fn explain(error: &DatabaseError, what: &str, before: &str) -> String {
    let DatabaseError::Sqlite(error) = error else { return error.to_string() };
    match error {
        rusqlite::Error::MultipleStatement => "one statement at a time".to_owned(),
        rusqlite::Error::SqlInputError { msg, sql, offset, .. } => {
            let end = usize::try_from(*offset).unwrap_or(0);
            let right = sql.get(before.len()..end).unwrap_or("");
            let line = right.matches('\n').count() + 1;
            let column = right.rsplit('\n').next().unwrap_or("").chars().count() + 1;
            format!("{what} line {line}, column {column}: {msg}")
        }
        _ if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly) => {
            "queries cannot change the database".to_owned()
        }
        _ => format!("{what}: {error}"),
    }
}

fn table(rows: &Rows) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(&rows.columns);
    for row in &rows.rows {
        table.add_row(row.iter().map(|value| text(value.into())));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        let number = |row: &Vec<Value>| match row[index] {
            Value::Integer(_) | Value::Real(_) => Some(true),
            Value::Null => None,
            _ => Some(false),
        };
        let mut kinds = rows.rows.iter().filter_map(number).peekable();
        if kinds.peek().is_some() && kinds.all(|number| number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

/// Rows as RFC 4180 has them, with a header.
pub(super) fn csv(rows: &Rows) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let mut csv = Box::new(Csv::new(&rows.columns, &mut bytes)?);
    for row in &rows.rows {
        csv.row(&references(row))?;
    }
    csv.finish()?;
    Ok(String::from_utf8(bytes)?)
}

fn json(rows: &Rows) -> anyhow::Result<String> {
    let mut names = BTreeSet::new();
    if let Some(twice) = rows.columns.iter().find(|name| !names.insert(*name)) {
        let message = format!("two columns are called {twice}; name one of them with AS");
        return Err(BadInput(message).into());
    }
    let objects = Objects::new(&rows.columns);
    let mut bytes = b"[".to_vec();
    for (index, row) in rows.rows.iter().enumerate() {
        if index > 0 {
            bytes.extend(b",\n ");
        }
        objects.write(&references(row), &mut bytes)?;
    }
    bytes.extend(b"]\n");
    Ok(String::from_utf8(bytes)?)
}

fn references(row: &[Value]) -> Vec<ValueRef<'_>> {
    row.iter().map(ValueRef::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows {
            columns: vec!["name".to_owned(), "value".to_owned(), "n".to_owned()],
            rows: vec![
                vec![Value::Text("a, \"b\"".to_owned()), Value::Real(0.1 + 0.2), Value::Integer(3)],
                vec![Value::Text("c".to_owned()), Value::Real(5.0), Value::Null],
            ],
        }
    }

    #[test]
    fn rows_are_printed_in_three_formats() {
        insta::assert_snapshot!(table(&rows()), @r#"
        name                  value  n
        a, "b"  0.30000000000000004  3
        c                       5.0
        "#);
        insta::assert_snapshot!(csv(&rows()).unwrap(), @r#"
        name,value,n
        "a, ""b""",0.30000000000000004,3
        c,5.0,
        "#);
        insta::assert_snapshot!(json(&rows()).unwrap(), @r#"
        [{"name":"a, \"b\"","value":0.30000000000000004,"n":3},
         {"name":"c","value":5.0,"n":null}]
        "#);
    }

    #[test]
    fn json_needs_distinct_names() {
        let twice = Rows { columns: vec!["x".to_owned(), "x".to_owned()], rows: Vec::new() };
        insta::assert_snapshot!(json(&twice).unwrap_err(),
            @"two columns are called x; name one of them with AS");
    }
}
