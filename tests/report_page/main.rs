//! `advrec report --page`: one HTML file with the whole report.

mod browser;
mod database;
#[path = "../lab/mod.rs"]
mod lab;
mod markup;
#[path = "../swept/mod.rs"]
mod swept;

use advrec::report::Page;
use browser::Browser;
use lab::Lab;
use rusqlite::Connection;
use rusqlite::types::Value as Sql;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;

/// The page of a folder's database, and what was said on standard error.
fn page(lab: &Lab, arguments: &[&str]) -> (String, String) {
    let output = lab.run(&[&["report", "--page", "page.html"], arguments].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    (fs::read_to_string(lab.path("page.html")).unwrap(), stderr)
}

fn paged() -> Lab {
    let lab = Lab::new();
    database::sweep_everything(&lab.path(""));
    lab
}

/// The database with its views as tables of the same names, which answers many queries faster.
fn quick(lab: &Lab) -> Connection {
    let db = Connection::open(lab.path("advrec.db")).unwrap();
    for view in ["table1", "table2", "drift", "flags", "runs"] {
        db.execute_batch(&format!("CREATE TEMP TABLE {view} AS SELECT * FROM main.{view}"))
            .unwrap();
    }
    db
}

/// The rows that a query gives.
fn rows(db: &Connection, sql: &str) -> Vec<Vec<Sql>> {
    let mut statement = db.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at)).collect()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A value as a cell shows it: to as many decimals as the cell's text has.
fn shown(value: &Sql, text: &str) -> String {
    match value {
        Sql::Text(text) => text.clone(),
        Sql::Integer(number) => number.to_string(),
        Sql::Real(number) => {
            let decimals = text.split_once('.').map_or(0, |(_, digits)| digits.len());
            format!("{number:.decimals$}")
        }
        other => panic!("no number: {other:?}"),
    }
}

#[test]
fn every_query_gives_the_number_that_it_is_behind() {
    let lab = paged();
    let (page, _) = page(&lab, &[]);
    let db = quick(&lab);
    let numbers = markup::numbers(&page);
    let mut views = BTreeSet::new();
    for number in &numbers {
        let found = rows(&db, &number.sql);
        assert_eq!(found.len(), 1, "{}: {}", number.text, number.sql);
        let values = &found[0];
        for (digits, value) in number.digits.iter().zip(values) {
            if let Some(digits) = digits {
                assert_eq!(*value, Sql::Real(*digits), "{}", number.sql);
            }
        }
        let text = number.text.split(" ±").next().unwrap().replace('−', "-").replace('+', "");
        let of_two = || format!("{}–{}", shown(&values[0], ""), shown(&values[1], ""));
        let fits = shown(&values[0], &text) == text || (text.contains('–') && of_two() == text);
        // What rounds to zero has no sign.
        let fits = fits || shown(&values[0], &text) == format!("-{text}");
        assert!(fits, "{} is not {values:?} of {}", number.text, number.sql);
        views.extend(
            ["table1", "table2", "drift", "flags", "runs", "cells"]
                .into_iter()
                .filter(|view| number.sql.contains(&format!(" FROM {view} "))),
        );
    }
    assert!(numbers.len() > 500, "{} numbers", numbers.len());
    assert_eq!(views.len(), 6, "{views:?}");
}

/// The page opens in a browser without a complaint, and asks for nothing but itself.
fn opens_alone(browser: &mut Browser, lab: &Lab) {
    browser.open(&lab.path("page.html"));
    assert_eq!(browser.told("Runtime.exceptionThrown"), Vec::<&serde_json::Value>::new());
    let messages = browser.told("Runtime.consoleAPICalled");
    let entries = browser.told("Log.entryAdded");
    assert!(messages.is_empty() && entries.is_empty(), "{messages:?} {entries:?}");
    // The font of the figures is in the page, and told as a request all the same.
    let requests = browser.told("Network.requestWillBeSent");
    let requests = requests.iter().map(|of| of["request"]["url"].as_str().unwrap());
    let asked: Vec<&str> = requests.filter(|url| !url.starts_with("data:")).collect();
    assert_eq!(asked, [format!("file://{}", lab.path("page.html").display())]);
    // The first thing that the tab key reaches leads past the table of contents.
    browser.press("Tab");
    assert_eq!(browser.eval("document.activeElement.className"), json!("skip"));
}

