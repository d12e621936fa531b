/* The page's script: unpacks the data, draws figures when they come into sight, the map of cells, tables, downloads. */
"use strict";
(() => {
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const make = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};
const words = (text) => String(text).replaceAll("_", " ");

/* --- data ------------------------------------------------------------------------------------------------------------- */
async function unpack(id) {
  const text = $("#" + id).textContent.trim();
  const raw = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
const asText = (bytes) => new TextDecoder().decode(bytes);

let plotting;
function plotly() {
  plotting ??= unpack("plotly").then((code) => {
    document.head.append(make("script", { textContent: asText(code) }));
    return window.Plotly ?? window.moduleName;
  });
  return plotting;
}

/* --- downloads -------------------------------------------------------------------------------------------------------- */
function save(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 5000);
}
const cell = (value) => (value === null || value === undefined ? "NA" : String(value).replace(/[\t\n]/g, " "));
function tsv(table) {
  const n = table.values[0]?.length ?? 0;
  const lines = [table.columns.join("\t")];
  for (let i = 0; i < n; i++) lines.push(table.values.map((column) => cell(column[i])).join("\t"));
  return lines.join("\n") + "\n";
}
const file = (id, label) => "brainmet_" + id + (label ? "_" + label.toLowerCase().replace(/[^a-z0-9]+/g, "_").slice(0, 50) : "");

/* --- figures ---------------------------------------------------------------------------------------------------------- */
const axisStyle = () => ({ gridcolor: style("--grid"), linecolor: style("--line"), zerolinecolor: style("--grid"), automargin: true });
function dress(layout, simulated) {
  const full = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 10, r: 16, t: 10, b: 10 }, hovermode: "closest",
    font: { family: style("--font").replaceAll('"', ""), size: 12, color: style("--ink") },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", xanchor: "left" }, hoverlabel: { align: "left", font: { size: 12 } },
    bargap: 0.25, ...layout,
  };
  full.legend = { orientation: "h", x: 0, y: 1.0, yanchor: "bottom", xanchor: "left", font: { size: 11.5 }, ...layout.legend };
  for (const key of ["xaxis", "yaxis", "xaxis2", "yaxis2"])
    if (layout[key] || key.length === 5) full[key] = { ...axisStyle(), ...layout[key], title: { standoff: 12, ...layout[key]?.title } };
  if (simulated)
    full.annotations = [...(layout.annotations ?? []), {
      text: "SIMULATED", xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false, textangle: -24, opacity: 0.1, name: "watermark",
      font: { size: Math.max(26, Math.min(64, (layout.height ?? 400) / 7)), color: style("--ink") }, captureevents: false,
    }];
  return full;
}

class Figure {
  constructor(node, spec, simulated) {
    Object.assign(this, { node, spec, simulated, id: node.dataset.figure, plot: $(".plot", node), choice: $("[data-choose]", node) });
    this.choice?.addEventListener("change", () => this.draw());
    $$("[data-get]", node).forEach((button) => button.addEventListener("click", () => this.get(button.dataset.get)));
    this.plot.style.minHeight = (this.variant.layout.height ?? 300) + "px";
  }
  get variant() { return this.spec.variants[Number(this.choice?.value ?? 0)]; }
  async draw() {
    const library = await plotly();
    const { data, layout } = this.variant;
    this.plot.style.minHeight = (layout.height ?? 300) + "px";
    await library.react(this.plot, structuredClone(data), dress(layout, this.simulated), { responsive: true, displayModeBar: false });
    this.plot.setAttribute("aria-label", this.spec.alt + (this.variant.label ? " Shown: " + this.variant.label + "." : ""));
    this.node.dataset.drawn = this.variant.label || "yes";
  }
  async get(kind) {
    const name = file(this.id, this.variant.label);
    if (kind === "tsv") return save(name + ".tsv", tsv(this.variant.table), "text/tab-separated-values");
    const library = await plotly();
    const { data, layout } = this.variant;
    const title = { text: this.spec.title + (this.variant.label ? "<br><sup>" + this.variant.label + "</sup>" : ""), x: 0.02, xanchor: "left", font: { size: 15 } };
    const full = { ...dress(layout, this.simulated), title, paper_bgcolor: "#fff", plot_bgcolor: "#fff", margin: { l: 10, r: 16, t: 84, b: 20 } };
    const size = { format: kind, width: Math.max(700, this.plot.clientWidth), height: (layout.height ?? 400) + 80, scale: 2 };
    const url = await library.toImage({ data: structuredClone(data), layout: full }, size);
    const blob = await (await fetch(url)).blob();
    return save(name + "." + kind, blob);
  }
}

