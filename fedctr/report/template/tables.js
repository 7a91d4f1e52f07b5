"use strict";
// Sorting by any column, and copying as tab-separated text; without this script the tables are there all the same.
const said = document.getElementById("said");

function valueOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (text === "") return null;
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en", { numeric: true });
}

function sort(table, column) {
  const heading = table.tHead.rows[0].cells[column];
  const descending = heading.getAttribute("aria-sort") === "ascending";
  const rows = Array.from(table.tBodies[0].rows, (row) => [valueOf(row, column), row]);
  rows.sort(([one], [other]) => {
    if (one === null || other === null) return (one === null) - (other === null);  // nothing comes last either way
    return descending ? compare(other, one) : compare(one, other);
  });
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  table.tBodies[0].append(...rows.map(([, row]) => row));
  said.textContent = `Sorted by ${heading.textContent.trim()}, ${descending ? "descending" : "ascending"}.`;
}

function asText(table) {
  return Array.from(table.rows, (row) => Array.from(row.cells, (cell) => cell.textContent.trim()).join("\t")).join("\n");
}

for (const table of document.querySelectorAll("table")) {
  Array.from(table.tHead.rows[0].cells).forEach((cell, column) => {
    cell.querySelector("button").addEventListener("click", () => sort(table, column));
  });
  const copy = document.createElement("button");
  copy.type = "button";
  copy.className = "copy";
  copy.textContent = "Copy table";
  copy.setAttribute("aria-label", `Copy table: ${table.caption.textContent}`);
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(asText(table));
      said.textContent = "Copied.";
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(table);
      copy.textContent = "Selected; copy it";
    }
  });
  table.parentElement.after(copy);
}