/// The labels of the first table's rows, those that are shown, from the top down.
const LABELS: &str = "[...document.querySelectorAll('#table-1 table')[0].tBodies[0].rows]
    .filter(row => !row.hidden).map(row => row.cells[0].textContent)";
/// The values of its column NDCG.
const VALUES: &str = "[...document.querySelectorAll('#table-1 table')[0].tBodies[0].rows]
    .filter(row => !row.hidden).map(row => row.cells[2].dataset.value === undefined ? null
        : Number(row.cells[2].dataset.value))";
const HEADER: &str = "#table-1 table th[data-column='2']";

fn sorts(browser: &mut Browser) {
    let before = browser.eval(LABELS);
    let values = |browser: &mut Browser| -> Vec<f64> {
        let values = browser.eval(VALUES);
        values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let sorted = |browser: &mut Browser| {
        browser.eval(&format!("document.querySelector(\"{HEADER}\").getAttribute('aria-sort')"))
    };
    browser.click(&format!("{HEADER} button"));
    assert_eq!(sorted(browser), json!("ascending"));
    assert!(values(browser).is_sorted());
    // By keyboard: the focus is still there.
    browser.press("Enter");
    assert_eq!(sorted(browser), json!("descending"));
    assert!(values(browser).iter().rev().is_sorted());
    browser.press(" ");
    assert_eq!((sorted(browser), browser.eval(LABELS)), (json!(null), before.clone()));
    // Another column by the tab key, and only one is said to be sorted.
    browser.press("Enter");
    browser.press("Tab");
    browser.press("Enter");
    let all = "[...document.querySelectorAll('#table-1 table')[0].querySelectorAll('[aria-sort]')]
        .map(header => header.textContent)";
    assert_eq!(browser.eval(all), json!(["paper"]));
    // What is missing comes last in either order.
    let blank = "[...document.querySelectorAll('#table-1 table')[0].tBodies[0].rows]
        .map(row => row.cells[3].textContent === '')";
    let last = |browser: &mut Browser| {
        let blank = browser.eval(blank);
        let blank: Vec<bool> =
            blank.as_array().unwrap().iter().map(|b| b == &json!(true)).collect();
        assert!(blank.is_sorted() && blank.contains(&true) && blank.contains(&false), "{blank:?}");
    };
    last(browser);
    browser.press("Enter");
    last(browser);
    browser.press("Enter");
    assert_eq!(browser.eval(LABELS), before);
}

fn filters(browser: &mut Browser) {
    let count =
        |browser: &mut Browser| browser.eval("document.querySelector('#shown').textContent");
    let all = count(browser);
    browser.click("#filters [value=jsma]");
    browser.click("#filters [value=none]");
    let left = "[...new Set([...document.querySelectorAll('#table-1 tr[data-attack], #table-2 tr[data-attack]')]
        .filter(row => row.checkVisibility()).map(row => row.dataset.attack))].sort()";
    assert_eq!(browser.eval(left), json!(["jsma", "none"]));
    let fewer = count(browser);
    let visible = "[...document.querySelectorAll('.scroll tr[data-attack]')]
        .filter(row => row.checkVisibility()).length";
    let visible = browser.eval(visible);
    assert!(fewer.as_str().unwrap().starts_with(&format!("{visible} of ")), "{fewer}");
    // By keyboard: the space bar takes the second away again.
    browser.press(" ");
    assert_eq!(browser.eval(left), json!(["jsma"]));
    browser.click("#filters [type=reset]");
    browser.wait_for(&format!("document.querySelector('#shown').textContent === {all}"));
    browser.click("#filters [value=Amazon_Beauty]");
    let blocks =
        "[...new Set([...document.querySelectorAll('.block')].filter(b => b.checkVisibility())
        .map(block => block.dataset.dataset))]";
    assert_eq!(browser.eval(blocks), json!(["Amazon_Beauty"]));
    let figures =
        "[...document.querySelectorAll('figure')].filter(f => f.checkVisibility()).map(f => f.id)";
    let shown = browser.eval(figures).to_string();
    assert!(
        shown.contains("figure-mmd") && shown.contains("training-paged-Amazon_Beauty"),
        "{shown}"
    );
    assert!(!shown.contains("toys"), "{shown}");
    browser.click("#filters [type=reset]");
    browser.wait_for(&format!("document.querySelector('#shown').textContent === {all}"));
}