function figures(payload) {
  const all = $$("[data-figure]").map((node) => new Figure(node, payload.figures[node.dataset.figure], payload.simulated));
  const waiting = new Map(all.map((figure) => [figure.node, figure]));
  const draw = (figure) => { if (waiting.delete(figure.node)) return figure.draw(); };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); draw(waiting.get(entry.target) ?? { node: null }); }
  }, { rootMargin: "500px" });
  all.forEach((figure) => seen.observe(figure.node));
  window.addEventListener("beforeprint", () => all.forEach(draw));
  return { all, drawAll: () => Promise.all(all.map(draw)), redraw: () => all.filter((f) => f.node.dataset.drawn).forEach((f) => f.draw()) };
}

/* --- tables ----------------------------------------------------------------------------------------------------------- */
function tables(payload) {
  for (const node of $$("details[data-table]")) {
    node.addEventListener("toggle", () => {
      const rows = $(".rows", node);
      if (node.open && rows && !rows.childElementCount) new Rows(rows, node.dataset.table, payload.tables[node.dataset.table]);
    });
  }
}
class Rows {
  constructor(root, name, table) {
    Object.assign(this, { table, order: table.values[0].map((_, i) => i), by: null, down: false });
    const n = this.order.length;
    const filter = make("input", { type: "search", placeholder: "Filter rows", ariaLabel: "Filter rows of " + words(name) });
    filter.addEventListener("input", () => this.fill(filter.value.toLowerCase()));
    const button = make("button", { type: "button", textContent: "TSV" });
    button.dataset.get = "tsv";
    button.addEventListener("click", () => save(file(name) + ".tsv", tsv(table), "text/tab-separated-values"));
    const note = n < table.total ? `First ${n.toLocaleString("en")} of ${table.total.toLocaleString("en")} rows; all: ` : "All rows; file: ";
    const link = make("a", { href: `tables/${name}.tsv`, textContent: name + ".tsv" });
    root.append(make("div", { className: "head" }, filter, button, make("span", { className: "quiet" }, note, link)));
    const numeric = table.values.map((column) => column.some((v) => typeof v === "number"));
    const head = make("tr", {}, ...table.columns.map((column, j) => {
      const sort = make("button", { type: "button", textContent: words(column) });
      sort.addEventListener("click", () => { this.down = this.by === j && !this.down; this.by = j; this.sort(j); this.fill(filter.value.toLowerCase()); $$("th", head).forEach((th, k) => { th.ariaSort = k === j ? (this.down ? "descending" : "ascending") : "none"; }); });
      return make("th", { scope: "col", className: numeric[j] ? "num" : "" }, sort);
    }));
    this.body = make("tbody");
    const scroll = make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Table " + words(name) });
    scroll.append(make("table", {}, make("thead", {}, head), this.body));
    root.append(scroll);
    this.numeric = numeric;
    this.fill("");
  }
  sort(j) {
    const values = this.table.values[j], sign = this.down ? -1 : 1;
    this.order.sort((a, b) => {
      const x = values[a], y = values[b];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return (x < y ? -1 : x > y ? 1 : 0) * sign || a - b;
    });
  }
  fill(query) {
    const { values } = this.table;
    const shown = query ? this.order.filter((i) => values.some((column) => String(column[i] ?? "").toLowerCase().includes(query))) : this.order;
    this.body.replaceChildren(...shown.map((i) => make("tr", {}, ...values.map((column, j) => {
      const text = column[i] === null ? "–" : String(column[i]);
      return make("td", { textContent: text, className: this.numeric[j] ? "num" : "", title: text.length > 40 ? text : "" });
    }))));
  }
}

/* --- the map of cells ------------------------------------------------------------------------------------------------- */
const VIRIDIS = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const pack32 = ([r, g, b], a = 255) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
const SCALE = Array.from({ length: 255 }, (_, i) => {
  const x = (i / 254) * (VIRIDIS.length - 1), k = Math.min(Math.floor(x), VIRIDIS.length - 2), t = x - k;
  const [a, b] = [rgb(VIRIDIS[k]), rgb(VIRIDIS[k + 1])];
  return a.map((v, c) => Math.round(v + (b[c] - v) * t));
});
const hex = (color) => "#" + color.map((v) => v.toString(16).padStart(2, "0")).join("");

