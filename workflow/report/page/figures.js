/* Figures: specifications that plotly draws when they come into sight. */

const AXES = ["xaxis", "yaxis", "xaxis2", "yaxis2"];
/** Figures narrower than this shorten the names of rows; rows lower than this hold one line; characters of a line. */
const [NARROW, TWO_LINES, LINE] = [520, 24, 22];

/** A layout in the page's style; on simulated data with a watermark. */
function dress(layout, simulated) {
  const legend = { orientation: "h", x: 0, y: 1, yanchor: "bottom", xanchor: "left", font: { size: 11.5 } };
  const dressed = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 10, r: 16, t: 10, b: 10 },
    hovermode: "closest",
    font: { family: style("--font").replaceAll('"', ""), size: 12, color: style("--ink") },
    hoverlabel: { align: "left", font: { size: 12 } },
    bargap: 0.25,
    ...layout,
    legend: { ...legend, ...layout.legend },
  };
  const first = AXES.slice(0, 2);
  for (const name of AXES.filter((axis) => layout[axis] || first.includes(axis)))
    dressed[name] = dressAxis(layout[name]);
  if (simulated) dressed.annotations = [...(layout.annotations ?? []), watermark(layout.height ?? 400)];
  return dressed;
}

function dressAxis(axis) {
  const lines = { gridcolor: style("--grid"), linecolor: style("--line"), zerolinecolor: style("--grid") };
  return { ...lines, automargin: true, ...axis, title: { standoff: 12, ...axis?.title } };
}

function watermark(height) {
  return {
    text: "SIMULATED",
    name: "watermark",
    xref: "paper",
    yref: "paper",
    x: 0.5,
    y: 0.5,
    showarrow: false,
    textangle: -24,
    opacity: 0.1,
    font: { size: Math.max(26, Math.min(64, height / 7)), color: style("--ink") },
    captureevents: false,
  };
}

/** On a narrow screen long names of rows would leave a figure no room: they are broken, or cut where rows are low. */
function narrowed(layout, data, width) {
  if (width > NARROW || layout.yaxis?.type !== "category") return layout;
  const names = [...new Set(data.flatMap((trace) => trace.y ?? []))];
  const font = { ...layout.yaxis.tickfont, size: 9 };
  const fit = layout.height / names.length < TWO_LINES ? cut : twoLines;
  const ticks = { tickmode: "array", tickvals: names, ticktext: names.map(fit), tickfont: font };
  return { ...layout, yaxis: { ...layout.yaxis, ...ticks } };
}

/** A name in two lines of about `LINE` characters, broken between words: of a longer one the beginning and the end. */
function twoLines(name) {
  const lines = [""];
  for (const word of String(name).split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length <= LINE || !lines.at(-1)) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  const [first, ...others] = lines.map(cut);
  return others.length > 1 ? `${first}<br>… ${others.at(-1)}` : [first, ...others].join("<br>");
}

const cut = (name) => (String(name).length > LINE ? String(name).slice(0, LINE - 1) + "…" : String(name));

class Figure {
  constructor(node, spec, simulated) {
    Object.assign(this, { node, spec, simulated, id: node.dataset.figure });
    this.plot = $(".plot", node);
    this.choice = $("[data-choose]", node);
    this.choice?.addEventListener("change", () => this.draw());
    for (const button of $$("[data-get]", node)) button.addEventListener("click", () => this.get(button.dataset.get));
    this.plot.style.minHeight = this.height + "px";
  }

  get variant() {
    return this.spec.variants[Number(this.choice?.value ?? 0)];
  }

  get height() {
    return this.variant.layout.height ?? 300;
  }

  async draw() {
    const library = await plotly();
    const { data, layout, label } = this.variant;
    this.plot.style.minHeight = this.height + "px";
    const options = { responsive: true, displayModeBar: false };
    const fitting = narrowed(layout, data, this.plot.clientWidth);
    await library.react(this.plot, structuredClone(data), dress(fitting, this.simulated), options);
    this.plot.setAttribute("aria-label", this.spec.alt + (label ? ` Shown: ${label}.` : ""));
    this.node.dataset.drawn = label || "yes";
  }

  /** Offer what is shown as a picture or as the table behind it. */
  async get(kind) {
    const { label, table } = this.variant;
    if (kind === "tsv") return saveTable(fileName(this.id, label), linesOf(table));
    const url = await this.picture(kind);
    const blob = await (await fetch(url)).blob();
    return save(`${fileName(this.id, label)}.${kind}`, blob);
  }

  /** The figure with its title on white, as a data URL. */
  async picture(format) {
    const library = await plotly();
    const { data, layout, label } = this.variant;
    const text = this.spec.title + (label ? `<br><sup>${label}</sup>` : "");
    const onPaper = {
      ...dress(layout, this.simulated),
      title: { text, x: 0.02, xanchor: "left", font: { size: 15 } },
      paper_bgcolor: "#fff",
      plot_bgcolor: "#fff",
      margin: { l: 10, r: layout.margin?.r ?? 16, t: 84, b: 20 },
    };
    const width = Math.max(700, this.plot.clientWidth);
    const size = { format, width, height: (layout.height ?? 400) + 80, scale: 2 };
    return library.toImage({ data: structuredClone(data), layout: onPaper }, size);
  }
}

/** Draw figures as they come into sight; `drawAll` draws the others too, `redraw` those that are drawn. */
function figures(payload) {
  const all = $$("[data-figure]").map(
    (node) => new Figure(node, payload.figures[node.dataset.figure], payload.simulated),
  );
  const waiting = new Map(all.map((figure) => [figure.node, figure]));
  const drawOnce = (figure) => (waiting.delete(figure.node) ? figure.draw() : undefined);
  const sight = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        sight.unobserve(target);
        if (waiting.has(target)) drawOnce(waiting.get(target));
      }
    },
    { rootMargin: "500px" },
  );
  for (const figure of all) sight.observe(figure.node);
  window.addEventListener("beforeprint", () => all.forEach(drawOnce));
  return {
    drawAll: () => Promise.all(all.map(drawOnce)),
    redraw: () => all.filter((figure) => figure.node.dataset.drawn).forEach((figure) => figure.draw()),
  };
}
