"use strict";
const say = text => { document.getElementById("said").textContent = text; };

for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead button").forEach((button, index) => button.addEventListener("click", () => {
    const head = button.parentElement, body = table.tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    const numeric = head.classList.contains("number");
    const key = row => { const cell = row.cells[index]; return numeric ? (cell.dataset.value ? Number(cell.dataset.value) : NaN) : cell.textContent; };
    const rank = (a, b) => numeric ? (isNaN(a) ? 1 : isNaN(b) ? -1 : a - b) : a.localeCompare(b, undefined, {numeric: true});
    const rows = [...body.rows].sort((a, b) => down ? rank(key(b), key(a)) : rank(key(a), key(b)));
    table.querySelectorAll("thead th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows);
  }));
}

for (const input of document.querySelectorAll("input[data-filters]")) {
  const body = document.getElementById(input.dataset.filters).tBodies[0];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
      shown += !row.hidden;
    }
    say(`${shown} of ${body.rows.length} rows`);
  });
}

const measure = () => {
  for (const box of document.querySelectorAll(".table, .drawing")) {
    const wide = box.scrollWidth > box.clientWidth + 1, high = box.scrollHeight > box.clientHeight + 1;
    if (wide || high) box.tabIndex = 0; else box.removeAttribute("tabindex");
    if (box.nextElementSibling && box.nextElementSibling.classList.contains("hint")) box.nextElementSibling.hidden = !wide;
  }
};
addEventListener("resize", measure);
document.addEventListener("toggle", measure, true);
measure();

const copy = async text => {
  try { await navigator.clipboard.writeText(text); return; } catch { /* a page that is a file may not have it */ }
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
};
for (const button of document.querySelectorAll("button[data-copies]")) {
  const name = button.textContent;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copies);
    await copy((source.content || source).textContent.trim() + "\n");
    button.textContent = "Copied";
    say("Copied");
    button.focus();
    setTimeout(() => { button.textContent = name; }, 1500);
  });
}

const open = () => {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = target; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", open);
open();

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach(box => { box.open = true; });
});
addEventListener("afterprint", () => closed.forEach(box => { box.open = false; }));
