
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th button").forEach((button, index) => button.addEventListener("click", () => {
    const head = button.parentElement, body = table.tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    const numeric = head.classList.contains("number");
    const key = row => { const cell = row.cells[index]; return numeric ? (cell.dataset.value === "" ? NaN : Number(cell.dataset.value)) : cell.textContent; };
    const rank = (a, b) => numeric ? (isNaN(a) ? 1 : isNaN(b) ? -1 : a - b) : a.localeCompare(b, undefined, {numeric: true});
    const rows = [...body.rows].sort((a, b) => down ? rank(key(b), key(a)) : rank(key(a), key(b)));
    table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows);
  }));
}
