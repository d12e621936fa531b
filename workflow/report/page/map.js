/* The map of cells: two views of the same cells, drawn on canvases. */

const HINT = "Click hides or shows; double-click, or Shift and click, shows only this";
/** Radius of a cell in a canvas 500 pixels wide, by how many cells there are at least. */
const RADII = [
  [60000, 0.9],
  [30000, 1.2],
  [12000, 1.6],
  [4000, 2.1],
  [1200, 2.8],
  [0, 3.6],
];

class View {
  constructor(root, cells, start, changed) {
    Object.assign(this, { root, cells, changed });
    this.canvas = $("canvas", root);
    this.legend = $(".legend", root);
    this.select = $("[data-colour]", root);
    this.fillSelect();
    this.select.value = cells.by.has(start) ? start : cells.columns[0].key;
    this.select.addEventListener("change", () => {
      this.describe();
      this.draw();
    });
    const search = $("[data-find]", root);
    search.addEventListener("change", () => this.find(search));
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.describe();
  }

  get column() {
    return this.cells.by.get(this.select.value);
  }

  fillSelect() {
    const groups = new Map();
    for (const column of this.cells.columns) {
      const name = column.group ?? (column.kind === "category" ? "Cells" : "Numbers");
      if (!groups.has(name)) groups.set(name, make("optgroup", { label: name }));
      groups.get(name).append(make("option", { value: column.key, textContent: column.label }));
    }
    this.select.append(...groups.values());
  }

  /** Colour by the gene or signature that was typed. */
  find(search) {
    const wanted = search.value.trim().toLowerCase();
    const column = this.cells.columns.find(({ label, key }) =>
      [label.toLowerCase(), key.toLowerCase()].includes(wanted),
    );
    if (!column) {
      const lacking = `“${search.value}” is neither a gene of interest nor a signature of this run`;
      $("#cells .status").textContent = wanted && lacking;
      return;
    }
    this.select.value = column.key;
    this.select.dispatchEvent(new Event("change"));
    search.value = "";
  }

  /* --- the legend ------------------------------------------------------------------------------------------------- */

  describe() {
    this.names = this.cells.names(this.column);
    if (this.column.kind === "number") this.legend.replaceChildren(this.scale());
    else this.listLevels();
  }

  scale() {
    const { low, high, note } = this.column;
    const bar = make("div");
    bar.style.background = `linear-gradient(90deg, ${VIRIDIS.join(",")})`;
    const ends = [low, high].map((value) => make("span", { textContent: value.toPrecision(NUMBER.precision) }));
    const unit = note ? [make("p", { textContent: `log1p per 10,000; ${note}` })] : [];
    return make("div", { className: "scale" }, bar, make("span", {}, ...ends), ...unit);
  }

  listLevels() {
    const { column, cells, legend } = this;
    const sizes = cells.sizes(column);
    const hidden = cells.hidden.get(column.key) ?? new Set();
    const focused = legend.contains(document.activeElement) ? document.activeElement.dataset.level : undefined;
    const buttons = column.levels.map((_, k) => this.level(k, sizes[k], hidden));
    legend.replaceChildren(...buttons);
    // The buttons are new: the keyboard stays where it was.
    if (focused !== undefined)
      buttons.find((button) => button.dataset.level === focused)?.focus({ preventScroll: true });
  }

  level(k, size, hidden) {
    const { column } = this;
    const dot = make("i");
    dot.style.background = column.colours[k];
    const text = `${column.shown[k] || "none"} (${count(size)})`;
    const button = make("button", { type: "button", ariaPressed: String(!hidden.has(k)), title: HINT }, dot, text);
    button.dataset.level = column.levels[k];
    const others = column.levels.map((_, j) => j).filter((j) => j !== k);
    const toggled = hidden.has(k) ? [...hidden].filter((j) => j !== k) : [...hidden, k];
    button.addEventListener("click", (event) => this.hide(event.shiftKey ? others : toggled));
    button.addEventListener("dblclick", () => this.hide(others));
    return button;
  }

  hide(codes) {
    this.cells.hidden.set(this.column.key, new Set(codes));
    this.cells.filter();
    this.changed();
  }

  /* --- drawing ---------------------------------------------------------------------------------------------------- */

