//! Tables for LaTeX with booktabs and siunitx. What is wider than a page is continued in a further table.

use crate::report::document::{Cell, Column, Document, Part, Table};
use std::fmt::Write as _;
use std::ops::Range;

/// Characters abreast that fit a page at `\footnotesize`, where it is turned.
const WIDTH: usize = 150;
/// White space between columns, in characters.
const GAP: usize = 2;

const PREAMBLE: &str = "\\documentclass[a4paper]{article}\n\
    \\usepackage[utf8]{inputenc}\n\
    \\usepackage[T1]{fontenc}\n\
    \\IfFileExists{lmodern.sty}{\\usepackage{lmodern}}{}\n\
    \\usepackage{textcomp}\n\
    \\usepackage[landscape, margin=15mm]{geometry}\n\
    \\setlength{\\belowcaptionskip}{6pt}\n";
const PACKAGES: &str = "\\usepackage{booktabs}\n\
    \\usepackage{siunitx}\n\
    \\sisetup{separate-uncertainty = true, detect-all}\n";

pub(super) fn write(documents: &[Document], standalone: bool) -> String {
    let mut out = match standalone {
        true => format!("{PREAMBLE}{PACKAGES}\\begin{{document}}\n"),
        false => {
            let needs: String = PACKAGES.lines().map(|line| format!("%   {line}\n")).collect();
            format!("% Needs in the preamble:\n{needs}")
        }
    };
    for document in documents {
        for (title, table) in document.tables() {
            let panels = panels(table);
            for (at, columns) in panels.iter().enumerate() {
                let continued = if at > 0 { " (continued)" } else { "" };
                let title = format!("{title}{continued}");
                out += &written(table, columns.clone(), &title, &footnotes(document, table));
            }
        }
        let sentences = sentences(document);
        match standalone {
            true => out += &sentences,
            // For who writes the caption; a paper has its own words.
            false => out.extend(
                sentences.lines().map(|line| format!("% {line}").trim_end().to_owned() + "\n"),
            ),
        }
    }
    if standalone {
        out += "\\end{document}\n";
    }
    out
}

/// Columns of each part of a table that fits a page; spans stay whole.
fn panels(table: &Table) -> Vec<Range<usize>> {
    let rows = || table.groups.iter().flat_map(|group| &group.rows);
    let width = |text: &str| text.chars().count();
    let stub = rows().map(|row| width(&row.marked())).max().unwrap_or(0).max(width(&table.stub));
    let column = |at: usize| {
        let cells = rows().map(|row| width(&row.cells[at].text())).max().unwrap_or(0);
        GAP + cells.max(width(&table.columns[at].title))
    };
    let (mut panels, mut open) = (Vec::new(), 0..0);
    let mut used = stub;
    let mut start = 0;
    for (_, count) in table.spans() {
        let own: usize = (start..start + count).map(column).sum();
        if used + own > WIDTH && !open.is_empty() {
            panels.push(open);
            open = start..start;
            used = stub;
        }
        open.end = start + count;
        used += own;
        start += count;
    }
    panels.push(open);
    panels
}

/// Those notes of a document that the numbers beside the rows of a table are about.
fn footnotes(document: &Document, table: &Table) -> String {
    let notes = document.parts.iter().filter_map(|part| match part {
        Part::Notes(notes) => Some(&notes.items),
        _ => None,
    });
    let rows = || table.groups.iter().flat_map(|group| &group.rows);
    let belongs = |note: &&String| {
        rows().flat_map(|row| &row.marks).any(|mark| note.starts_with(&format!("[{mark}] ")))
    };
    let lines = notes.flatten().filter(belongs).map(|note| {
        format!("\\par\\smallskip\\parbox{{\\linewidth}}{{\\raggedright {}}}\n", escaped(note))
    });
    lines.collect()
}

/// The table environment with some of the columns, and what stands below it.
fn written(table: &Table, columns: Range<usize>, caption: &str, below: &str) -> String {
    let part = Table::plain(&table.stub, table.columns[columns.clone()].to_vec(), Vec::new());
    let alignment = "r".repeat(columns.len());
    let mut out = format!(
        "\\begin{{table}}[htbp]\n\\centering\n\\footnotesize\n\\setlength{{\\tabcolsep}}{{4pt}}\n\
         \\caption{{{}}}\n\\begin{{tabular}}{{l{alignment}}}\n\\toprule\n",
        escaped(caption)
    );
    out += &header(&part);
    out += "\\midrule\n";
    for (at, group) in table.groups.iter().enumerate() {
        if at > 0 {
            out += "\\addlinespace\n";
        }
        if let Some(label) = &group.label {
            let width = columns.len() + 1;
            let _ =
                writeln!(out, "\\multicolumn{{{width}}}{{l}}{{\\emph{{{}}}}} \\\\", escaped(label));
        }
        for row in &group.rows {
            let cells: String =
                row.cells[columns.clone()].iter().map(|of| format!(" & {}", cell(of))).collect();
            // A bracket after the end of a line would be read as a length.
            let _ = writeln!(out, "{{}}{}{cells} \\\\", escaped(&row.marked()));
        }
    }
    format!("{out}\\bottomrule\n\\end{{tabular}}\n{below}\\end{{table}}\n\n")
}