fn queries(browser: &mut Browser, lab: &Lab) {
    let open = "document.querySelector('dialog').open";
    let cell = "#table-1 tbody td.q:nth-child(3)";
    let title = "document.querySelector('dialog h2').textContent";
    let sql = "document.querySelector('dialog code').textContent";
    let focus = "document.activeElement.closest('td')?.cellIndex ?? null";
    browser.click(&format!("{cell} > button"));
    assert_eq!(browser.eval(open), json!(true));
    assert_eq!(browser.eval(title), json!("Original: NDCG ours"));
    let query = browser.eval(sql);
    let value = browser.eval(&format!("document.querySelector('{cell}').dataset.value"));
    let found = rows(&quick(lab), query.as_str().unwrap());
    assert_eq!(found[0][0], Sql::Real(value.as_str().unwrap().parse().unwrap()));
    let said = browser.eval(&format!("document.querySelector('{cell}').dataset.sql"));
    assert_eq!(said, query);
    browser.press("Escape");
    assert_eq!((browser.eval(open), browser.eval(focus)), (json!(false), json!(2)));
    // By keyboard, from number to number.
    browser.press("ArrowRight");
    browser.press("ArrowDown");
    let at = browser.eval("document.activeElement.closest('tr').rowIndex");
    assert_eq!(
        at,
        browser.eval(&format!("document.querySelector('{cell}').parentElement.rowIndex + 1"))
    );
    browser.press("Enter");
    assert_eq!(browser.eval(open), json!(true));
    assert_ne!(browser.eval(sql), query);
    browser.press("Escape");
    assert_eq!(browser.eval(open), json!(false));
    // What the script puts together is what these tests do, which ask the database for all of it.
    let some = "[...document.querySelectorAll('.q')].filter((_, at) => at % 23 === 0).map(number => {
        number.firstChild.click(); document.querySelector('dialog').close(); return number.dataset.sql; })";
    let some = browser.eval(some);
    let page = fs::read_to_string(lab.path("page.html")).unwrap();
    let known = markup::numbers(&page).into_iter().step_by(23).map(|number| number.sql);
    assert_eq!(some, json!(known.collect::<Vec<String>>()));
}

/// Everything that can be used has a name, and everything has a place under a heading of the right level.
fn is_accessible(browser: &mut Browser) {
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let used = |node: &&serde_json::Value| {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        ["button", "link", "checkbox", "navigation", "region", "table", "image"].contains(&role)
            && node["ignored"] == json!(false)
            && node["name"]["value"].as_str().unwrap_or_default().trim().is_empty()
    };
    let nameless: Vec<_> = nodes.iter().filter(used).collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    let boxes =
        "[...document.querySelectorAll('.scroll')].every(box => box.getAttribute('aria-label'))";
    assert_eq!(browser.eval(boxes), json!(true));
    let levels = browser.eval(
        "[...document.querySelectorAll('h1, h2, h3, h4')]
        .filter(h => !h.closest('dialog')).map(h => Number(h.localName[1]))",
    );
    let levels: Vec<i64> = levels.as_array().unwrap().iter().map(|l| l.as_i64().unwrap()).collect();
    assert_eq!(levels[0], 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    let ids = "(() => { const ids = [...document.querySelectorAll('[id]')].map(of => of.id);
        return ids.filter((id, at) => ids.indexOf(id) !== at); })()";
    assert_eq!(browser.eval(ids), json!([]));
    let targets = "[...document.querySelectorAll('a[href^=\"#\"]')].map(link => link.hash.slice(1))
        .filter(id => !document.getElementById(id))";
    assert_eq!(browser.eval(targets), json!([]));
}

