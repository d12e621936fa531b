/* Cells: what is known of each one, unpacked from bytes, and which of them are shown. */

const VIRIDIS = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
const GREY = "#c9ced6";
const PALE = "#e6e9ee";
const MISSING = 255;
const NUMBER = { precision: 3, approximate: 2 };
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const hex = (color) => "#" + color.map((v) => v.toString(16).padStart(2, "0")).join("");
/** A colour as the 32 bits of a pixel, opaque. */
const pixel = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** The colour at a share (0 to 1) of the scale of numbers. */
function viridis(share) {
  const x = share * (VIRIDIS.length - 1);
  const k = Math.min(Math.floor(x), VIRIDIS.length - 2);
  const [low, high] = [rgb(VIRIDIS[k]), rgb(VIRIDIS[k + 1])];
  return low.map((v, channel) => Math.round(v + (high[channel] - v) * (x - k)));
}

class Cells {
  constructor(meta, bytes, simulated) {
    const { n, x, y } = meta;
    Object.assign(this, { n, meta, simulated });
    this.view = (Type, offset, length = n) => new Type(bytes.buffer, bytes.byteOffset + offset, length);
    const span = { x: x.high - x.low || 1, y: y.high - y.low || 1 };
    const side = Math.max(span.x, span.y);
    this.side = side;
    // The middle of the map is 0, 0 and its longer side is 1.
    this.x = Float32Array.from(this.view(Uint16Array, x.offset), (v) => ((v / 65535 - 0.5) * span.x) / side);
    this.y = Float32Array.from(this.view(Uint16Array, y.offset), (v) => ((0.5 - v / 65535) * span.y) / side);
    this.columns = meta.columns.map((column) => {
      const codes = this.view(column.bytes === 2 ? Uint16Array : Uint8Array, column.offset, column.n ?? n);
      return { ...column, codes };
    });
    this.by = new Map(this.columns.map((column) => [column.key, column]));
    this.texts = { reason: this.lazy(meta.reason), id: this.lazy(meta.id) };
    this.visible = new Uint8Array(n).fill(1);
    this.selected = null;
    this.hidden = new Map();
    this.mode = "pan";
    this.named = true;
    this.home();
  }

  home() {
    this.camera = { x: 0, y: 0, zoom: 1 };
  }

  /** Texts are many: they are read when the first one is asked for. */
  lazy({ offset, text, bytes }) {
    const codes = this.view(Uint32Array, offset);
    let levels;
    return (i) => {
      levels ??= asText(this.view(Uint8Array, text, bytes)).split("\n");
      return levels[codes[i]];
    };
  }

  text(name, i) {
    return this.texts[name](i);
  }

  /** A point of the layout as a point of the map. */
  at([u, v]) {
    const { x, y } = this.meta;
    return { x: (u - (x.low + x.high) / 2) / this.side, y: ((y.low + y.high) / 2 - v) / this.side };
  }

  /** Coordinates of a cell in the layout. */
  layout(i) {
    const { x, y } = this.meta;
    return [this.x[i] * this.side + (x.low + x.high) / 2, -this.y[i] * this.side + (y.low + y.high) / 2];
  }

  /** Whether a cell has no value in a column of numbers: beyond the last code are cells that carry none. */
  lacks(column, i) {
    return column.kind === "number" && (column.codes[i] === undefined || column.codes[i] === MISSING);
  }

  value(column, i) {
    if (column.kind === "category") return column.levels[column.codes[i]];
    if (this.lacks(column, i)) return null;
    return column.low + ((column.high - column.low) * column.codes[i]) / column.steps;
  }

  /** A cell's value as people read it. */
  shown(column, i) {
    return column.kind === "category" ? column.shown[column.codes[i]] : this.value(column, i);
  }

  /** Show the cells none of whose levels is hidden. */
  filter() {
    this.visible.fill(1);
    for (const [key, hidden] of this.hidden) {
      const { codes } = this.by.get(key);
      for (let i = 0; hidden.size && i < this.n; i++) if (hidden.has(codes[i])) this.visible[i] = 0;
    }
  }

  /** Whether a cell is shown in colour. */
  counts(i) {
    return this.visible[i] && (!this.selected || this.selected[i]);
  }

  count() {
    let n = 0;
    for (let i = 0; i < this.n; i++) if (this.counts(i)) n++;
    return n;
  }

  /** Counted cells of each level of a category. */
  sizes(column, counted = () => true) {
    const sizes = column.levels.map(() => 0);
    for (let i = 0; i < this.n; i++) if (counted(i)) sizes[column.codes[i]]++;
    return sizes;
  }

  /** The colours of a column's codes. */
  shades(column) {
    if (column.kind === "category") return column.colours.map(rgb);
    return Array.from({ length: column.steps + 1 }, (_, code) => viridis(code / column.steps));
  }

  /** Names to write on a map, largest first: those with a place of their own, while most of their cells are shown. */
  names(column) {
    const category = column.kind === "category" ? column : this.by.get("cell_type");
    const sizes = this.sizes(category);
    const seen = this.sizes(category, (i) => this.counts(i));
    return category.places
      .map((place, k) => ({ place, k }))
      .filter(({ place, k }) => place && 2 * seen[k] > sizes[k])
      .map(({ place, k }) => ({ ...this.at(place), text: category.shown[k], size: sizes[k] }))
      .sort((a, b) => b.size - a.size);
  }

  /** What a column's legend lists: colour, text, and the code of a level. */
  legend(column) {
    if (column.kind === "number") {
      const { low, high } = column;
      const ends = [
        [0, low],
        [0.5, (low + high) / 2],
        [1, high],
      ];
      return ends.map(([share, value]) => [hex(viridis(share)), value.toPrecision(NUMBER.precision)]);
    }
    const hidden = this.hidden.get(column.key) ?? new Set();
    return column.shown.map((level, k) => [column.colours[k], level || "none", k]).filter(([, , k]) => !hidden.has(k));
  }
}