fn header(table: &Table) -> String {
    let mut out = String::new();
    if table.has_spans() {
        let mut rules = String::new();
        let mut start = 2;
        for (span, width) in table.spans() {
            let end = start + width - 1;
            match span {
                Some(span) => {
                    let _ = write!(out, " & \\multicolumn{{{width}}}{{c}}{{{}}}", escaped(span));
                    let _ = write!(rules, "\\cmidrule(lr){{{start}-{end}}}");
                }
                None => out += " &",
            }
            start = end + 1;
        }
        out = format!("{out} \\\\\n{rules}\n");
    }
    let title = |column: &Column| format!(" & {}", escaped(&column.title));
    let titles: String = table.columns.iter().map(title).collect();
    format!("{out}{}{titles} \\\\\n", escaped(&table.stub))
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Blank => String::new(),
        Cell::Missing => "{--}".to_owned(),
        Cell::Text(text) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => format!("\\num{{{text}}}"),
            _ => escaped(text),
        },
        Cell::Number(..) => format!("\\num{{{}}}", cell.text()),
        Cell::Estimate(estimate, decimals) => match estimate.ends() {
            _ if estimate.ambiguous => escaped(&estimate.text(*decimals)),
            Some((lower, upper)) if estimate.skewed => format!(
                "\\num{{{:.decimals$}}} [\\num{{{lower:.decimals$}}}, \\num{{{upper:.decimals$}}}]",
                estimate.mean
            ),
            Some((lower, upper)) => {
                format!(
                    "\\num{{{:.decimals$} +- {:.decimals$}}}",
                    estimate.mean,
                    (upper - lower) / 2.0
                )
            }
            None => format!("\\num{{{:.decimals$}}}", estimate.mean),
        },
    }
}

/// Paragraphs and notes, below the tables that they are about.
fn sentences(document: &Document) -> String {
    let mut out = String::new();
    for part in &document.parts {
        match part {
            Part::Paragraph(text) => {
                let _ = writeln!(out, "{}\n", escaped(text));
            }
            Part::Notes(notes) if !notes.items.is_empty() => {
                if let Some(title) = &notes.title {
                    let _ = writeln!(out, "\\paragraph{{{}}}", escaped(title));
                }
                if let Some(intro) = &notes.intro {
                    let _ = writeln!(out, "{}", escaped(intro));
                }
                out += "\\begin{itemize}\n";
                for item in &notes.items {
                    // A bracket first would be read as the item's sign.
                    let _ = writeln!(out, "\\item {{}}{}", escaped(item));
                }
                out += "\\end{itemize}\n\n";
            }
            _ => {}
        }
    }
    out
}

/// Text in which LaTeX finds no commands; what stands between backticks is set as code.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let (mut code, mut quoting) = (false, false);
    for c in text.chars() {
        match c {
            '`' => {
                out += if code { "}" } else { "\\texttt{" };
                code = !code;
            }
            '"' => {
                out += if quoting { "''" } else { "``" };
                quoting = !quoting;
            }
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '<' => out += "\\textless{}",
            '>' => out += "\\textgreater{}",
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            'ε' => out += "$\\varepsilon$",
            'λ' => out += "$\\lambda$",
            'θ' => out += "$\\theta$",
            '±' => out += "$\\pm$",
            '−' => out += "$-$",
            '∞' => out += "$\\infty$",
            '≤' => out += "$\\le$",
            '≥' => out += "$\\ge$",
            '–' => out += "--",
            '…' => out += "\\dots{}",
            // The fonts of a plain set-up have what Western European languages write.
            ' '..='\u{17f}' => out.push(c),
            _ => {
                let _ = write!(out, "(U+{:04X})", u32::from(c));
            }
        }
    }
    if code {
        out.push('}');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_latex_would_read_as_commands_is_escaped() {
        insta::assert_snapshot!(
            escaped("50 % of `fgsm_l1` at ε=0.1 is \"all\" {x} \\y 漢 ~"),
            @r"50 \% of \texttt{fgsm\_l1} at $\varepsilon$=0.1 is ``all'' \{x\} \textbackslash{}y (U+6F22) \textasciitilde{}"
        );
        assert_eq!(escaped("`open"), "\\texttt{open}");
    }
}
