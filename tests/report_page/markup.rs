//! Reads the page as far as the tests need it: its own markup, in which `<` and `>` stand for nothing else.

use std::collections::HashMap;

/// A tag and the text that follows it.
pub struct Tag<'a> {
    /// Such as `td` or `/td`.
    pub name: &'a str,
    pub attributes: HashMap<&'a str, String>,
    pub text: String,
}

/// The tags of a page without its style, script and drawings.
pub fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut inside: Option<&str> = None;
    for part in page.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        let name = tag.split([' ', '\n']).next().unwrap();
        match inside {
            Some(of) if name.strip_prefix('/') == Some(of) => inside = None,
            Some(_) => continue,
            None if ["style", "script", "svg"].contains(&name) => inside = Some(name),
            None => tags.push(Tag { name, attributes: attributes(tag), text: plain(text) }),
        }
    }
    tags
}

fn attributes(tag: &str) -> HashMap<&str, String> {
    let mut found = HashMap::new();
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.rsplit([' ', '"']).next().unwrap();
        let (value, behind) = after.split_once('"').unwrap();
        found.insert(name, plain(value));
        rest = behind;
    }
    found
}

fn plain(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&amp;", "&")
}

/// A number with the query behind it.
pub struct Number {
    pub text: String,
    /// Every digit, and the ends of the interval, where the page has them.
    pub digits: [Option<f64>; 3],
    pub sql: String,
}

/// Every number with a query, put together from its row and its column as the page's script does.
pub fn numbers(page: &str) -> Vec<Number> {
    let mut columns: Vec<HashMap<&str, String>> = Vec::new();
    let (mut row, mut cell) = (HashMap::new(), 0);
    let mut numbers = Vec::new();
    for tag in tags(page) {
        let queried = tag.attributes.get("class").map(String::as_str) == Some("q");
        match tag.name {
            "colgroup" => columns.clear(),
            "col" => columns.push(tag.attributes),
            "tr" => (row, cell) = (tag.attributes, 0),
            "th" => cell += 1,
            "td" | "span" => {
                if queried {
                    let own = tag.attributes.get("data-sql").cloned();
                    let sql = own.unwrap_or_else(|| {
                        let column = &columns[cell];
                        let view = format!("data-{}", column["data-view"]);
                        column["data-sql"].replacen("{}", &row[view.as_str()], 1)
                    });
                    let digits = ["data-value", "data-lower", "data-upper"]
                        .map(|name| tag.attributes.get(name).map(|text| text.parse().unwrap()));
                    numbers.push(Number { text: tag.text, digits, sql });
                }
                if tag.name == "td" {
                    cell += 1;
                }
            }
            _ => {}
        }
    }
    numbers
}

/// What is read of the page, a line for each heading, paragraph, item or row.
pub fn text(page: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for tag in tags(page) {
        let before = match tag.name {
            "h1" => "# ",
            "h2" => "## ",
            "h3" => "### ",
            "li" => "- ",
            "tr" => "|",
            "caption" => "Table: ",
            "figcaption" => "Figure: ",
            "p" | "pre" | "summary" | "legend" => "",
            "th" | "td" => {
                lines.last_mut().unwrap().push_str(&format!(" {} |", tag.text));
                continue;
            }
            _ => {
                if let Some(line) = lines.last_mut() {
                    line.push_str(&tag.text.replace('\n', " "));
                }
                continue;
            }
        };
        lines.push(format!("{before}{}", tag.text));
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).filter(|l| !l.is_empty()).collect();
    lines.join("\n")
}

/// The text of one section.
pub fn section(page: &str, id: &str) -> String {
    let start = page.find(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
    let rest = &page[start..];
    let next = rest[1..].find("<section id=").unwrap_or(rest.len() - 1);
    let end = rest.find("</main>").unwrap_or(rest.len());
    text(&rest[..end.min(next + 1)])
}