/// Nothing but tables and drawings is wider than the window, and all text stands out from what is behind it.
fn fits(browser: &mut Browser) {
    for (width, scheme) in [(360, "light"), (360, "dark"), (800, "dark"), (1400, "light")] {
        browser.show(width, 800, scheme);
        let widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]";
        let widths = browser.eval(widths);
        assert_eq!(widths, json!([width, width]), "{scheme}");
        let weak = browser.eval(CONTRAST);
        assert_eq!(weak, json!([]), "{scheme}");
    }
    // The labels of a table's rows stay where they are when it is scrolled.
    browser.show(360, 800, "light");
    let kept = "(() => { const box = document.querySelector('#table-1 .scroll');
        const label = box.querySelector('tbody th'), before = label.getBoundingClientRect().x;
        box.scrollLeft = 200;
        return [box.scrollLeft, label.getBoundingClientRect().x - before]; })()";
    assert_eq!(browser.eval(kept), json!([200, 0]));
}

/// Texts whose contrast is below 4.5.
const CONTRAST: &str = r"(() => {
    const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
    const behind = (of) => {
        for (let at = of; at; at = at.parentElement) {
            const colour = parts(getComputedStyle(at).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const light = (colour) => colour.slice(0, 3).map((c) => c / 255)
        .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
    const weak = [];
    for (const of of document.querySelectorAll('body *:not(svg, svg *, script)')) {
        if (![...of.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !of.checkVisibility()) continue;
        const [a, b] = [light(parts(getComputedStyle(of).color)), light(behind(of))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) weak.push(`${of.localName} ${of.textContent.slice(0, 30)}: ${contrast}`);
    }
    return weak;
})()";

#[test]
fn a_browser_shows_it_sorts_it_and_filters_it() {
    let Some(mut browser) = Browser::start() else { return };
    let lab = paged();
    page(&lab, &[]);
    browser.show(1200, 900, "light");
    opens_alone(&mut browser, &lab);
    sorts(&mut browser);
    filters(&mut browser);
    queries(&mut browser, &lab);
    is_accessible(&mut browser);
    fits(&mut browser);
    // What is open on paper.
    browser.call("Emulation.setEmulatedMedia", json!({"media": "print"}));
    let hidden =
        "['nav', '#filters', '.skip'].filter(of => document.querySelector(of).checkVisibility())";
    assert_eq!(browser.eval(hidden), json!([]));
    assert!(browser.told("Runtime.exceptionThrown").is_empty());
}

#[test]
fn the_page_has_a_place_for_everything() {
    let lab = paged();
    let (page, _) = page(&lab, &[]);
    let outline: Vec<String> = markup::text(&page)
        .lines()
        .filter(|line| {
            line.starts_with('#') || line.starts_with("Table: ") || line.starts_with("Figure: ")
        })
        .map(|line| line.chars().take(90).collect())
        .collect();
    insta::assert_snapshot!(outline.join("\n"), @r#"
    # Results of the grid paged
    ## Summary of findings
    ### Amazon_Beauty (grid paged, all users)
    ### O'Neill "toys" <&> (grid paged, all users)
    ### How far it is
    ## Table 1: ranking under attack
    ### Amazon_Beauty (grid paged, all users)
    Table: Amazon_Beauty (grid paged, all users)
    Table: change against the clean agent (valid, in percent of its number)
    Table: verdict on the paper's number
    Table: Attacks at chosen time steps
    Table: Drift between all attacks
    ### O'Neill "toys" <&> (grid paged, all users)
    Table: O'Neill "toys" <&> (grid paged, all users)
    Table: change against the clean agent (valid, in percent of its number)
    Table: Attacks at chosen time steps
    Table: Drift between all attacks
    ### Flags
    ### How to read it
    ## Table 2: detection of attacked paths
    ### Amazon_Beauty (grid paged, all users, actor_critic)
    Table: gru_attention trained on fgsm_l1 ε=0.1
    Table: gru_attention trained on fgsm_l1 ε=0.1: verdict on the paper's number
    Table: logistic trained on fgsm_l1 ε=0.1
    Table: F1 by method, trained on fgsm_l1 ε=0.1
    Table: AUROC by method, trained on fgsm_l1 ε=0.1
    ### O'Neill "toys" <&> (grid paged, all users, actor_critic)
    Table: gru_attention trained on fgsm_l1 ε=0.1
    Table: logistic trained on fgsm_l1 ε=0.1
    Table: F1 by method, trained on fgsm_l1 ε=0.1
    Table: AUROC by method, trained on fgsm_l1 ε=0.1
    ### How to read Table 2
    ## Figures
    Figure: figure2 NDCG over users with a full list against the realised share of attacked ti
    Figure: mmd Maximum mean discrepancy (square root of the biased estimate) between the acti
    Figure: training-paged-Amazon_Beauty Trainings of the grid paged on Beauty: means over see
    Figure: training-paged-O-Neill--toys----- Trainings of the grid paged on O'Neill "toys" <&
    ### Not drawn
    ## Flags
    Table: Amazon_Beauty (grid paged, all users)
    Table: O'Neill "toys" <&> (grid paged, all users)
    ## Failures
    ## Missing
    ### Results without a number
    ## Provenance
    Table: What the results were made with
    ### Grid paged
    ## Queries
    "#);
    insta::assert_snapshot!(markup::section(&page, "summary"), @r#"
    ## Summary of findings
    ### Amazon_Beauty (grid paged, all users)
    - The clean agent reaches an NDCG of 5.08 ± 0.00 % over users with a full list of ten, 4.57 ± 0.00 % over all users (2 seeds).
    - The strongest attack is fgsm_l1 ε=0.1, value: NDCG −45.6 %, −45.6 % over all users.
    - Not to be told from noise of the same norm and ε (NDCG over all users is not below it, or the 95 % intervals overlap): fgsm_linf ε=0.5, policy.
    - Stronger than noise of the same norm and ε: fgsm_linf ε=0.5, value.
    - Held against no noise, for the grid has none of the same norm, ε and timing: fgsm_l1 ε=0.1, value; jsma, random 0.5, realised 0.500; jsma, random 0.25, realised 0.250.
    - Best detected: fgsm_l1 ε=0.1 by logistic trained on fgsm_l1 ε=0.1, F1 0.717 ± 0.983, AUROC 0.250 ± 2.883.
    ### O'Neill "toys" <&> (grid paged, all users)
    - The clean agent reaches an NDCG of 5.03 ± 0.11 % over users with a full list of ten, 4.53 ± 0.10 % over all users (2 seeds).
    - The strongest attack is fgsm_l1 ε=0.1, value: NDCG −44.8 %, −44.8 % over all users.
    - Not to be told from noise of the same norm and ε (NDCG over all users is not below it, or the 95 % intervals overlap): fgsm_linf ε=0.5, policy.
    - Stronger than noise of the same norm and ε: fgsm_linf ε=0.5, value.
    - Held against no noise, for the grid has none of the same norm, ε and timing: fgsm_l1 ε=0.1, value; jsma, random 0.5, realised 0.500; jsma, random 0.25, realised 0.250.
    - Best detected: fgsm_linf ε=0.5, objective="value" by logistic trained on fgsm_l1 ε=0.1, F1 0.580 ± 0.223, AUROC 0.872 ± 0.935.
    ### How far it is
    - Grid paged: 56 of 56 cells done, 0 failed, 0 still to come.
    - 4 flags of single seeds on 2 results, not to be taken at face value: which and why
    Dataset  Amazon_Beauty  O'Neill "toys" <&>
    Attack  none (clean)  fgsm_l1  fgsm_linf  jsma  noise_linf
    Show all
    "#);
    insta::assert_snapshot!(markup::section(&page, "missing"), @r#"
    ## Missing
    ### Results without a number
    What is undefined or not finite is never stored: a mean over fewer seeds, or none, stands in its place.
    - Amazon_Beauty (grid paged, all users, actor_critic), logistic trained on fgsm_l1 ε=0.1 on noise_linf ε=0.5: no precision.
    - O'Neill "toys" <&> (grid paged, all users, actor_critic), logistic trained on fgsm_l1 ε=0.1 on noise_linf ε=0.5: no precision.
    "#);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(markup::section(&page, "provenance"), @r"
        ## Provenance
        Table: What the results were made with
        | advrec | commit | libtorch | CUDA | device | host | attempts | first | last |
        | 0.1.0 | KEY with uncommitted changes | 2.11.0 | – | a processor | h | 245 | TIME | TIME |
        ### Grid paged
        From grid.yaml, first swept TIME, last TIME; digest KEY.
        The grid as it was swept last
        name: paged dataset: embedded seeds: [1, 2] drift: {compare: all} axes:   embedding.dimension: [20, 21]   detector.method: [gru_attention, logistic]   attack:     - none     - {id: fgsm_l1, epsilon: 0.1}     - {id: fgsm_linf, epsilon: 0.5}     - {id: fgsm_linf, epsilon: 0.5, objective: policy}     - {id: noise_linf, epsilon: 0.5}     - {id: jsma, timing: random, frequency: 0.25}     - {id: jsma, timing: random, frequency: 0.5}
        ");
    });
    // A column and a row, with what the script needs.
    let column = page.lines().find(|line| line.contains("<col data-name=\"NDCG ours\"")).unwrap();
    let column = column.split_inclusive('>').find(|tag| tag.contains("NDCG ours")).unwrap();
    insta::assert_snapshot!(column, @r#"<col data-name="NDCG ours" data-view="table1" data-sql="SELECT value, lower, upper, n FROM table1 WHERE {} AND split = 'valid' AND metric = 'ndcg'">"#);
    let spaced = page.replace('\u{a0}', " ");
    let row = spaced.lines().find(|line| line.contains("<tr data-attack=\"fgsm_l1\"")).unwrap();
    insta::assert_snapshot!(row.split("</td>").take(3).collect::<Vec<_>>().join("</td>\n"), @r#"
    <tr data-attack="fgsm_l1" data-table1="grid = 'paged' AND dataset = 'Amazon_Beauty' AND agent = 'actor_critic' AND attack = 'fgsm_l1' AND epsilon = 0.1" data-drift="grid = 'paged' AND dataset = 'Amazon_Beauty' AND attack = 'fgsm_l1' AND epsilon = 0.1"><th scope="row">fgsm_l1 ε=0.1, value</th><td class="q">2</td>
    <td data-value="2.7628381780727858" data-lower="2.6642092548485534" data-upper="2.861467101297018" class="q">2.763 ± 0.099</td>
    <td data-value="2.695">2.695
    "#);
    // Without scripts nothing is there that would need one.
    let still = page.split("<script>").next().unwrap();
    assert_eq!(still.matches("<button").count(), 1);
    assert!(still.contains("<form id=\"filters\" aria-label=\"Filters\" hidden>"));
    // The same database gives the same page.
    let (again, _) = self::page(&lab, &["--format", "csv"]);
    assert!(page == again);
}

#[test]
fn what_runs_stands_first_and_each_page_is_of_its_own_moment() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "6", "--jobs", "1"]);
    let reader = Connection::open(lab.path("advrec.db")).unwrap();
    let before =
        Page::read(&reader, None).unwrap().to_html(Some("<section id=\"live\"></section>\n"));
    assert!(
        before.contains(
            "<main id=\"main\" tabindex=\"-1\">\n<section id=\"live\"></section>\n<section"
        )
    );
    // It may ask the server that it came from, and the file may ask nobody.
    let asks = |page: &str| page.contains("connect-src 'self'");
    assert!(asks(&before) && !asks(&Page::read(&reader, None).unwrap().to_html(None)));
    let writer = Connection::open(lab.path("advrec.db")).unwrap();
    writer.execute("UPDATE grids SET name = 'another'", []).unwrap();
    let after = Page::read(&reader, None).unwrap().to_html(None);
    assert!(
        before.contains("Results of the grid noop-6")
            && after.contains("Results of the grid another")
    );
}

const FILTERS: [(&str, &str); 2] =
    [(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:[\d.]+Z| UTC)", "TIME"), (r"[0-9a-f]{12}", "KEY")];

#[test]
fn an_empty_database_says_what_to_type() {
    let lab = Lab::new();
    drop(advrec::store::Database::open(&lab.path("advrec.db")).unwrap());
    let (page, _) = page(&lab, &[]);
    let text = markup::text(&page);
    let missing = markup::section(&page, "missing");
    let figures = markup::section(&page, "figures");
    insta::assert_snapshot!(text.replace(&missing, "…").replace(&figures, "…"), @r#"
    # No results yet
    advrec 0.1.0
    - Summary of findings
    - Table 1: ranking under attack
    - Figures
    - Flags
    - Failures
    - Missing
    - Provenance
    - Queries
    ## Summary of findings
    No cell is finished, so there is nothing to say of results yet.
    ### How far it is
    - The database has no grid. Run advrec sweep GRID.yaml first.
    ## Table 1: ranking under attack
    No cell is finished, so there is nothing to show yet.
    The database has no grid. Run advrec sweep GRID.yaml first.
    …
    ## Flags
    There is no result yet that could have one.
    ## Failures
    No attempt failed or lost its worker.
    …
    ## Provenance
    No attempt has said yet what made it.
    ## Queries
    The numbers are means over seeds from the views of the database, whose columns docs/views.md lists. With scripts, a number that is underlined shows the query that gives it: click it, or reach the table with the tab key, move with the arrow keys and press Enter. Without scripts, or for other questions:
    advrec query "SELECT attack, epsilon, metric, value, lower, upper, n FROM table1 WHERE split = 'valid'" advrec query "SELECT method, trained_on, attack, metric, value FROM table2" advrec export table1 --help
    A query of this page gives the mean, the ends of its 95 % interval, and the number of seeds or stages that it is of.
    "#);
    insta::assert_snapshot!(missing, @r"
    ## Missing
    The database has no grid. Run advrec sweep GRID.yaml first; experiments/quickstart.yaml is the smallest.
    ");
}

#[test]
fn failures_alone_are_told_with_their_errors_and_logs() {
    let lab = Lab::new();
    let params = r#"{"0": {"fail": true}, "1": {"crash": true}}"#;
    lab.sweep(&["--noop", "6", "--jobs", "1", "--back-off", "10ms", "--noop-params", params]);
    let (page, _) = page(&lab, &[]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(markup::section(&page, "summary"), @r"
        ## Summary of findings
        No cell is finished, so there is nothing to say of results yet.
        ### How far it is
        - Grid noop-6: 0 of 2 cells done, 2 failed, 0 still to come.
        - 0 flags on results.
        ");
        insta::assert_snapshot!(markup::section(&page, "failures"), @r"
        ## Failures
        Attempts that failed or lost their worker, the last first: 4.
        Type advrec why KEY for the history of a stage, advrec rerun --failed to try again what is still failed.
        - noop KEY lost its worker, the stage is failed TIME
        the worker was lost (killed by signal 6, SIGABRT)
        Log: .advrec/logs/KEY-3.log
        Last lines of the log
        about to crash crashing on request
        - noop KEY lost its worker, the stage is failed TIME
        the worker was lost (killed by signal 6, SIGABRT)
        Log: .advrec/logs/KEY-2.log
        Last lines of the log
        about to crash crashing on request
        - noop KEY lost its worker, the stage is failed TIME
        the worker was lost (killed by signal 6, SIGABRT)
        Log: .advrec/logs/KEY-1.log
        Last lines of the log
        about to crash crashing on request
        - noop KEY failed, the stage is failed TIME
        failing on request
        Log: .advrec/logs/KEY-1.log
        Last lines of the log
        failing on request
        ");
        insta::assert_snapshot!(markup::section(&page, "missing"), @r"
        ## Missing
        - Grid noop-6: 0 of 2 cells done, 2 failed, 0 still to come.
        - advrec why NUMBER says why a cell of the grid noop-6 has no result, advrec rerun --failed tries the failed ones again, and advrec sweep does what is left.
        Table: Cells of noop-6 without a result, with their stages by state
        | cell | number | failed | blocked | running | pending |
        | index=4 | 1 | 1 | 2 | 0 | 0 |
        | index=5 | 2 | 1 | 2 | 0 | 0 |
        ");
    });
}

/// Ten results of one seed, of which one has no NDCG over users with a full list and one is not there yet.
#[test]
fn one_seed_and_numbers_that_are_missing_are_told() {
    let lab = Lab::new();
    let grid = "
        name: single
        dataset: embedded
        rollout: {direct: false}
        axes:
          attack: [none, {id: fgsm_l1, epsilon: 0.1}, {id: fgsm_linf, epsilon: 0.5}]
    ";
    let plan = database::sweep(&lab.path(""), grid);
    let db = Connection::open(lab.path("advrec.db")).unwrap();
    let of_cell = |cell: usize| {
        let stages = plan.cells[cell].stages.iter().map(|&at| &plan.stages[at]);
        let ranking = stages.clone().find(|stage| stage.stage.kind.name() == "ranking").unwrap();
        ranking.key.to_string()
    };
    let gone =
        db.execute("DELETE FROM metrics WHERE stage_key = ? AND split = 'valid'", [of_cell(1)]);
    assert_eq!(gone.unwrap(), 4);
    db.execute("DELETE FROM metrics WHERE stage_key = ?", [of_cell(2)]).unwrap();
    db.execute("UPDATE stages SET state = 'pending' WHERE key = ?", [of_cell(2)]).unwrap();
    let (page, _) = page(&lab, &["--grid", "single"]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(markup::section(&page, "summary"), @r"
        ## Summary of findings
        ### embedded (grid single, all users)
        - The clean agent reaches an NDCG of 5.03 % over users with a full list of ten, 4.53 % over all users (one seed).
        - No attack has an NDCG over users with a full list.
        - Held against no noise, for the grid has none of the same norm, ε and timing: fgsm_l1 ε=0.1, value.
        - There is one seed, so no mean has an interval over seeds; seeds: [1, 2, 3] in the grid gives some.
        ### How far it is
        - Grid single: 2 of 3 cells done, 0 failed, 1 still to come.
        - 0 flags on results.
        Attack  none (clean)  fgsm_l1
        Show all
        ");
        insta::assert_snapshot!(markup::section(&page, "missing"), @r"
        ## Missing
        - Grid single: 2 of 3 cells done, 0 failed, 1 still to come.
        - Run advrec sweep grid.yaml to go on with the grid single.
        Table: Cells of single without a result, with their stages by state
        | cell | number | failed | blocked | running | pending |
        | attack=fgsm_linf epsilon=0.5 seed=1 | 3 | 0 | 0 | 0 | 1 |
        ### Results without a number
        What is undefined or not finite is never stored: a mean over fewer seeds, or none, stands in its place.
        - embedded (grid single, all users), fgsm_l1 ε=0.1, value: no NDCG over users with a full list; where no user gets one, it is undefined.
        ");
    });
    let db = quick(&lab);
    for number in markup::numbers(&page) {
        assert_eq!(rows(&db, &number.sql).len(), 1, "{}", number.sql);
    }
}

#[test]
fn the_page_is_written_beside_what_else_is_asked_for() {
    let lab = Lab::new();
    drop(advrec::store::Database::open(&lab.path("advrec.db")).unwrap());
    let (_, stderr) = page(&lab, &[]);
    assert_eq!(stderr, "wrote page.html\n");
    assert!(!lab.path("advrec-report.md").exists());
    let (_, stderr) = page(&lab, &["--out", "report.tex", "--figures", "figures"]);
    insta::assert_snapshot!(stderr, @r"
    wrote report.tex, with every digit and all notes
    wrote page.html
    ");
    assert!(lab.path("report.tex").exists() && lab.path("figures").exists());
    let output = lab.run(&["report", "--page", "page.html", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["page"], "page.html");
}

#[test]
fn what_cannot_be_a_page_is_refused_and_leaves_nothing() {
    let lab = Lab::new();
    drop(advrec::store::Database::open(&lab.path("advrec.db")).unwrap());
    let refused = |args: &[&str]| {
        let output = lab.run(&[&["report", "--page"], args].concat());
        assert!(output.stdout.is_empty());
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), stderr)
    };
    let (code, stderr) = refused(&["absent/page.html", "--out", "report.md"]);
    insta::assert_snapshot!(format!("{code} {stderr}"), @"1 error: could not write absent/page.html: No such file or directory (os error 2)");
    let (code, stderr) = refused(&["same.html", "--out", "same.html"]);
    insta::assert_snapshot!(format!("{code} {stderr}"), @"2 error: --out and --page name the same file");
    let (code, stderr) = refused(&["page.html", "--grid", "beauty"]);
    insta::assert_snapshot!(format!("{code} {stderr}"), @"2 error: the database has no grid `beauty`; it has none; run `advrec sweep GRID.yaml` first");
    let (code, stderr) = refused(&["page.html", "--rows", "attack"]);
    insta::assert_snapshot!(format!("{code} {}", stderr.lines().next().unwrap()), @"2 error: the argument '--page <FILE>' cannot be used with '--rows <AXIS>'");
    for file in ["page.html", "report.md", "same.html", "absent", "advrec-report.md"] {
        assert!(!lab.path(file).exists(), "{file}");
    }
}
