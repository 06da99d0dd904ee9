"use strict";
(() => {
    const all = (selector, within = document) => [...within.querySelectorAll(selector)];
    const made = (name, text, properties = {}) =>
        Object.assign(document.createElement(name), { textContent: text, ...properties });
    const tables = all("table");

    // Sorting: ascending, descending, as it was. Groups stay where they are.
    const wasAt = new WeakMap();
    const missing = (text) => text === "" || text === "–";
    function sortKey(row, column) {
        const cell = row.cells[column];
        const text = cell.textContent.trim();
        const value = cell.dataset.value ?? text;
        if (missing(text)) return null;
        return Number.isNaN(Number(value)) ? text : Number(value);
    }
    function compare(a, b) {
        if (typeof a === "number" && typeof b === "number") return a - b;
        return String(a).localeCompare(String(b), "en", { numeric: true });
    }
    function sort(header) {
        const table = header.closest("table");
        const next = { ascending: "descending", descending: null };
        const before = header.getAttribute("aria-sort");
        const order = before in next ? next[before] : "ascending";
        all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
        if (order) header.setAttribute("aria-sort", order);
        const column = Number(header.dataset.column);
        const sign = order === "descending" ? -1 : 1;
        for (const body of table.tBodies) {
            const rows = [...body.rows].filter((row) => row.cells.length > 1);
            rows.forEach((row, at) => { if (!wasAt.has(row)) wasAt.set(row, at); });
            const keyed = rows.map((row) => [order ? sortKey(row, column) : wasAt.get(row), row]);
            keyed.sort(([a, first], [b, second]) => {
                if (a === null || b === null) return (a === null) - (b === null) || wasAt.get(first) - wasAt.get(second);
                return sign * compare(a, b) || wasAt.get(first) - wasAt.get(second);
            });
            body.append(...keyed.map(([, row]) => row));
        }
    }
    for (const header of all("thead th[data-column]")) {
        const button = made("button", header.textContent, { type: "button" });
        header.replaceChildren(button);
        button.addEventListener("click", () => sort(header));
    }

    // Queries: what the row and the column of a number share is said once in each.
    function query(number) {
        if (number.dataset.sql) return number.dataset.sql;
        const column = number.closest("table").querySelectorAll("col")[number.cellIndex];
        const chosen = number.parentElement.dataset[column.dataset.view];
        return column.dataset.sql.replace("{}", () => chosen);
    }
    function about(number) {
        if (number.dataset.about) return number.dataset.about;
        const column = number.closest("table").querySelectorAll("col")[number.cellIndex];
        return `${number.parentElement.cells[0].textContent}: ${column.dataset.name}`;
    }
    // One number of a table can be reached by the tab key, the others from there by arrows.
    for (const number of all(".q")) {
        const button = made("button", number.textContent, { type: "button" });
        button.setAttribute("aria-haspopup", "dialog");
        button.tabIndex = number.cellIndex === undefined ? 0 : -1;
        number.replaceChildren(button);
    }
    tables.forEach((table) => {
        const first = table.querySelector(".q > button");
        if (first) first.tabIndex = 0;
    });

    const dialog = made("dialog", "", { id: "query" });
    dialog.setAttribute("aria-labelledby", "query-title");
    dialog.innerHTML = '<h2 id="query-title"></h2><p></p><pre tabindex="0"><code></code></pre>' +
        '<div class="buttons"><button type="button">Copy the query</button>' +
        '<button type="button">Copy as a command</button><button type="button">Close</button>' +
        '<span role="status"></span></div>';
    document.body.append(dialog);
    const [title, digits, code, said] = ["h2", "p", "code", "[role=status]"].map((of) => dialog.querySelector(of));
    const [copyQuery, copyCommand, close] = all("button", dialog);
    function show(number) {
        const { value, lower, upper } = number.dataset;
        title.textContent = about(number);
        const interval = lower ? `, 95 % interval ${lower} to ${upper}` : "";
        digits.textContent = `${value ?? number.textContent}${interval}`;
        number.dataset.sql = code.textContent = query(number);
        said.textContent = "";
        dialog.showModal();
        close.focus();
    }
    async function copy(text) {
        try {
            await navigator.clipboard.writeText(text);
            said.textContent = "Copied";
        } catch {
            getSelection().selectAllChildren(code);
            said.textContent = "The browser does not let this page copy; the query is selected.";
        }
    }
    copyQuery.addEventListener("click", () => copy(code.textContent));
    copyCommand.addEventListener("click", () => copy(`advrec query '${code.textContent.replaceAll("'", "'\\''")}'`));
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    document.addEventListener("click", (event) => {
        const number = event.target.closest?.(".q > button")?.parentElement;
        if (number) show(number);
    });

    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    document.addEventListener("keydown", (event) => {
        const cell = event.target.closest?.("td.q");
        if (!cell || !steps[event.key]) return;
        const [down, right] = steps[event.key];
        const table = cell.closest("table");
        const rows = all("tbody tr", table).filter((row) => !row.hidden);
        let [row, column] = [rows.indexOf(cell.parentElement), cell.cellIndex];
        let next;
        do {
            [row, column] = [row + down, column + right];
            next = rows[row]?.cells[column];
        } while (next && !next.classList.contains("q"));
        if (!next) return;
        event.preventDefault();
        all(".q > button[tabindex='0']", table).forEach((button) => { button.tabIndex = -1; });
        next.firstElementChild.tabIndex = 0;
        next.firstElementChild.focus();
    });

    // Filters: of a set in which nothing is checked, all is shown.
    const form = document.getElementById("filters");
    if (form) {
        const shown = document.getElementById("shown");
        const results = all("main > section[id^=table-], main > section#flags");
        const rows = results.flatMap((section) => all("tr[data-attack]", section));
        const apply = () => {
            const chosen = (name) => new Set(all(`[name=${name}]:checked`, form).map((box) => box.value));
            const [datasets, attacks] = [chosen("dataset"), chosen("attack")];
            const wanted = (set, value) => set.size === 0 || set.has(value);
            for (const part of all(".block[data-dataset], .scroll[data-dataset]")) {
                part.hidden = !wanted(datasets, part.dataset.dataset);
            }
            for (const figure of all("figure[data-datasets]")) {
                const own = JSON.parse(figure.dataset.datasets);
                figure.hidden = datasets.size > 0 && !own.some((name) => datasets.has(name));
            }
            let count = 0;
            for (const row of rows) {
                row.hidden = !wanted(attacks, row.dataset.attack);
                if (!row.hidden && !row.closest("[data-dataset][hidden]")) count += 1;
            }
            for (const section of results) {
                for (const table of all(".scroll", section)) {
                    const own = all("tr[data-attack]", table);
                    const empty = own.length > 0 && own.every((row) => row.hidden);
                    table.hidden = empty || (table.dataset.dataset !== undefined && !wanted(datasets, table.dataset.dataset));
                    const start = all(".q > button", table).find((button) => !button.closest("[hidden]"));
                    if (start && !all(".q > button[tabindex='0']", table).some((b) => !b.closest("[hidden]"))) start.tabIndex = 0;
                }
            }
            shown.textContent = `${count} of ${rows.length} rows shown`;
        };
        form.addEventListener("change", apply);
        form.addEventListener("reset", () => setTimeout(apply));
        form.addEventListener("submit", (event) => event.preventDefault());
        form.hidden = false;
        apply();
    }

    // Printed, nothing is folded away, and headers are text, for Chromium does not repeat the buttons of a table
    // that goes on on the next page; afterwards all is as it was.
    let folded = [];
    let buttons = [];
    addEventListener("beforeprint", () => {
        folded = all("details:not([open])");
        folded.forEach((details) => { details.open = true; });
        buttons = all("thead button").map((button) => [button.parentElement, button]);
        buttons.forEach(([header, button]) => header.replaceChildren(button.textContent));
    });
    addEventListener("afterprint", () => {
        folded.forEach((details) => { details.open = false; });
        buttons.forEach(([header, button]) => header.replaceChildren(button));
    });

    // The table of contents says where the reader is.
    const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
    const seen = new Set();
    const observer = new IntersectionObserver((entries) => {
        entries.forEach(({ target, isIntersecting }) => seen[isIntersecting ? "add" : "delete"](target.id));
        const current = [...links.keys()].find((id) => seen.has(id));
        links.forEach((link, id) => {
            if (id === current) link.setAttribute("aria-current", "true");
            else link.removeAttribute("aria-current");
        });
    }, { rootMargin: "-10% 0px -70% 0px" });
    all("main > section[id]").forEach((section) => observer.observe(section));
})();
