/* What every part of the page uses: elements, the packed data, downloads. The parts make one module, in this order:
   data, figures, tables, cells, map, files, page. */

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const words = (text) => String(text).replaceAll("_", " ");
const count = (n) => n.toLocaleString("en");

/** A new element with properties and children. */
function make(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}

/** The bytes of a script element that holds them gzipped, as base64. */
async function unpack(id) {
  const text = $("#" + id).textContent.trim();
  const raw = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
const asText = (bytes) => new TextDecoder().decode(bytes);

let plotting;
/** The plotting library, unpacked when it is first needed. */
function plotly() {
  plotting ??= unpack("plotly").then((code) => {
    document.head.append(make("script", { textContent: asText(code) }));
    return window.Plotly ?? window.moduleName;
  });
  return plotting;
}

/** Offer content as a file. */
function save(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 5000);
}

/** Offer lines of values as a table; a tab or a line break inside a value becomes a blank. */
function saveTable(name, lines) {
  const cell = (value) => (value === null || value === undefined ? "NA" : String(value).replace(/[\t\r\n]/g, " "));
  const text = lines.map((values) => values.map(cell).join("\t") + "\n").join("");
  save(name + ".tsv", text, "text/tab-separated-values");
}

/** The lines of a table that is held by columns. */
function linesOf(table) {
  const n = table.values[0]?.length ?? 0;
  const rows = Array.from({ length: n }, (_, i) => table.values.map((column) => column[i]));
  return [table.columns, ...rows];
}

/** Name of a download: what it is of, and which of its choices. */
function fileName(id, label) {
  const choice = label
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .slice(0, 50);
  return "brainmet_" + id + (choice ? "_" + choice : "");
}
