"use strict";
// Pages are whole without this. With it, the part marked data-live is fetched again when the read
// model has moved on, and `/` goes to the search field.
(() => {
  const live = document.querySelector("[data-live]");
  let asked = false;
  let running = false;
  let postponed = false;
  let connection = "";

  const refresh = async () => {
    if (running) { asked = true; return; }
    running = true;
    try {
      const answer = await fetch(location.href, { headers: { "x-live": "1" } });
      if (answer.ok) replace(await answer.text());
    } catch { /* the next change asks again */ }
    setTimeout(() => {
      running = false;
      if (asked) { asked = false; refresh(); }
    }, 1500);
  };

  const replace = (html) => {
    const focused = document.activeElement;
    postponed = live.contains(focused) && focused.matches("input, select, textarea, summary");
    if (postponed) return;
    const address = live.contains(focused) && focused.getAttribute("href");
    const open = new Set([...live.querySelectorAll("details[open][id]")].map((one) => one.id));
    live.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (address) live.querySelector(`a[href="${CSS.escape(address)}"]`)?.focus();
    report(connection);
  };

  const report = (text) => {
    connection = text;
    const state = document.querySelector("[data-live-state]");
    if (state) state.textContent = text;
  };

  if (live && window.EventSource) {
    const source = new EventSource(`/live?at=${live.dataset.live}`);
    source.addEventListener("open", () => report("live"));
    source.addEventListener("error", () => report("not connected"));
    source.addEventListener("position", () => { if (!document.hidden) refresh(); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
    live.addEventListener("focusout", () => { if (postponed) refresh(); });
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) return;
    const field = document.querySelector("input[type=search]");
    if (field) { event.preventDefault(); field.focus(); field.select(); }
  });
})();
