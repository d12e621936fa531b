/* Tables: built when they are opened, sorted by a press on a column, filtered by what is typed. */

class Rows {
  constructor(root, name, table) {
    Object.assign(this, { table, by: null, descending: false, query: "" });
    this.order = table.values[0].map((_, i) => i);
    this.numeric = table.values.map((column) => column.some((value) => typeof value === "number"));
    this.heads = table.columns.map((column, j) => this.head(column, j));
    this.body = make("tbody");
    const scroll = make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Table " + words(name) });
    scroll.append(make("table", {}, make("thead", {}, make("tr", {}, ...this.heads)), this.body));
    root.append(this.tools(name), scroll);
    this.fill();
  }

  tools(name) {
    const { table, order } = this;
    const label = "Filter rows of " + words(name);
    const filter = make("input", { type: "search", placeholder: "Filter rows", ariaLabel: label });
    filter.addEventListener("input", () => {
      this.query = filter.value.toLowerCase();
      this.fill();
    });
    const button = make("button", { type: "button", textContent: "TSV" });
    button.dataset.get = "tsv";
    button.addEventListener("click", () => saveTable(fileName(name, ""), linesOf(table)));
    const some = `First ${count(order.length)} of ${count(table.total)} rows; all: `;
    const link = make("a", { href: `tables/${name}.tsv`, textContent: name + ".tsv" });
    const note = make("span", { className: "quiet" }, order.length < table.total ? some : "All rows; file: ", link);
    return make("div", { className: "head" }, filter, button, note);
  }

  head(column, j) {
    const button = make("button", { type: "button", textContent: words(column) });
    button.addEventListener("click", () => {
      this.sort(j);
      this.fill();
    });
    return make("th", { scope: "col", className: this.numeric[j] ? "num" : "" }, button);
  }

  /** Order by a column, by the same one again downwards; missing values come last, ties stay in the file's order. */
  sort(j) {
    this.descending = this.by === j && !this.descending;
    this.by = j;
    const values = this.table.values[j];
    const sign = this.descending ? -1 : 1;
    this.order.sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return ((x > y) - (x < y)) * sign || a - b;
    });
    this.heads.forEach((head) => (head.ariaSort = "none"));
    this.heads[j].ariaSort = this.descending ? "descending" : "ascending";
  }

  fill() {
    const { values } = this.table;
    const found = (i) =>
      values.some((column) =>
        String(column[i] ?? "")
          .toLowerCase()
          .includes(this.query),
      );
    const shown = this.query ? this.order.filter(found) : this.order;
    this.body.replaceChildren(
      ...shown.map((i) => make("tr", {}, ...values.map((column, j) => this.cell(column[i], j)))),
    );
  }

  cell(value, j) {
    const text = value === null ? "–" : String(value);
    return make("td", {
      textContent: text,
      className: this.numeric[j] ? "num" : "",
      title: text.length > 40 ? text : "",
    });
  }
}

function tables(payload) {
  for (const node of $$("details[data-table]")) {
    node.addEventListener("toggle", () => {
      const rows = $(".rows", node);
      const { table } = node.dataset;
      if (node.open && rows && !rows.childElementCount) new Rows(rows, table, payload.tables[table]);
    });
  }
}