  radius() {
    const [, base] = RADII.find(([least]) => this.cells.n >= least);
    const wanted = (this.canvas.width / 500) * base * Math.pow(this.cells.camera.zoom, 0.4);
    return Math.min(9, Math.max(1, wanted));
  }

  /** How points of the map become pixels: x * scale + dx, y * scale + dy. */
  place() {
    const { width, height } = this.canvas;
    const { x, y, zoom } = this.cells.camera;
    const scale = Math.min(width, height) * 0.94 * zoom;
    return { scale, dx: width / 2 - x * scale, dy: height / 2 - y * scale };
  }

  draw() {
    const ratio = this.fit();
    if (!ratio) return;
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(width, height);
    this.paint(new Uint32Array(image.data.buffer));
    context.putImageData(image, 0, 0);
    if (this.cells.simulated) this.watermark(context);
    if (this.cells.named) this.write(context, ratio);
    if (this.loop) this.outline(context);
    this.root.dataset.drawn = this.column.key;
  }

  /** Give the canvas as many pixels as the screen has there; returns pixels per unit of the page, 0 out of sight. */
  fit() {
    const box = this.canvas.getBoundingClientRect();
    if (!box.width) return 0;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const size = { width: Math.round(box.width * ratio), height: Math.round(box.height * ratio) };
    if (this.canvas.width !== size.width || this.canvas.height !== size.height) Object.assign(this.canvas, size);
    return ratio;
  }

  /** Cells as discs, the later above the earlier: not selected, without a value, not expressed, all others. */
  paint(pixels) {
    const { cells, column } = this;
    const shades = cells.shades(column).map(pixel);
    const [faint, grey] = [pixel(rgb(style("--grid"))), pixel(rgb(GREY))];
    const dot = this.brush(pixels);
    const isGene = column.key.startsWith("gene:");
    const layers = [
      [(i) => cells.visible[i] && !cells.counts(i), () => faint],
      [(i) => cells.counts(i) && cells.lacks(column, i), () => grey],
      [(i) => cells.counts(i) && isGene && column.codes[i] === 0, () => shades[0]],
      [
        (i) => cells.counts(i) && !cells.lacks(column, i) && !(isGene && column.codes[i] === 0),
        (i) => shades[column.codes[i]],
      ],
    ];
    for (const [belongs, colour] of layers) {
      for (let i = 0; i < cells.n; i++) if (belongs(i)) dot(i, colour(i));
    }
  }

  /** What paints the disc of a cell. */
  brush(pixels) {
    const { cells } = this;
    const { width, height } = this.canvas;
    const { scale, dx, dy } = this.place();
    const r = this.radius();
    const reach = Math.ceil(r);
    const disc = [];
    for (let a = -reach; a <= reach; a++)
      for (let b = -reach; b <= reach; b++) if (a * a + b * b <= r * r) disc.push([a, b]);
    return (i, colour) => {
      const x = Math.round(cells.x[i] * scale + dx);
      const y = Math.round(cells.y[i] * scale + dy);
      if (x < -reach || y < -reach || x >= width + reach || y >= height + reach) return;
      for (const [a, b] of disc) {
        const [p, q] = [x + a, y + b];
        if (p >= 0 && q >= 0 && p < width && q < height) pixels[q * width + p] = colour;
      }
    };
  }

  watermark(context) {
    const { width, height } = this.canvas;
    context.save();
    context.translate(width / 2, height / 2);
    context.rotate(-0.42);
    context.font = `700 ${Math.round(width / 9)}px ${style("--font")}`;
    context.textAlign = "center";
    context.fillStyle = style("--ink");
    context.globalAlpha = 0.09;
    context.fillText("SIMULATED", 0, 0);
    context.restore();
  }

  /** The names, larger groups first; one that would lie on another is left out until there is room. */
  write(context, ratio) {
    const { scale, dx, dy } = this.place();
    const { width, height } = this.canvas;
    const size = 12.5 * ratio;
    Object.assign(context, {
      font: `600 ${size}px ${style("--font")}`,
      textAlign: "center",
      textBaseline: "middle",
      lineJoin: "round",
      lineWidth: size / 3,
      strokeStyle: style("--card"),
      fillStyle: style("--ink"),
    });
    const written = [];
    for (const name of this.names) {
      const [middle, y] = [name.x * scale + dx, name.y * scale + dy];
      if (y < 0 || y > height || middle < 0 || middle > width) continue;
      const half = context.measureText(name.text).width / 2 + 3 * ratio;
      const x = Math.max(half, Math.min(width - half, middle));
      const touches = (other) => Math.abs(other.x - x) < other.half + half && Math.abs(other.y - y) < size * 1.15;
      if (written.some(touches)) continue;
      written.push({ x, y, half });
      context.strokeText(name.text, x, y);
      context.fillText(name.text, x, y);
    }
  }