class Cells {
  constructor(meta, bytes, simulated) {
    const { n } = meta;
    const view = (Type, offset, length = n) => new Type(bytes.buffer, bytes.byteOffset + offset, length);
    this.n = n; this.simulated = simulated; this.meta = meta;
    const span = { x: meta.x.high - meta.x.low || 1, y: meta.y.high - meta.y.low || 1 };
    const side = this.side = Math.max(span.x, span.y);
    this.x = Float32Array.from(view(Uint16Array, meta.x.offset), (v) => ((v / 65535 - 0.5) * span.x) / side);
    this.y = Float32Array.from(view(Uint16Array, meta.y.offset), (v) => ((0.5 - v / 65535) * span.y) / side);
    this.columns = meta.columns.map((column) => {
      const length = column.n ?? n;
      return { ...column, codes: view(column.bytes === 2 ? Uint16Array : Uint8Array, column.offset, length) };
    });
    this.by = new Map(this.columns.map((column) => [column.key, column]));
    const text = ({ offset, text: at, bytes: length }) => ({ codes: view(Uint32Array, offset), levels: null, raw: [at, length] });
    this.texts = { reason: text(meta.reason), id: text(meta.id) };
    this.text = (name, i) => {
      const t = this.texts[name];
      t.levels ??= asText(view(Uint8Array, t.raw[0], t.raw[1])).split("\n");
      return t.levels[t.codes[i]];
    };
    this.visible = new Uint8Array(n).fill(1);
    this.selected = null;
    this.hidden = new Map();
    this.view = { x: 0, y: 0, zoom: 1 };
  }
  /* A place of the layout on the map, whose middle is 0, 0 and whose longer side is 1. */
  at([u, v]) {
    const { x, y } = this.meta;
    return { x: (u - (x.low + x.high) / 2) / this.side, y: ((y.low + y.high) / 2 - v) / this.side };
  }
  value(column, i) {
    if (column.kind === "category") return column.levels[column.codes[i]];
    const code = column.codes[i];
    return code === undefined || code === 255 ? null : column.low + ((column.high - column.low) * code) / column.steps;
  }
  told(column, i) { return column.kind === "category" ? column.shown[column.codes[i]] : this.value(column, i); }
  filter() {
    this.visible.fill(1);
    for (const [key, hidden] of this.hidden) {
      const { codes } = this.by.get(key);
      if (hidden.size) for (let i = 0; i < this.n; i++) if (hidden.has(codes[i])) this.visible[i] = 0;
    }
  }
  count() { let n = 0; for (let i = 0; i < this.n; i++) n += this.visible[i] && (!this.selected || this.selected[i]); return n; }
}

