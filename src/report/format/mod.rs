//! The formats of reports, one file each.

mod csv;
pub(super) mod html;
mod latex;
mod markdown;
mod terminal;

use super::document::Document;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Plain text of about 100 columns
    Terminal,
    /// GitHub's Markdown
    Markdown,
    /// One line a number, with every digit
    Csv,
    /// Tables for LaTeX with booktabs and siunitx
    Latex,
    /// Tables for a web page
    Html,
}

impl Format {
    /// The format that the extension of a file's name stands for.
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "txt" => Some(Self::Terminal),
            "md" | "markdown" => Some(Self::Markdown),
            "csv" => Some(Self::Csv),
            "tex" => Some(Self::Latex),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }

    /// The documents one after the other; `standalone`: LaTeX and HTML that need nothing around them.
    pub fn write(self, documents: &[Document], standalone: bool) -> String {
        match self {
            Self::Terminal => joined(documents, terminal::write),
            Self::Markdown => joined(documents, markdown::write),
            Self::Csv => csv::write(documents),
            Self::Latex => latex::write(documents, standalone),
            Self::Html => html::write(documents, standalone),
        }
    }
}

/// Texts with an empty line between them.
fn joined(documents: &[Document], write: fn(&Document) -> String) -> String {
    let texts: Vec<String> = documents.iter().map(write).collect();
    texts.join("\n")
}
