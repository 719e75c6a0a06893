// The page's behaviour: switch of theme, larger pictures, downloads, interactive figures.
(() => {
  "use strict";
  const root = document.documentElement;
  const read = (id) => document.getElementById(id)?.textContent ?? "";
  const phone = matchMedia("(max-width: 40rem)");
  const touch = matchMedia("(pointer: coarse)");

  const button = document.querySelector(".switch");
  const label = () => { button.textContent = ligoTheme.dark() ? "Light" : "Dark"; };
  button.hidden = false;
  button.addEventListener("click", ligoTheme.toggle);
  document.addEventListener("ligo-theme", label);
  label();

  function save(name, address) {
    const link = document.createElement("a");
    link.download = name;
    link.href = address;
    link.click();
  }

  function shown(figure) {
    return figure.querySelector(ligoTheme.dark() ? "img.on-dark" : "img.on-light");
  }

  function addButton(figure, text, action) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", action);
    figure.querySelector(".save").append(made);
  }

  // A picture without an interactive form: a touch makes it larger, a button saves it.
  function still(figure) {
    const pictures = figure.querySelector(".still");
    if (!pictures) return;
    const resize = () => pictures.classList.toggle("large");
    addButton(figure, "PNG", () => save(`${figure.id}.png`, shown(figure).src));
    addButton(figure, "Larger", resize);
    pictures.title = "larger, smaller";
    pictures.addEventListener("click", resize);
  }

  // The interactive figures.
  const palette = JSON.parse(read("palette") || "{}");
  const charts = new Map();

  function coloured(value) {
    if (Array.isArray(value)) return value.map(coloured);
    if (value && typeof value === "object") {
      const parts = Object.entries(value); // a colour scale is the same on both papers
      return Object.fromEntries(
        parts.map(([key, part]) => [key, key === "colorscale" ? part : coloured(part)]));
    }
    if (typeof value !== "string" || value[0] !== "#") return value;
    const key = value.slice(0, 7).toLowerCase();
    return (palette[key] ?? key) + value.slice(7);
  }

  // A legend of many rows makes the figure taller, else it would take its room from the curves.
  function legendRows(chart, width) {
    const named = chart.data.filter((trace) => trace.showlegend !== false && trace.name);
    const pixels = named.map((trace) => 50 + 7 * trace.name.length);
    return Math.ceil(pixels.reduce((sum, size) => sum + size, 0) / Math.max(width - 80, 200));
  }

  function looks(chart, width) {
    const dark = ligoTheme.dark();
    const layout = dark ? coloured(chart.layout) : structuredClone(chart.layout);
    // Numbers and texts are not copied for their colours' sake: only what may hold one is.
    const keep = ["x", "y", "customdata", "text", "hovertext", "name", "ids", "base"];
    const data = chart.data.map((trace) => {
      const own = Object.entries(trace).map(
        ([key, part]) => [key, dark && !keep.includes(key) ? coloured(part) : part]);
      return Object.fromEntries(own);
    });
    layout.height += 21 * Math.max(0, legendRows(chart, width) - 1);
    if (phone.matches) {
      layout.font.size = 12;
      layout.margin = { ...layout.margin, l: 44, r: 8 };
      layout.legend = { ...layout.legend, font: { size: 11 }, xref: "container" };
      // Shorter on a narrow page than in words: a remark that does not fit is left out.
      layout.annotations = (layout.annotations ?? []).filter((note) => note.name !== "wide");
    }
    if (touch.matches) layout.dragmode = false; // a finger scrolls the page
    return [data, layout];
  }

  function draw(figure) {
    const box = figure.querySelector(".live");
    const settings = {
      responsive: true, displaylogo: false, displayModeBar: touch.matches ? true : "hover",
      modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "autoScale2d"],
      showSendToCloud: false, plotlyServerURL: "", // a page never sends its numbers anywhere
    };
    const [data, layout] = looks(charts.get(figure), box.clientWidth);
    box.style.height = `${layout.height}px`; // a window that changes size takes it from here
    return Plotly.react(box, data, layout, settings);
  }

  function csv(chart) {
    const quote = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      // A formula sign at the start would run in a spreadsheet; numbers keep theirs.
      const safe = typeof value === "string" && /^[=+\-@]/.test(text) ? `'${text}` : text;
      return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const unescaped = (text) => String(text ?? "").replaceAll("&lt;", "<")
      .replaceAll("&gt;", ">").replaceAll("&amp;", "&");
    const title = (letter) => (name) => unescaped(chart.layout[
      `${letter}axis${(name ?? letter).slice(1)}`]?.title?.text ?? letter);
    const traces = chart.data.filter((trace) => trace.hoverinfo !== "skip" || trace.meta?.csv);
    const more = [...new Set(traces.flatMap((trace) => trace.meta?.columns ?? []))];
    const lines = [["curve", "x axis", "y axis", "x", "y", ...more]];
    for (const trace of traces) {
      const axes = [title("x")(trace.xaxis), title("y")(trace.yaxis)];
      const own = trace.meta?.columns ?? [];
      trace.x.forEach((x, row) => lines.push([
        unescaped(trace.name), ...axes, x, trace.y[row],
        ...more.map((name) => {
          const value = own.includes(name) ? trace.customdata?.[row]?.[own.indexOf(name)] : "";
          return typeof value === "string" ? unescaped(value) : value;
        }),
      ]));
    }
    return lines.map((line) => line.map(quote).join(",")).join("\n") + "\n";
  }

  function saveImage(figure, format) {
    const box = figure.querySelector(".live");
    const size = { width: Math.max(box.clientWidth, 900), height: box.clientHeight };
    return Plotly.downloadImage(box, { format, filename: figure.id, scale: 2, ...size });
  }

  async function begin(figure) {
    charts.set(figure, JSON.parse(figure.querySelector(".chart").textContent));
    const box = figure.querySelector(".live");
    const pictures = figure.querySelector(".still");
    box.hidden = false;
    try {
      await draw(figure);
    } catch (error) {
      box.hidden = true;
      charts.delete(figure);
      still(figure);
      throw error;
    }
    if (pictures) pictures.hidden = true;
    addButton(figure, "SVG", () => saveImage(figure, "svg"));
    addButton(figure, "PNG", () => saveImage(figure, "png"));
    addButton(figure, "CSV", () => {
      const address = URL.createObjectURL(new Blob([csv(charts.get(figure))], { type: "text/csv" }));
      save(`${figure.id}.csv`, address);
      setTimeout(() => URL.revokeObjectURL(address), 10000);
    });
  }

  async function load() {
    const packed = Uint8Array.from(atob(read("plotly").trim()), (sign) => sign.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  function oneWay(text) {
    const told = document.createElement("p");
    told.className = "soft";
    told.textContent = text;
    document.querySelector("footer").prepend(told);
  }

  async function start() {
    const figures = [...document.querySelectorAll("figure")];
    const live = figures.filter((figure) => figure.querySelector(".chart"));
    figures.filter((figure) => !live.includes(figure)).forEach(still);
    if (!live.length) return;
    if (!("DecompressionStream" in window)) {
      live.forEach(still);
      oneWay("This browser is older than 2023: the figures are pictures instead of interactive.");
      return;
    }
    await load();
    document.addEventListener("ligo-theme", () => [...charts.keys()].forEach(draw));
    for (const figure of live) await begin(figure);
  }

  start().then(() => { root.dataset.figures = "ready"; }, (error) => {
    root.dataset.figures = "failed";
    oneWay(`Some figures could not be made interactive: ${error.message}`);
    console.error(error);
  });
})();