class View {
  constructor(root, cells, start, changed) {
    Object.assign(this, { root, cells, changed, canvas: $("canvas", root), legend: $(".legend", root), select: $("[data-colour]", root) });
    const groups = new Map();
    for (const column of cells.columns) {
      const name = column.group ?? (column.kind === "category" ? "Cells" : "Numbers");
      if (!groups.has(name)) groups.set(name, make("optgroup", { label: name }));
      groups.get(name).append(make("option", { value: column.key, textContent: column.label }));
    }
    this.select.append(...groups.values());
    this.select.value = cells.by.has(start) ? start : cells.columns[0].key;
    this.select.addEventListener("change", () => { this.describe(); this.draw(); });
    const find = $("[data-find]", root);
    find.addEventListener("change", () => {
      const wanted = find.value.trim().toLowerCase(), column = cells.columns.find((c) => c.label.toLowerCase() === wanted || c.key.toLowerCase() === wanted);
      if (!column) return ($("#cells .status").textContent = wanted && `“${find.value}” is neither a gene of interest nor a signature of this run`);
      this.select.value = column.key;
      this.select.dispatchEvent(new Event("change"));
      find.value = "";
    });
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.describe();
  }
  get column() { return this.cells.by.get(this.select.value); }
  radius() {
    const { n, view } = this.cells, base = n > 60000 ? 0.9 : n > 30000 ? 1.2 : n > 12000 ? 1.6 : n > 4000 ? 2.1 : n > 1200 ? 2.8 : 3.6;
    return Math.min(9, Math.max(1, (this.canvas.width / 500) * base * Math.pow(view.zoom, 0.4)));
  }
  place() {
    const { width: w, height: h } = this.canvas, { view } = this.cells;
    const scale = Math.min(w, h) * 0.94 * view.zoom;
    return { scale, dx: w / 2 - view.x * scale, dy: h / 2 - view.y * scale };
  }
  describe() {
    const { column, cells } = this;
    this.names = this.named();
    if (column.kind === "number") {
      const bar = make("div");
      bar.style.background = `linear-gradient(90deg, ${VIRIDIS.join(",")})`;
      const ends = make("span", {}, make("span", { textContent: column.low.toPrecision(3) }), make("span", { textContent: column.high.toPrecision(3) }));
      return this.legend.replaceChildren(make("div", { className: "scale" }, bar, ends, ...(column.note ? [make("p", { textContent: `log1p per 10,000; ${column.note}` })] : [])));
    }
    const sizes = new Int32Array(column.levels.length);
    for (let i = 0; i < cells.n; i++) sizes[column.codes[i]]++;
    const hidden = cells.hidden.get(column.key) ?? new Set();
    const focused = this.legend.contains(document.activeElement) ? document.activeElement.dataset.level : undefined;
    this.legend.replaceChildren(...column.levels.map((level, k) => {
      const dot = make("i");
      dot.style.background = column.colours[k];
      const button = make("button", { type: "button", ariaPressed: String(!hidden.has(k)), title: "Click hides or shows; double-click, or Shift and click, shows only this" }, dot, `${column.shown[k] || "none"} (${sizes[k].toLocaleString("en")})`);
      button.dataset.level = level;
      const only = () => { hidden.clear(); column.levels.forEach((_, j) => j !== k && hidden.add(j)); this.hide(hidden); };
      button.addEventListener("click", (event) => { if (event.shiftKey) return only(); hidden.has(k) ? hidden.delete(k) : hidden.add(k); this.hide(hidden); });
      button.addEventListener("dblclick", only);
      return button;
    }));
    if (focused !== undefined) $$("button", this.legend).find((button) => button.dataset.level === focused)?.focus({ preventScroll: true });
  }
  /* Names to write on the map, largest first: where the data say that one can stand, while most of its cells are shown. */
  named() {
    const { cells } = this, column = this.column.kind === "category" ? this.column : cells.by.get("cell_type");
    const sizes = column.levels.map(() => 0), seen = column.levels.map(() => 0);
    for (let i = 0; i < cells.n; i++) { const k = column.codes[i]; sizes[k]++; seen[k] += cells.visible[i] && (!cells.selected || cells.selected[i]); }
    const names = column.places.map((place, k) => place && 2 * seen[k] > sizes[k] && { ...cells.at(place), text: column.shown[k], size: sizes[k] });
    return names.filter(Boolean).sort((a, b) => b.size - a.size);
  }
  hide(hidden) {
    this.cells.hidden.set(this.column.key, hidden);
    this.cells.filter();
    this.changed();
  }
  colours() {
    const { column } = this;
    const grey = rgb("#c9ced6");
    if (column.kind === "category") return { table: column.colours.map(rgb), missing: grey };
    return { table: SCALE, missing: grey };
  }
  draw() {
    const box = this.canvas.getBoundingClientRect();
    if (!box.width) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const w = Math.round(box.width * ratio), h = Math.round(box.height * ratio);
    if (this.canvas.width !== w || this.canvas.height !== h) { this.canvas.width = w; this.canvas.height = h; }
    const { cells, column } = this, { scale, dx, dy } = this.place();
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(w, h), pixels = new Uint32Array(image.data.buffer);
    const r = this.radius(), reach = Math.ceil(r), disc = [];
    for (let a = -reach; a <= reach; a++) for (let b = -reach; b <= reach; b++) if (a * a + b * b <= r * r) disc.push([a, b]);
    const { table, missing } = this.colours();
    const solid = (column.kind === "number" ? Array.from({ length: column.steps + 1 }, (_, k) => SCALE[Math.round((254 * k) / column.steps)]) : table).map((c) => pack32(c)), faint = pack32(rgb(style("--grid")));
    const grey = pack32(missing), number = column.kind === "number", { selected } = cells;
    const paint = (i, color) => {
      const x = Math.round(cells.x[i] * scale + dx), y = Math.round(cells.y[i] * scale + dy);
      if (x < -reach || y < -reach || x >= w + reach || y >= h + reach) return;
      for (const [a, b] of disc) { const p = x + a, q = y + b; if (p >= 0 && q >= 0 && p < w && q < h) pixels[q * w + p] = color; }
    };
    const shade = (i) => { const code = column.codes[i]; return number && (code === 255 || code === undefined) ? grey : solid[code]; };
    if (selected) for (let i = 0; i < cells.n; i++) if (cells.visible[i] && !selected[i]) paint(i, faint);
    const shown = (i) => cells.visible[i] && (!selected || selected[i]);
    // Cells without a value lie at the bottom, then those that do not express a gene.
    const gene = column.key.startsWith("gene:"), below = (i) => number && (shade(i) === grey || (gene && column.codes[i] === 0));
    if (number) for (let i = 0; i < cells.n; i++) if (shown(i) && shade(i) === grey) paint(i, grey);
    if (gene) for (let i = 0; i < cells.n; i++) if (shown(i) && column.codes[i] === 0) paint(i, solid[0]);
    for (let i = 0; i < cells.n; i++) if (shown(i) && !below(i)) paint(i, shade(i));
    context.putImageData(image, 0, 0);
    if (cells.simulated) this.watermark(context, w, h);
    if (cells.named) this.write(context, ratio);
    if (this.loop) this.outline(context);
    this.root.dataset.drawn = column.key;
  }
  watermark(context, w, h) {
    context.save();
    context.translate(w / 2, h / 2);
    context.rotate(-0.42);
    context.font = `700 ${Math.round(w / 9)}px ${style("--font")}`;
    context.textAlign = "center";
    context.fillStyle = style("--ink");
    context.globalAlpha = 0.09;
    context.fillText("SIMULATED", 0, 0);
    context.restore();
  }
  /* The names, larger groups first; one that would lie on another is left out until there is room. */
  write(context, ratio) {
    const { scale, dx, dy } = this.place(), size = 12.5 * ratio, { width: w, height: h } = this.canvas, taken = [];
    Object.assign(context, { font: `600 ${size}px ${style("--font")}`, textAlign: "center", textBaseline: "middle", lineJoin: "round", lineWidth: size / 3, strokeStyle: style("--card"), fillStyle: style("--ink") });
    for (const name of this.names) {
      const half = context.measureText(name.text).width / 2 + 3 * ratio, y = name.y * scale + dy;
      if (y < 0 || y > h || name.x * scale + dx < 0 || name.x * scale + dx > w) continue;
      const x = Math.max(half, Math.min(w - half, name.x * scale + dx));
      if (taken.some((t) => Math.abs(t.x - x) < t.half + half && Math.abs(t.y - y) < size * 1.15)) continue;
      taken.push({ x, y, half });
      context.strokeText(name.text, x, y);
      context.fillText(name.text, x, y);
    }
  }
  outline(context) {
    context.beginPath();
    this.loop.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
    context.lineWidth = 2;
    context.strokeStyle = style("--ink");
    context.stroke();
  }
  point(event) {
    const box = this.canvas.getBoundingClientRect(), ratio = this.canvas.width / box.width;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  }
  listen() {
    const { canvas, cells } = this;
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      from = this.point(event);
      if (cells.mode === "lasso") this.loop = [from];
    });
    canvas.addEventListener("pointermove", (event) => {
      const at = this.point(event);
      if (!from) return this.hover(event, at);
      if (this.loop) { this.loop.push(at); return this.draw(); }
      const { scale } = this.place();
      cells.view.x -= (at[0] - from[0]) / scale;
      cells.view.y -= (at[1] - from[1]) / scale;
      from = at;
      this.changed(true);
    });
    const end = () => {
      if (this.loop) { const loop = this.loop; this.loop = null; if (loop.length > 2) this.pick(loop); this.changed(); }
      from = null;
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerleave", () => { $("#tip").hidden = true; });
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(event.deltaY < 0 ? 1.18 : 1 / 1.18, this.point(event)); }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const step = 0.08 / cells.view.zoom;
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      if (moves[event.key]) { cells.view.x += moves[event.key][0]; cells.view.y += moves[event.key][1]; this.changed(true); event.preventDefault(); }
      if (event.key === "+" || event.key === "=") this.zoom(1.25);
      if (event.key === "-") this.zoom(0.8);
    });
  }
  zoom(factor, at = [this.canvas.width / 2, this.canvas.height / 2]) {
    const { view } = this.cells, before = this.place();
    const [x, y] = [(at[0] - before.dx) / before.scale, (at[1] - before.dy) / before.scale];
    view.zoom = Math.max(0.5, Math.min(60, view.zoom * factor));
    const { width: w, height: h } = this.canvas, scale = this.place().scale;
    view.x = x - (at[0] - w / 2) / scale;
    view.y = y - (at[1] - h / 2) / scale;
    this.changed(true);
  }
  pick(loop) {
    const { cells } = this, { scale, dx, dy } = this.place();
    const chosen = new Uint8Array(cells.n);
    let any = 0;
    for (let i = 0; i < cells.n; i++) {
      if (!cells.visible[i]) continue;
      const x = cells.x[i] * scale + dx, y = cells.y[i] * scale + dy;
      let inside = false;
      for (let a = 0, b = loop.length - 1; a < loop.length; b = a++) {
        const [ax, ay] = loop[a], [bx, by] = loop[b];
        if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
      }
      if (inside) { chosen[i] = 1; any++; }
    }
    cells.selected = any ? chosen : null;
  }
  nearest([x, y]) {
    const { cells } = this, { scale, dx, dy } = this.place();
    let best = -1, least = (this.radius() + 6) ** 2;
    for (let i = 0; i < cells.n; i++) {
      if (!cells.visible[i]) continue;
      const a = cells.x[i] * scale + dx - x, b = cells.y[i] * scale + dy - y, d = a * a + b * b;
      if (d < least) { least = d; best = i; }
    }
    return best;
  }
  hover(event, at) {
    const tip = $("#tip"), i = this.nearest(at), { cells } = this;
    tip.hidden = i < 0;
    if (i < 0) return;
    const get = (key) => (cells.by.has(key) ? cells.told(cells.by.get(key), i) : "");
    const lines = [`${get("malignancy")} · confidence ${Number(get("confidence")).toFixed(2)}`, cells.text("reason", i),
      `${get("sample")} · ${get("donor")} · ${get("condition")} · cluster ${get("cluster")}`];
    if (get("author_label")) lines.push(`authors: ${get("author_label")}`);
    if (this.column.kind === "number") { const v = cells.value(this.column, i); lines.push(`${this.column.label}: ${v === null ? "no value" : this.column.group ? `about ${v.toPrecision(2)}` : v.toPrecision(3)}`); }
    lines.push(cells.text("id", i));
    tip.replaceChildren(make("b", { textContent: get("cell_type") }), ...lines.filter(Boolean).map((t) => make("span", { textContent: t })));
    const right = event.clientX + 360 > window.innerWidth;
    tip.style.left = right ? "auto" : event.clientX + 14 + "px";
    tip.style.right = right ? window.innerWidth - event.clientX + 14 + "px" : "auto";
    tip.style.top = Math.min(event.clientY + 14, window.innerHeight - 170) + "px";
  }
}

