//! Tables in GitHub's Markdown, aligned so that they read as plain text too.

/// Lays out a table: the first column to the left, the others to the right. Every row has as many
/// cells as the header.
pub fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let cell = |text: &String| text.replace('|', "\\|");
    let lines: Vec<Vec<String>> = std::iter::once(header)
        .chain(rows.iter().map(Vec::as_slice))
        .map(|cells| cells.iter().map(cell).collect())
        .collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|c| lines.iter().map(|line| line[c].chars().count()).max().unwrap_or(0).max(3))
        .collect();
    let mut out = String::new();
    for (i, line) in lines.iter().enumerate() {
        for (c, (text, &width)) in line.iter().zip(&widths).enumerate() {
            out +=
                &if c == 0 { format!("| {text:<width$} ") } else { format!("| {text:>width$} ") };
        }
        out += "|\n";
        if i == 0 {
            for (c, &width) in widths.iter().enumerate() {
                out += &match c {
                    0 => format!("| {} ", "-".repeat(width)),
                    _ => format!("| {}: ", "-".repeat(width - 1)),
                };
            }
            out += "|\n";
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_line_up_and_those_in_cells_are_escaped() {
        let text = |cells: &[&str]| -> Vec<String> { cells.iter().map(|&c| c.into()).collect() };
        let rows = [text(&["ε = 0.1", "1.25 ± 0.10"]), text(&["a|b", "2"])];
        insta::assert_snapshot!(table(&text(&["attack", "NDCG"]), &rows), @r"
        | attack  |        NDCG |
        | ------- | ----------: |
        | ε = 0.1 | 1.25 ± 0.10 |
        | a\|b    |           2 |
        ");
    }
}
