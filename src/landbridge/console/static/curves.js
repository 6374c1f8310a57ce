// Draws curves over time with uPlot, in the page's own colours.
//
//   <figure class="curve" id="lag" data-curve="{{ curve | tojson | forceescape }}"
//           role="img" aria-label="Lag over the last hour, now 1.2 MB">
//     <figcaption>Lag, now 1.2 MB</figcaption>
//   </figure>
//
// The JSON: {"unit": "bytes" | "bytes/s" | "bit/s" | "seconds" | "percent" | "",
//            "times": [SECONDS SINCE 1970, ...],                ascending
//            "series": [{"name": "Lag", "values": [NUMBER | null, ...]}, ...],   null: a gap
//            "limit": {"name": "Allocated", "value": NUMBER},   optional: a line across
//            "height": 180}                                     optional: pixels
//
// Values are in the unit named, bare: bytes, not MB. An element needs an id. Drawn once, a curve
// gets new points whenever the page is renewed. The page loads `part.curves()` in block scripts.
"use strict";

(() => {
  const drawn = new Map();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const clock = new Intl.DateTimeFormat("sv-SE", {
    hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
  });

  const scaled = (value, base, names, space = " ") => {
    let n = 0;
    while (Math.abs(value) >= base * 0.9995 && n < names.length - 1) { value /= base; n += 1; }
    const digits = Number.isInteger(value) || Math.abs(value) >= 99.5 ? 0 : Math.abs(value) >= 9.95 ? 1 : 2;
    return `${Number(value.toFixed(digits))}${space}${names[n]}`;
  };
  const span = (value) => {
    if (Math.abs(value) < 1) return `${Number((value * 1000).toFixed(1))} ms`;
    if (value < 120) return `${Number(value.toFixed(1))} s`;
    return value < 7200 ? `${Number((value / 60).toFixed(1))} min` : `${Number((value / 3600).toFixed(1))} h`;
  };
  const bytes = (value) => scaled(value, 1024, ["B", "kB", "MB", "GB", "TB"]);
  const words = {
    "bytes": bytes,
    "bytes/s": (value) => `${bytes(value)}/s`,
    "bit/s": (value) => scaled(value, 1000, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]),
    "seconds": span,
    "percent": (value) => `${Number(value.toFixed(1))} %`,
    "": (value) => value.toLocaleString("en"),
  };
  // Steps of the axis that read well in their unit.
  const round = (base) => {
    const found = [];
    for (let n = 0; n < 5; n += 1) {
      for (const step of [1, 2, 5, 10, 20, 50, 100, 200, 500]) found.push(step * base ** n);
    }
    return found;
  };
  const steps = {
    "bytes": round(1024), "bytes/s": round(1024), "bit/s": round(1000),
    "seconds": [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600],
  };

  const moments = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800];

  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    return {
      ink: of("--ink"), soft: of("--soft"), line: of("--line"),
      series: ["--accent", "--curve-2", "--curve-3", "--curve-4"].map(of), limit: of("--bad"),
    };
  };

  const table = (curve) => {
    const found = [curve.times, ...curve.series.map((each) => each.values)];
    if (curve.limit) found.push(curve.times.map(() => curve.limit.value));
    return found;
  };

  // The legend tells the latest figures while the pointer is elsewhere.
  const latest = (plot) => plot.setLegend({ idx: plot.data[0].length - 1 }, false);
  const options = (curve, width, height) => {
    const colour = colours();
    const say = words[curve.unit] ?? words[""];
    const told = (_, value) => (value == null ? "–" : say(value));
    const axis = { stroke: colour.soft, grid: { stroke: colour.line, width: 1 }, ticks: { stroke: colour.line, width: 1 }, font: "12px system-ui, sans-serif" };
    const lines = curve.series.map((each, n) => ({
      label: each.name, value: told, stroke: colour.series[n % colour.series.length], width: 2,
      fill: curve.series.length === 1 ? `color-mix(in srgb, ${colour.series[0]} 14%, transparent)` : undefined,
      dash: n >= colour.series.length ? [6, 3] : undefined, points: { show: curve.times.length < 3 },
    }));
    if (curve.limit) lines.push({ label: curve.limit.name, value: told, stroke: colour.limit, width: 1.5, dash: [5, 4], points: { show: false } });
    return {
      width, height, hooks: { setCursor: [(plot) => { if (plot.cursor.left < 0) latest(plot); }] }, cursor: { y: false, points: { size: 7 } }, legend: { live: true },
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.08] } },
      padding: [null, 32, null, null],  // room for half of the last moment
      axes: [
        { ...axis, space: 70, incrs: moments, values: [
          [86400, "{DD}.{MM}."], [3600, "{HH}:{mm}"], [60, "{HH}:{mm}"], [1, "{HH}:{mm}:{ss}"],
        ].map(([step, form]) => [step, form, null, null, null, null, null, null, 1]) },
        { ...axis, space: 34, size: 78, incrs: steps[curve.unit], values: (_, ticks) => ticks.map(say) },
      ],
      series: [{ label: "Time", value: (_, at) => (at == null ? "–" : clock.format(new Date(at * 1000))) }, ...lines],
    };
  };

  const shape = (curve) => JSON.stringify([curve.unit, curve.series.map((each) => each.name), curve.limit?.name]);
  const make = (element, curve) => {
    const plot = document.createElement("div");
    plot.className = "plot";
    plot.setAttribute("aria-hidden", "true");
    element.append(plot);
    const height = curve.height ?? 180;
    const made = new uPlot(options(curve, element.clientWidth, height), table(curve), plot);
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return { element, plot, made, watch, shape: shape(curve), text: "" };
  };
  const drop = (each) => { each.watch.disconnect(); each.made.destroy(); each.plot.remove(); };

  // Draws the curve of an element, or gives the drawn one its new points.
  window.drawCurve = (element) => {
    const text = element.dataset.curve;
    const curve = JSON.parse(text);
    let known = drawn.get(element.id);
    if (known && (known.element !== element || !element.contains(known.plot) || known.shape !== shape(curve))) {
      drop(known);
      known = undefined;
    }
    if (!known) {
      known = make(element, curve);
      drawn.set(element.id, known);
    } else if (known.text !== text) {
      known.made.setData(table(curve));
    }
    if (!(known.made.cursor.left >= 0)) latest(known.made);
    known.text = text;
  };
  dark.addEventListener("change", () => {
    for (const each of [...drawn.values()]) {
      drop(each);
      drawn.delete(each.element.id);
      if (each.element.isConnected) window.drawCurve(each.element);
    }
  });
})();