function map(payload, bytes) {
  const figure = $("#cells");
  if (!figure) return null;
  const cells = new Cells(payload.cells, bytes, payload.simulated);
  cells.mode = "pan";
  cells.named = true;
  $("#features").append(...cells.columns.map((column) => make("option", { value: column.label })));
  const views = [];
  let frame = 0;
  const changed = (moved) => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => { views.forEach((view) => { if (!moved) view.describe(); view.draw(); }); if (!moved) say(); });
  };
  const say = () => {
    const n = cells.count(), total = cells.n.toLocaleString("en");
    $(".status", figure).textContent = cells.selected ? `${n.toLocaleString("en")} cells selected` : n < cells.n ? `${n.toLocaleString("en")} of ${total} cells shown` : `${total} cells`;
    $("[data-clear]", figure).disabled = !cells.selected;
    summary();
  };
  const summary = () => {
    const box = $(".selection", figure);
    box.hidden = !cells.selected;
    if (!cells.selected) return;
    const { levels, shown, codes, colours } = cells.by.get("cell_type"), sizes = levels.map(() => 0);
    let n = 0;
    for (let i = 0; i < cells.n; i++) if (cells.selected[i] && cells.visible[i]) { sizes[codes[i]]++; n++; }
    const order = levels.map((_, k) => k).filter((k) => sizes[k]).sort((a, b) => sizes[b] - sizes[a]);
    box.replaceChildren(...order.map((k) => {
      const dot = make("i", { textContent: "● " });
      dot.style.color = colours[k];
      return make("p", {}, make("span", {}, dot, shown[k]), `${sizes[k].toLocaleString("en")} (${Math.round((100 * sizes[k]) / n)}%)`);
    }));
  };
  const starts = ["cell_type", cells.by.get("condition")?.levels.length > 1 ? "condition" : "malignancy"];
  $$("[data-map]", figure).forEach((root, k) => views.push(new View(root, cells, starts[k], changed)));
  $$("[data-mode]", figure).forEach((button) => button.addEventListener("click", () => {
    cells.mode = button.dataset.mode;
    $$("[data-mode]", figure).forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
    $$(".canvas", figure).forEach((box) => box.classList.toggle("lasso", cells.mode === "lasso"));
  }));
  $("[data-names]", figure).addEventListener("click", ({ target }) => { cells.named = !cells.named; target.setAttribute("aria-pressed", String(cells.named)); changed(true); });
  $("[data-reset]", figure).addEventListener("click", () => { cells.view = { x: 0, y: 0, zoom: 1 }; cells.hidden.clear(); cells.filter(); changed(); });
  $("[data-clear]", figure).addEventListener("click", () => { cells.selected = null; changed(); });
  $$("[data-get]", figure).forEach((button) => button.addEventListener("click", () => ({ svg: mapSvg, png: mapPng, tsv: mapTsv })[button.dataset.get](cells, views)));
  changed();
  return { cells, views, changed };
}