  outline(context) {
    context.beginPath();
    for (const [x, y] of this.loop) context.lineTo(x, y);
    context.closePath();
    context.lineWidth = 2;
    context.strokeStyle = style("--ink");
    context.stroke();
  }

  /* --- mouse, keyboard -------------------------------------------------------------------------------------------- */

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => this.release());
    canvas.addEventListener("pointercancel", () => this.release());
    canvas.addEventListener("pointerleave", () => ($("#tip").hidden = true));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** Where the pointer is, in pixels of the canvas. */
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / box.width;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.from = this.point(event);
    if (this.cells.mode === "lasso") this.loop = [this.from];
  }

  move(event) {
    const at = this.point(event);
    if (!this.from) {
      this.hover(event, at);
    } else if (this.loop) {
      this.loop.push(at);
      this.draw();
    } else {
      const { scale } = this.place();
      this.shift((this.from[0] - at[0]) / scale, (this.from[1] - at[1]) / scale);
      this.from = at;
    }
  }

  release() {
    const { loop } = this;
    this.from = null;
    this.loop = null;
    if (!loop) return;
    if (loop.length > 2) this.pick(loop);
    this.changed();
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 1.18 : 1 / 1.18, this.point(event));
  }

  key(event) {
    const step = 0.08 / this.cells.camera.zoom;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) {
      this.shift(...moves[event.key]);
      event.preventDefault();
    }
    if (event.key === "+" || event.key === "=") this.zoom(1.25);
    if (event.key === "-") this.zoom(0.8);
  }

  shift(x, y) {
    this.cells.camera.x += x;
    this.cells.camera.y += y;
    this.changed(true);
  }

  /** Zoom by a factor around a pixel, which keeps its place. */
  zoom(factor, at = [this.canvas.width / 2, this.canvas.height / 2]) {
    const { camera } = this.cells;
    const { width, height } = this.canvas;
    const before = this.place();
    const [x, y] = [(at[0] - before.dx) / before.scale, (at[1] - before.dy) / before.scale];
    camera.zoom = Math.max(0.5, Math.min(60, camera.zoom * factor));
    const { scale } = this.place();
    camera.x = x - (at[0] - width / 2) / scale;
    camera.y = y - (at[1] - height / 2) / scale;
    this.changed(true);
  }

  /** Select the cells inside a loop; none, if there are none. */
  pick(loop) {
    const { cells } = this;
    const { scale, dx, dy } = this.place();
    const inside = Uint8Array.from(
      cells.visible,
      (visible, i) => visible && encloses(loop, cells.x[i] * scale + dx, cells.y[i] * scale + dy),
    );
    cells.selected = inside.includes(1) ? inside : null;
  }

  /** The shown cell nearest to a pixel; -1 where none is near. */
  nearest([x, y]) {
    const { cells } = this;
    const { scale, dx, dy } = this.place();
    let best = -1;
    let least = (this.radius() + 6) ** 2;
    for (let i = 0; i < cells.n; i++) {
      if (!cells.visible[i]) continue;
      const distance = (cells.x[i] * scale + dx - x) ** 2 + (cells.y[i] * scale + dy - y) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  hover(event, at) {
    const tip = $("#tip");
    const i = this.nearest(at);
    tip.hidden = i < 0;
    if (i < 0) return;
    const [title, ...lines] = this.about(i);
    tip.replaceChildren(make("b", { textContent: title }), ...lines.map((line) => make("span", { textContent: line })));
    const isRight = event.clientX + 360 > window.innerWidth;
    tip.style.left = isRight ? "auto" : event.clientX + 14 + "px";
    tip.style.right = isRight ? window.innerWidth - event.clientX + 14 + "px" : "auto";
    tip.style.top = Math.min(event.clientY + 14, window.innerHeight - 170) + "px";
  }

  /** What is known of a cell, line by line. */
  about(i) {
    const { cells, column } = this;
    const get = (key) => (cells.by.has(key) ? cells.shown(cells.by.get(key), i) : "");
    const lines = [
      get("cell_type"),
      `${get("malignancy")} · confidence ${Number(get("confidence")).toFixed(2)}`,
      cells.text("reason", i),
      `${get("sample")} · ${get("donor")} · ${get("condition")} · cluster ${get("cluster")}`,
    ];
    if (get("author_label")) lines.push(`authors: ${get("author_label")}`);
    if (column.kind === "number") lines.push(`${column.label}: ${this.number(i)}`);
    return [...lines, cells.text("id", i)].filter(Boolean);
  }

  /** A cell's value in words; signatures and genes are carried in steps. */
  number(i) {
    const value = this.cells.value(this.column, i);
    if (value === null) return "no value";
    return this.column.group ? `about ${value.toPrecision(NUMBER.approximate)}` : value.toPrecision(NUMBER.precision);
  }
}

/** Whether a loop encloses a point: a ray from it crosses the loop an odd number of times. */
function encloses(loop, x, y) {
  let inside = false;
  let [ax, ay] = loop[loop.length - 1];
  for (const [bx, by] of loop) {
    if (by > y !== ay > y && x < ((ax - bx) * (y - by)) / (ay - by) + bx) inside = !inside;
    [ax, ay] = [bx, by];
  }
  return inside;
}

/** Two views of the cells and the tools they share. */
function map(payload, bytes) {
  const figure = $("#cells");
  if (!figure) return null;
  const cells = new Cells(payload.cells, bytes, payload.simulated);
  $("#features").append(...cells.columns.map((column) => make("option", { value: column.label })));
  const views = [];
  let frame = 0;
  const changed = (moved) => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      if (!moved) views.forEach((view) => view.describe());
      views.forEach((view) => view.draw());
      if (!moved) say(figure, cells);
    });
  };
  const starts = ["cell_type", cells.by.get("condition")?.levels.length > 1 ? "condition" : "malignancy"];
  $$("[data-map]", figure).forEach((root, k) => views.push(new View(root, cells, starts[k], changed)));
  tools(figure, cells, views, changed);
  changed();
  return { cells, views, changed };
}

