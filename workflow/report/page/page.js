/* The page itself: where one is, texts to take along, paper, and the start of it all. */

/** Width of a sheet of paper, to which figures are scaled, in pixels. */
const PAPER = 660;

/** Mark the section that is read in the list of sections. */
function navigation() {
  const links = new Map($$("nav li a").map((link) => [link.hash.slice(1), link]));
  const sight = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        links.forEach((link) => link.removeAttribute("aria-current"));
        links.get(target.id)?.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-20% 0px -70% 0px" },
  );
  for (const section of $$("main > section")) sight.observe(section);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page opened from a file may have no clipboard.
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function texts() {
  const textOf = (id) => $("#" + id).textContent;
  for (const button of $$("[data-save]")) {
    const { save: id, name } = button.dataset;
    button.addEventListener("click", () => save(name, textOf(id), "text/plain"));
  }
  for (const button of $$("[data-copy]")) {
    button.addEventListener("click", async () => {
      await copy(textOf(button.dataset.copy));
      button.textContent = "Copied";
    });
  }
}

/** What is folded away on screen is printed (long tables are not), and figures are scaled to the paper. */
function printing() {
  const folded = () => $$("details.rest");
  window.addEventListener("beforeprint", () => {
    for (const details of folded()) {
      details.dataset.open = details.open;
      details.open = true;
    }
    for (const plot of $$(".plot")) plot.style.zoom = Math.min(1, PAPER / plot.clientWidth);
  });
  window.addEventListener("afterprint", () => {
    for (const details of folded()) details.open = details.dataset.open === "true";
    for (const plot of $$(".plot")) plot.style.zoom = "";
  });
}

function theme(redraw) {
  $("#theme").addEventListener("click", (event) => {
    const root = document.documentElement;
    const dark = root.dataset.theme !== "dark";
    root.dataset.theme = dark ? "dark" : "light";
    event.target.setAttribute("aria-pressed", String(dark));
    redraw();
  });
}

async function start() {
  navigation();
  printing();
  texts();
  const [json, bytes] = await Promise.all([unpack("payload"), unpack("blob")]);
  const payload = JSON.parse(asText(json));
  const drawn = figures(payload);
  const cells = map(payload, bytes);
  tables(payload);
  theme(() => {
    drawn.redraw();
    cells?.changed();
  });
  window.brainmet = { payload, drawAll: drawn.drawAll, map: cells };
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  console.error(error);
  document.documentElement.dataset.ready = "failed";
});