function legendOf(view) {
  const { column } = view;
  if (column.kind === "number") return [[VIRIDIS[0], column.low.toPrecision(3)], [VIRIDIS[4], ((column.low + column.high) / 2).toPrecision(3)], [VIRIDIS[7], column.high.toPrecision(3)]];
  const hidden = view.cells.hidden.get(column.key) ?? new Set();
  return column.shown.map((level, k) => [column.colours[k], level || "none", k]).filter(([, , k]) => !hidden.has(k));
}
function mapSvg(cells, views) {
  const side = 640, gap = 40, rows = Math.max(...views.map((v) => legendOf(v).length)), height = side + 60 + rows * 17;
  const escape = (t) => String(t).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const parts = views.map((view, k) => {
    const { column } = view, x0 = k * (side + gap), paths = new Map(), r = cells.n > 40000 ? 1.2 : cells.n > 5000 ? 2 : 4;
    for (let i = 0; i < cells.n; i++) {
      if (!cells.visible[i]) continue;
      const code = column.codes[i];
      const color = cells.selected && !cells.selected[i] ? "#e6e9ee" : column.kind === "category" ? column.colours[code] : code === 255 || code === undefined ? "#c9ced6" : hex(SCALE[Math.round((254 * code) / column.steps / 8) * 8] ?? SCALE[254]);
      if (!paths.has(color)) paths.set(color, []);
      paths.get(color).push(`M${(x0 + side / 2 + cells.x[i] * side * 0.94).toFixed(1)},${(30 + side / 2 + cells.y[i] * side * 0.94).toFixed(1)}h0`);
    }
    const dots = [...paths].map(([color, d]) => `<path d="${d.join("")}" stroke="${color}" stroke-width="${r}" stroke-linecap="round" fill="none"/>`).join("\n");
    const key = legendOf(view).map(([color, label], j) => `<circle cx="${x0 + 6}" cy="${side + 52 + j * 17}" r="5" fill="${color}"/><text x="${x0 + 17}" y="${side + 56 + j * 17}">${escape(label)}</text>`).join("");
    const mark = cells.simulated ? `<text x="${x0 + side / 2}" y="${side / 2 + 30}" font-size="80" font-weight="700" text-anchor="middle" opacity="0.1" transform="rotate(-24 ${x0 + side / 2} ${side / 2 + 30})">SIMULATED</text>` : "";
    const names = (cells.named ? view.names : []).map((name) => `<text x="${(x0 + side / 2 + name.x * side * 0.94).toFixed(1)}" y="${(34 + side / 2 + name.y * side * 0.94).toFixed(1)}" font-weight="600" text-anchor="middle" stroke="#fff" stroke-width="4" stroke-linejoin="round" paint-order="stroke">${escape(name.text)}</text>`).join("");
    return `<text x="${x0}" y="18" font-size="15" font-weight="600">${escape(column.label)}</text>${dots}${mark}${names}${key}`;
  });
  const width = views.length * side + gap;
  save("brainmet_map.svg", `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>${parts.join("\n")}</svg>`, "image/svg+xml");
}
function mapPng(cells, views) {
  const side = views[0].canvas.width, rows = Math.max(...views.map((v) => legendOf(v).length)), line = side / 32;
  const canvas = make("canvas", { width: side * 2 + 40, height: side + 70 + rows * line });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  views.forEach((view, k) => {
    const x = k * (side + 40);
    context.drawImage(view.canvas, x, 40);
    context.fillStyle = "#1f2530";
    context.font = `600 ${line}px sans-serif`;
    context.fillText(view.column.label, x, 28);
    context.font = `${line * 0.8}px sans-serif`;
    legendOf(view).forEach(([color, label], j) => {
      const y = side + 66 + j * line;
      context.fillStyle = color;
      context.beginPath();
      context.arc(x + line / 2, y - line * 0.28, line * 0.3, 0, 7);
      context.fill();
      context.fillStyle = "#1f2530";
      context.fillText(label, x + line * 1.2, y);
    });
  });
  canvas.toBlob((blob) => save("brainmet_map.png", blob));
}
function mapTsv(cells, views) {
  const columns = [...new Set([...cells.columns.filter((c) => !c.group), ...views.map((v) => v.column)])];
  const { meta: { x, y }, side } = cells, lines = [["cell_id", "umap_1", "umap_2", ...columns.map((c) => (c.group ? `${c.key}_in_${c.steps + 1}_steps` : c.key)), "selected", "reason"].join("\t")];
  for (let i = 0; i < cells.n; i++) {
    if (!cells.visible[i]) continue;
    const place = [(cells.x[i] * side + (x.low + x.high) / 2).toFixed(4), (-cells.y[i] * side + (y.low + y.high) / 2).toFixed(4)];
    const values = columns.map((c) => { const v = cells.value(c, i); return v === null ? "NA" : typeof v === "number" ? v.toPrecision(3) : v; });
    lines.push([cells.text("id", i), ...place, ...values, cells.selected?.[i] ? "True" : "False", cells.text("reason", i)].join("\t"));
  }
  save("brainmet_cells.tsv", lines.join("\n") + "\n", "text/tab-separated-values");
}

