//! Lines of JSON: an object a row, its keys in the order of the columns.

use super::{ExportError, RowWriter, text};
use rusqlite::types::ValueRef;
use serde_json::Value;
use std::io::{self, BufWriter, Write};

/// Writes rows as objects. By hand, because objects of serde_json sort their keys and columns have an
/// order.
#[derive(Clone, Debug)]
pub struct Objects {
    /// As JSON, each with what stands before it.
    keys: Vec<String>,
}

impl Objects {
    /// Objects with these keys.
    pub fn new(columns: &[String]) -> Self {
        let key = |(index, name): (usize, &String)| {
            let before = if index == 0 { '{' } else { ',' };
            format!("{before}{}:", Value::from(name.as_str()))
        };
        Self { keys: columns.iter().enumerate().map(key).collect() }
    }

    /// Writes a row, which has a value for each key. What is no finite number is null.
    ///
    /// # Errors
    /// If `out` does not take it.
    pub fn write(&self, row: &[ValueRef<'_>], out: &mut impl Write) -> io::Result<()> {
        if self.keys.is_empty() {
            out.write_all(b"{")?;
        }
        for (key, &value) in self.keys.iter().zip(row) {
            out.write_all(key.as_bytes())?;
            match value {
                ValueRef::Null => out.write_all(b"null")?,
                ValueRef::Integer(i) => write!(out, "{i}")?,
                ValueRef::Real(x) => serde_json::to_writer(&mut *out, &x)?,
                other => serde_json::to_writer(&mut *out, &text(other))?,
            }
        }
        out.write_all(b"}")
    }
}

/// A file of objects, one a line.
pub struct Jsonl<W: Write> {
    objects: Objects,
    out: BufWriter<W>,
}

impl<W: Write> Jsonl<W> {
    /// Begins the file.
    pub fn new(columns: &[String], out: W) -> Self {
        Self { objects: Objects::new(columns), out: BufWriter::with_capacity(1 << 16, out) }
    }
}

impl<W: Write> RowWriter for Jsonl<W> {
    fn row(&mut self, row: &[ValueRef<'_>]) -> Result<(), ExportError> {
        self.objects.write(row, &mut self.out)?;
        Ok(self.out.write_all(b"\n")?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_values_their_types() {
        let mut file = Vec::new();
        let columns = ["b", "a \"quoted\""].map(str::to_owned);
        let mut jsonl = Box::new(Jsonl::new(&columns, &mut file));
        jsonl.row(&[ValueRef::Real(5.0), ValueRef::Text("line\n, λ".as_bytes())]).unwrap();
        jsonl.row(&[ValueRef::Integer(i64::MIN), ValueRef::Null]).unwrap();
        jsonl.row(&[ValueRef::Real(f64::INFINITY), ValueRef::Blob(&[1])]).unwrap();
        jsonl.finish().unwrap();
        insta::assert_snapshot!(String::from_utf8(file).unwrap(), @r#"
        {"b":5.0,"a \"quoted\"":"line\n, λ"}
        {"b":-9223372036854775808,"a \"quoted\"":null}
        {"b":null,"a \"quoted\"":"01"}
        "#);
    }
}
