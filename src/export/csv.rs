//! Comma-separated values as RFC 4180 has them, with a header, but for the ends of lines: a line feed.

use super::{ExportError, RowWriter, text};
use rusqlite::types::ValueRef;
use std::io::{self, BufWriter, Write};

/// A CSV file; NULL is an empty field.
pub struct Csv<W: Write>(BufWriter<W>);

impl<W: Write> Csv<W> {
    /// Begins the file with its header.
    ///
    /// # Errors
    /// If the file does not take it.
    pub fn new(columns: &[String], out: W) -> io::Result<Self> {
        let mut csv = Self(BufWriter::with_capacity(1 << 16, out));
        csv.line(columns.iter().map(String::as_str))?;
        Ok(csv)
    }

    fn line<T: AsRef<str>>(&mut self, fields: impl Iterator<Item = T>) -> io::Result<()> {
        for (index, field) in fields.enumerate() {
            let field = field.as_ref();
            if index > 0 {
                self.0.write_all(b",")?;
            }
            if field.contains([',', '"', '\n', '\r']) {
                write!(self.0, "\"{}\"", field.replace('"', "\"\""))?;
            } else {
                self.0.write_all(field.as_bytes())?;
            }
        }
        self.0.write_all(b"\n")
    }
}

impl<W: Write> RowWriter for Csv<W> {
    fn row(&mut self, row: &[ValueRef<'_>]) -> Result<(), ExportError> {
        Ok(self.line(row.iter().map(|&value| text(value)))?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        Ok(self.0.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_field_is_quoted() {
        let mut file = Vec::new();
        let mut csv = Box::new(Csv::new(&["a,b".to_owned(), "c".to_owned()], &mut file).unwrap());
        csv.row(&[ValueRef::Text(b"say \"no\""), ValueRef::Real(0.1 + 0.2)]).unwrap();
        csv.row(&[ValueRef::Text("two\nlines, λ".as_bytes()), ValueRef::Null]).unwrap();
        csv.row(&[ValueRef::Blob(&[0, 255]), ValueRef::Integer(-3)]).unwrap();
        csv.finish().unwrap();
        insta::assert_snapshot!(String::from_utf8(file).unwrap(), @r#"
        "a,b",c
        "say ""no""",0.30000000000000004
        "two
        lines, λ",
        00ff,-3
        "#);
    }
}