/* --- page ------------------------------------------------------------------------------------------------------------- */
function navigation() {
  const links = new Map($$("nav li a").map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  $$("main > section").forEach((section) => seen.observe(section));
}
function texts() {
  $$("[data-save]").forEach((b) => b.addEventListener("click", () => save(b.dataset.name, $("#" + b.dataset.save).textContent, "text/plain")));
  $$("[data-copy]").forEach((b) => b.addEventListener("click", async () => {
    const text = $("#" + b.dataset.copy).textContent;
    try { await navigator.clipboard.writeText(text); } catch { const area = make("textarea", { value: text }); document.body.append(area); area.select(); document.execCommand("copy"); area.remove(); }
    b.textContent = "Copied";
  }));
}

/** What is folded away on screen is printed (long tables are not), and figures are scaled to the paper. */
const PAPER = 660;
function printing() {
  const folded = () => $$("details.rest");
  window.addEventListener("beforeprint", () => {
    folded().forEach((d) => { d.dataset.open = d.open; d.open = true; });
    $$(".plot").forEach((plot) => { plot.style.zoom = Math.min(1, PAPER / plot.clientWidth); });
  });
  window.addEventListener("afterprint", () => {
    folded().forEach((d) => { d.open = d.dataset.open === "true"; });
    $$(".plot").forEach((plot) => { plot.style.zoom = ""; });
  });
}

async function start() {
  navigation();
  printing();
  texts();
  const [payload, bytes] = await Promise.all([unpack("payload").then((b) => JSON.parse(asText(b))), unpack("blob")]);
  const drawn = figures(payload), cells = map(payload, bytes);
  tables(payload);
  $("#theme").addEventListener("click", (event) => {
    const dark = document.documentElement.dataset.theme !== "dark";
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    event.target.setAttribute("aria-pressed", String(dark));
    drawn.redraw();
    cells?.changed();
  });
  window.brainmet = { payload, drawAll: drawn.drawAll, map: cells };
  document.documentElement.dataset.ready = "yes";
}
start().catch((error) => { console.error(error); document.documentElement.dataset.ready = "failed"; });
})();
