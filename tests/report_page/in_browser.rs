//! The page in a browser: it opens, sorts, filters, shows queries, and can be used by everybody.

use crate::browser::Browser;
use crate::lab::Lab;
use crate::{markup, page, paged, quick, rows};
use rusqlite::types::Value as Sql;
use serde_json::json;
use std::fs;

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
        .map(block => block.dataset.dataset).filter(dataset => dataset))]";
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
    // Copied, or at least ready to be: a browser need not let a page do it.
    browser.click("dialog .buttons button");
    browser.wait_for("document.querySelector('dialog [role=status]').textContent !== ''");
    let copied = "document.querySelector('dialog [role=status]').textContent === 'Copied'
        || getSelection().toString() === document.querySelector('dialog code').textContent";
    assert_eq!(browser.eval(copied), json!(true));
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
