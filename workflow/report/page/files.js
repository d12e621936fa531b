/* The maps as files: what is shown, with the legends, as SVG, PNG and a table. */

const [INK, SIDE, GAP] = ["#1f2530", 640, 40];
const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const longest = (cells, views) => Math.max(...views.map((view) => cells.legend(view.column).length));

function mapSvg(cells, views) {
  const width = views.length * SIDE + GAP;
  const height = SIDE + 60 + longest(cells, views) * 17;
  const parts = views.map((view, k) => svgOf(cells, view, k * (SIDE + GAP)));
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  const paper = '<rect width="100%" height="100%" fill="#fff"/>';
  const root = `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="12">`;
  save("brainmet_map.svg", `${root}${paper}${parts.join("\n")}</svg>`, "image/svg+xml");
}

/** One map with its title and legend, from `left` on. */
function svgOf(cells, view, left) {
  const { column } = view;
  const middle = left + SIDE / 2;
  const title = `<text x="${left}" y="18" font-size="15" font-weight="600">${escaped(column.label)}</text>`;
  const turn = `transform="rotate(-24 ${middle} ${SIDE / 2 + 30})"`;
  const faint = `font-size="80" font-weight="700" text-anchor="middle" opacity="0.1"`;
  const mark = `<text x="${middle}" y="${SIDE / 2 + 30}" ${faint} ${turn}>SIMULATED</text>`;
  const key = cells.legend(column).map(([colour, label], j) => {
    const y = SIDE + 52 + j * 17;
    const dot = `<circle cx="${left + 6}" cy="${y}" r="5" fill="${colour}"/>`;
    return `${dot}<text x="${left + 17}" y="${y + 4}">${escaped(label)}</text>`;
  });
  const halo = 'stroke="#fff" stroke-width="4" stroke-linejoin="round" paint-order="stroke"';
  const names = (cells.named ? view.names : []).map((name) => {
    const [x, y] = [middle + name.x * SIDE * 0.94, 34 + SIDE / 2 + name.y * SIDE * 0.94].map((v) => v.toFixed(1));
    return `<text x="${x}" y="${y}" font-weight="600" text-anchor="middle" ${halo}>${escaped(name.text)}</text>`;
  });
  return [title, svgDots(cells, column, middle), cells.simulated ? mark : "", ...names, ...key].join("");
}

/** Cells as round ends of lines without length, one path per colour: small files. */
function svgDots(cells, column, middle) {
  const shades = cells.shades(column).map(hex);
  const paths = new Map();
  for (let i = 0; i < cells.n; i++) {
    if (!cells.visible[i]) continue;
    const own = cells.lacks(column, i) ? GREY : shades[column.codes[i]];
    const colour = cells.counts(i) ? own : PALE;
    if (!paths.has(colour)) paths.set(colour, []);
    const [x, y] = [middle + cells.x[i] * SIDE * 0.94, 30 + SIDE / 2 + cells.y[i] * SIDE * 0.94];
    paths.get(colour).push(`M${x.toFixed(1)},${y.toFixed(1)}h0`);
  }
  const width = [
    [40000, 1.2],
    [5000, 2],
    [-1, 4],
  ].find(([least]) => cells.n > least)[1];
  const line = `stroke-width="${width}" stroke-linecap="round" fill="none"`;
  return [...paths].map(([colour, d]) => `<path d="${d.join("")}" stroke="${colour}" ${line}/>`).join("\n");
}

function mapPng(cells, views) {
  const side = views[0].canvas.width;
  const line = side / 32;
  const height = side + 70 + longest(cells, views) * line;
  const canvas = make("canvas", { width: side * 2 + GAP, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  views.forEach((view, k) => {
    const x = k * (side + GAP);
    context.drawImage(view.canvas, x, 40);
    context.fillStyle = INK;
    context.font = `600 ${line}px sans-serif`;
    context.fillText(view.column.label, x, 28);
    context.font = `${line * 0.8}px sans-serif`;
    cells.legend(view.column).forEach(([colour, label], j) => {
      const y = side + 66 + j * line;
      context.fillStyle = colour;
      context.beginPath();
      context.arc(x + line / 2, y - line * 0.28, line * 0.3, 0, 2 * Math.PI);
      context.fill();
      context.fillStyle = INK;
      context.fillText(label, x + line * 1.2, y);
    });
  });
  canvas.toBlob((blob) => save("brainmet_map.png", blob));
}

/** The shown cells: coordinates, what is known of them, and what the maps are coloured by. */
function mapTsv(cells, views) {
  const always = cells.columns.filter((column) => !column.group);
  const columns = [...new Set([...always, ...views.map((view) => view.column)])];
  const named = columns.map(({ key, group, steps }) => (group ? `${key}_in_${steps + 1}_steps` : key));
  const lines = [["cell_id", "umap_1", "umap_2", ...named, "selected", "reason"]];
  for (let i = 0; i < cells.n; i++) {
    if (!cells.visible[i]) continue;
    const values = columns.map((column) => {
      const value = cells.value(column, i);
      return typeof value === "number" ? value.toPrecision(NUMBER.precision) : value;
    });
    const at = cells.layout(i).map((v) => v.toFixed(4));
    lines.push([
      cells.text("id", i),
      ...at,
      ...values,
      cells.selected?.[i] ? "True" : "False",
      cells.text("reason", i),
    ]);
  }
  saveTable("brainmet_cells", lines);
}
