(() => {
  "use strict";
  const live = document.getElementById("live");
  const gone = live.querySelector(".live-gone");
  const news = live.querySelector(".live-news span");
  const show = live.querySelector(".live-news button");
  const follow = live.querySelector(".live-news input");
  const EVERY = 2000, REST = 5000, LONGEST = 30000; // milliseconds
  const SETTLED = 15000; // a page that is not touched for so long may be replaced
  const store = "advrec " + location.pathname;
  let now = live.querySelector(".live-now");
  let told = "";
  let failures = 0, timer = 0, asking = false;
  let last = Date.now();

  const touch = () => { last = Date.now(); };
  for (const kind of ["keydown", "pointerdown", "wheel", "touchmove", "input"]) {
    addEventListener(kind, touch, { passive: true, capture: true });
  }

  // What a person has set on the page outside this part: it is set again after a reload.
  const outside = (what) => [...document.querySelectorAll(what)].filter((e) => !live.contains(e));
  const isBox = (e) => e.type === "checkbox" || e.type === "radio";
  const controls = () => outside("input, select").filter((e) => e.type !== "file")
    .map((e, at) => [e.id || `${e.name || at} ${isBox(e) ? e.value : ""}`, e]);
  const said = (e) => (e?.textContent ?? "").trim();
  const folds = () => outside("details").map((e, at) => [`${at} ${said(e.querySelector("summary"))}`, e]);
  const headers = () => outside("table").flatMap((table, at) => [...table.querySelectorAll("thead th")]
    .map((e, column) => [`${at} ${column} ${said(table.caption)} ${said(e)}`, e]));
  const settings = () => ({
    follow: follow.checked,
    top: scrollY,
    focus: document.activeElement?.id || null,
    controls: controls().map(([name, e]) => [name, isBox(e) ? e.checked : e.value]),
    folds: folds().map(([name, e]) => [name, e.open]),
    sorted: headers().filter(([, e]) => e.ariaSort && e.ariaSort !== "none").map(([name, e]) => [name, e.ariaSort]),
  });
  const restore = (before) => {
    const set = new Map(before.controls);
    for (const [name, e] of controls()) {
      const is = isBox(e) ? "checked" : "value";
      if (!set.has(name) || e[is] === set.get(name)) continue;
      if (e.options && ![...e.options].some((option) => option.value === set.get(name))) continue;
      e[is] = set.get(name);
      for (const kind of ["input", "change"]) e.dispatchEvent(new Event(kind, { bubbles: true }));
    }
    const open = new Map(before.folds);
    for (const [name, e] of folds()) if (open.has(name)) e.open = open.get(name);
    const sorted = new Map(before.sorted);
    for (const [name, e] of headers()) {
      const press = e.querySelector("button") ?? e;
      for (let n = 0; n < 3 && sorted.has(name) && e.ariaSort !== sorted.get(name); n += 1) press.click();
    }
    if (before.focus) document.getElementById(before.focus)?.focus({ preventScroll: true });
    scrollTo({ top: before.top, behavior: "instant" });
  };
  // Where the browser keeps nothing, a reload begins anew.
  const keep = (text) => { try { sessionStorage.setItem(store, text); } catch { /* as said */ } };
  const take = () => {
    try {
      const text = sessionStorage.getItem(store);
      sessionStorage.removeItem(store);
      return JSON.parse(text);
    } catch { return null; }
  };
  const reload = async () => {
    // Made before it is shown: a page that cannot be made does not take the place of this one.
    const made = await fetch("/", { method: "HEAD", cache: "no-store" })
      .then((answer) => answer.text().then(() => answer.ok)).catch(() => false);
    if (!made) return;
    keep(JSON.stringify(settings()));
    location.reload();
  };
  const before = take();
  if (before) {
    follow.checked = before.follow;
    addEventListener("load", () => setTimeout(() => restore(before)));
  }
  show.addEventListener("click", reload);

  const tell = (where, text) => { if (where.textContent !== text) where.textContent = text; };

  // Puts the sweep as it is now in the place of what it was, with what is open, focused and scrolled.
  const replace = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    const next = template.content.firstElementChild;
    if (!next?.classList.contains("live-now")) throw new Error("an unexpected answer");
    const selection = getSelection();
    const selecting = selection && !selection.isCollapsed && now.contains(selection.anchorNode);
    if (!selecting && html !== told) {
      told = html;
      const key = document.activeElement?.closest?.("[data-key]")?.dataset.key;
      const places = [];
      for (const e of now.querySelectorAll("[data-key]")) {
        const same = next.querySelector(`[data-key="${CSS.escape(e.dataset.key)}"]`);
        if (same && e.open) same.open = true;
        if (same) places.push([same, e.scrollLeft, e.scrollTop]);
      }
      now.replaceWith(next);
      for (const [e, left, top] of places) [e.scrollLeft, e.scrollTop] = [left, top];
      now = next;
      const focused = key && now.querySelector(`[data-key="${CSS.escape(key)}"]`);
      (focused?.querySelector("summary") ?? focused)?.focus({ preventScroll: true });
    }
    return next.dataset;
  };

  const ask = async () => {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    let pause = EVERY;
    try {
      const answer = await fetch("/live", { cache: "no-store", signal: AbortSignal.timeout(30000) });
      const text = await answer.text();
      failures = 0;
      if (answer.ok) {
        const { results, state } = replace(text);
        tell(gone, "");
        const fresh = results !== live.dataset.shown;
        tell(news, fresh ? "There are new results." : "");
        show.hidden = !fresh;
        const busy = Date.now() - last < SETTLED || !getSelection().isCollapsed || document.querySelector("dialog[open]");
        if (fresh && follow.checked && !busy) await reload();
        if (!state.endsWith("running")) pause = REST;
      } else {
        tell(gone, `The database could not be read: ${text.trim()}`);
        pause = REST;
      }
    } catch {
      failures += 1;
      tell(gone, "The server is gone: what stands here is the last that it said. It is asked again now and then; `advrec serve` starts it.");
      pause = Math.min(EVERY * 2 ** failures, LONGEST);
    }
    asking = false;
    timer = setTimeout(ask, pause);
  };
  document.addEventListener("visibilitychange", ask);
  timer = setTimeout(ask, EVERY);
})();