/** How many cells are shown or selected, and of what types the selected ones are. */
function say(figure, cells) {
  const [n, total] = [count(cells.count()), count(cells.n)];
  const shown = n === total ? `${total} cells` : `${n} of ${total} cells shown`;
  $(".status", figure).textContent = cells.selected ? `${n} cells selected` : shown;
  $("[data-clear]", figure).disabled = !cells.selected;
  const box = $(".selection", figure);
  box.hidden = !cells.selected;
  if (cells.selected) box.replaceChildren(...selection(cells));
}

function selection(cells) {
  const column = cells.by.get("cell_type");
  const sizes = cells.sizes(column, (i) => cells.counts(i));
  const n = cells.count();
  const largest = sizes
    .map((_, k) => k)
    .filter((k) => sizes[k])
    .sort((a, b) => sizes[b] - sizes[a]);
  return largest.map((k) => {
    const dot = make("i", { textContent: "● " });
    dot.style.color = column.colours[k];
    const share = Math.round((100 * sizes[k]) / n);
    return make("p", {}, make("span", {}, dot, column.shown[k]), `${count(sizes[k])} (${share}%)`);
  });
}

function tools(figure, cells, views, changed) {
  const press = (selector, act) =>
    $$(selector, figure).forEach((button) => button.addEventListener("click", () => act(button)));
  press("[data-mode]", (pressed) => {
    cells.mode = pressed.dataset.mode;
    for (const button of $$("[data-mode]", figure)) button.ariaPressed = String(button === pressed);
    for (const box of $$(".canvas", figure)) box.classList.toggle("lasso", cells.mode === "lasso");
  });
  press("[data-names]", (button) => {
    cells.named = !cells.named;
    button.ariaPressed = String(cells.named);
    changed(true);
  });
  press("[data-reset]", () => {
    cells.home();
    cells.hidden.clear();
    cells.filter();
    changed();
  });
  press("[data-clear]", () => {
    cells.selected = null;
    changed();
  });
  const files = { svg: mapSvg, png: mapPng, tsv: mapTsv };
  press("[data-get]", (button) => files[button.dataset.get](cells, views));
}
