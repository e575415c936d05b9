// How each item is drawn: a number as a box with its data and gradient, an image as an image, a layer as rows of cells.
//
// A box has `width`, `height`, `element`, and `update(now)`, which writes in what is known at a moment. Colours are Okabe
// and Ito's, blue above zero and orange below; a number or a sign says the same beside them.

const LETTER = 7.3,
  LINE = 16,
  PAD = 10,
  CELL = 13,
  LONGEST = 20;
const ROWS = 16; // units shown in the box of a layer
const BARS = 12; // outputs at most that are shown as bars

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

function line(text, x, y, kind = "") {
  return svg("text", { x, y, class: kind }, text);
}

function makeBox(run, graph, item) {
  if (item.kind === "node") return nodeBox(run, graph, item);
  if (item.kind === "input") return inputBox(run, graph, item);
  if (item.kind === "layer") return layerBox(run, graph, item);
  return summaryBox(graph, item);
}

/** A number: its name, its data, its gradient; the operation that made it on its left edge. */
function nodeBox(run, graph, item) {
  const node = item.node;
  const label = graph.nameless.has(node) ? "" : clip(graph.names[node], LONGEST);
  const sign = graph.isLeaf(node) ? "" : clip(graph.operationOf(node).symbol, 9);
  const widest =
    run.frames.reduce(
      (most, frame) =>
        frame.graph !== graph ? most : Math.max(most, number(frame.values[node]).length, ...sums(frame, node).map((text) => text.length)),
      3,
    ) + 5;
  const left = sign ? Math.max(26, sign.length * LETTER + 12) : 0;
  const width = Math.max([...label].length, widest) * LETTER + 2 * PAD + left / 2;
  const rows = label ? 3 : 2;
  const height = rows * LINE + 10;
  const kind = node === graph.root ? "result" : graph.isLeaf(node) ? "leaf" : "value";
  const middle = left / 4;
  const first = (-(rows - 1) * LINE) / 2;
  const data = line("", middle, first + (rows - 2) * LINE),
    grad = line("", middle, first + (rows - 1) * LINE);
  const element = svg("g", {}, svg("rect", { class: `box ${kind}`, x: -width / 2, y: -height / 2, width, height, rx: 7 }));
  if (label) element.append(line(label, middle, first, "name"));
  element.append(data, grad);
  if (sign) {
    const x = -width / 2;
    element.append(svg("rect", { class: "operation", x: x - left / 2, y: -13, width: left, height: 26, rx: 13 }), line(sign, x, 0, "sign"));
  }
  return {
    width: width + left / 2,
    height,
    element,
    shift: left / 4,
    update(now) {
      const { known, sum, count, of } = now.arrived(node);
      data.textContent = `data ${now.isComputed(node) ? number(now.frame.values[node]) : "·"}`;
      grad.textContent = `grad ${known ? number(sum) : "·"}${known && count < of ? " …" : ""}`;
      return (
        `${graph.names[node]}${graph.isLeaf(node) ? "" : `, made by ${graph.operationOf(node).name}`}, ${data.textContent}, ` +
        `${known ? `gradient ${number(sum)}${count < of ? `, ${count} of ${of} parts` : ""}` : "gradient not yet known"}`
      );
    },
  };
}

/** All that will stand on a node as its gradient: the sums as they grow, right and wrong. */
function sums(frame, node) {
  const { graph, wrong } = frame;
  const right = graph.arriving[node].map(
    (link, k, all) => number(frame.arrived(node, graph.timeOf(link)).sum) + (k < all.length - 1 ? " …" : ""),
  );
  return [...right, ...(wrong ? [number(wrong.gradients[node])] : [])];
}

/** What goes in: an image as an image, other numbers as cells. */
function inputBox(run, graph, item) {
  const [down, across] = item.shape;
  const nodes = item.nodes.filter((node) => graph.isLeaf(node));
  if (item.shape.length === 2 && run.frames[0].input) {
    const size = 112;
    const image = svg("image", { x: -size / 2, y: -size / 2 + 9, width: size, height: (size * down) / across, class: "pixels" });
    const element = svg(
      "g",
      {},
      svg("rect", { class: "box leaf", x: -size / 2 - 8, y: -size / 2 - 18, width: size + 16, height: size + 36, rx: 7 }),
      line("input", 0, -size / 2 - 4, "name"),
      image,
    );
    return {
      width: size + 16,
      height: size + 36,
      element,
        update(now) {
        image.setAttribute("href", picture(now.frame.input.flat(), down, across, grey));
        return `the input, an image of ${down} by ${across} pixels`;
      },
    };
  }
  return cellBox(
    "input",
    counted(nodes.length, "number"),
    nodes.map((node) => ({ name: graph.names[node], node })),
    "leaf",
  );
}

/** A layer: a row for each unit, with its activation and its gradient; the last one's outputs as bars. */
function layerBox(run, graph, item) {
  const units = unitsOf(item);
  const outlets = units.map((unit) => ({ name: unit.name.replace("unit ", ""), node: outlet(graph, unit) }));
  const last = Math.max(...graph.groups.map((group, k) => (group.kind === "layer" ? k : -1)));
  const after = outlets.length ? graph.operationOf(outlets[0].node) : null;
  const bent = after && after.derivatives.length === 1 ? `, then ${after.name}` : "";
  const title = titleOf(item);
  const first = graph.groups.some((group) => group.kind === "example") ? ", example 0" : "";
  const outputs = run.frames[0].outputs;
  if (item.key === `g${last}` && outputs && units.length <= BARS && outputs.values[0].length === units.length) {
    return barBox(title, outlets, first);
  }
  return cellBox(title, `${counted(units.length, "unit")}${bent}${first}`, outlets, "value");
}

function cellBox(title, subtitle, cells, kind) {
  const shown = cells.slice(0, ROWS);
  const width = Math.max(title.length, subtitle.length, 20) * LETTER + 2 * PAD;
  const height = 2 * LINE + 22 + shown.length * CELL + (cells.length > ROWS ? LINE : 0) + 8;
  const top = -height / 2;
  const element = svg(
    "g",
    {},
    svg("rect", { class: `box ${kind}`, x: -width / 2, y: top, width, height, rx: 7 }),
    line(clip(title, 40), 0, top + 15, "name"),
    line(subtitle, 0, top + 15 + LINE, "quiet"),
    line("data", -width / 4 + 8, top + 46, "quiet"),
    line("grad", width / 4 + 2, top + 46, "quiet"),
  );
  const rows = shown.map((cell, k) => {
    const y = top + 54 + k * CELL;
    const data = svg("rect", { x: -width / 2 + 26, y, width: width / 2 - 30, height: CELL - 2 });
    const grad = svg("rect", { x: 2, y, width: width / 2 - 10, height: CELL - 2 });
    const name = cells.every((one) => one.name.length <= 2) ? line(cell.name, -width / 2 + 14, y + 6, "tiny") : "";
    const signs = [line("", -width / 4 + 10, y + 6, "tiny"), line("", width / 4 - 2, y + 6, "tiny")];
    element.append(data, grad, name, ...signs);
    return { ...cell, data, grad, signs };
  });
  if (cells.length > ROWS) element.append(line(`… ${cells.length - ROWS} more`, 0, height / 2 - 12, "quiet"));
  return {
    width,
    height,
    element,
    update(now) {
      const values = rows.map((row) => (now.isComputed(row.node) ? now.frame.values[row.node] : NaN));
      const grads = rows.map((row) => {
        const { known, sum } = now.arrived(row.node);
        return known ? sum : NaN;
      });
      const largest = [values, grads].map((xs) => Math.max(1e-300, ...xs.filter(Number.isFinite).map(Math.abs)));
      rows.forEach((row, k) =>
        [
          [row.data, values[k], largest[0]],
          [row.grad, grads[k], largest[1]],
        ].forEach(([cell, x, most], column) => {
          cell.setAttribute("class", `cell ${Number.isNaN(x) ? "unknown" : x < 0 ? "below" : "above"}`);
          cell.style.setProperty("--much", Number.isNaN(x) ? 0 : Math.min(1, Math.abs(x) / most).toFixed(3));
          row.signs[column].textContent = Number.isNaN(x) ? "·" : number(Number(x.toPrecision(3)));
        }),
      );
      return `${title}, ${subtitle}`;
    },
  };
}

/** The outputs of a network as bars, with what is right marked. */
function barBox(title, outlets, first) {
  const width = 218,
    height = 2 * LINE + 14 + outlets.length * CELL + 8;
  const top = -height / 2,
    zero = -width / 2 + 26,
    length = 84;
  const subtitle = line("", 0, top + 15 + LINE, "quiet");
  const element = svg(
    "g",
    {},
    svg("rect", { class: "box value", x: -width / 2, y: top, width, height, rx: 7 }),
    line(clip(title, 26), 0, top + 15, "name"),
    subtitle,
  );
  const rows = outlets.map((cell, k) => {
    const y = top + 42 + k * CELL;
    const bar = svg("rect", { class: "bar", x: zero, y, height: CELL - 3, width: 0 });
    const text = line("", zero + length + 6, y + 6, "tiny figure");
    element.append(line(cell.name, -width / 2 + 14, y + 6, "tiny"), bar, text);
    return { ...cell, bar, text };
  });
  return {
    width,
    height,
    element,
    update(now) {
      const { outputs } = now.frame;
      const shown = (outputs.probabilities || outputs.values)[0];
      const target = outputs.targets && !Array.isArray(outputs.targets[0]) ? outputs.targets[0] : -1;
      const finite = shown.filter(Number.isFinite);
      const least = Math.min(0, ...finite),
        most = Math.max(outputs.probabilities ? 1 : 1e-300, ...finite);
      const computed = rows.every((row) => now.isComputed(row.node));
      subtitle.textContent = (outputs.probabilities ? "softmax of the outputs" : "the outputs") + first;
      rows.forEach((row, k) => {
        const x = Number.isFinite(shown[k]) ? shown[k] : 0;
        const from = (Math.min(x, 0) - least) / (most - least),
          to = (Math.max(x, 0) - least) / (most - least);
        row.bar.setAttribute("x", zero + from * length);
        row.bar.setAttribute("width", computed ? Math.max((to - from) * length, 0.5) : 0);
        row.bar.setAttribute("class", `bar ${shown[k] < 0 ? "below" : "above"}`);
        row.text.textContent = (computed ? number(Number(shown[k].toPrecision(3))) : "·") + (k === target ? " ◂ target" : "");
      });
      const best = finite.length ? shown.indexOf(Math.max(...finite)) : 0;
      return `${title}, the outputs` + (computed ? `: ${outlets[best].name} is largest, ${number(shown[best])}` : "");
    },
  };
}

/** A unit, a part, the loss: its name, how many numbers are in it, and the one that it passes on. */
function summaryBox(graph, item) {
  const node = outlet(graph, item);
  const weights = weightImage(graph, item);
  const size = weights ? 64 : 0;
  const subtitle = counted(item.nodes.length, "number");
  const title = item.kind === "part" ? `${item.name}: ${subtitle}` : clip(item.name, LONGEST);
  const width = Math.max(title.length, subtitle.length, 17) * LETTER + 2 * PAD + (size ? size + 6 : 0);
  const height = Math.max(3 * LINE + (item.kind === "part" ? 0 : LINE) + 8, size ? size + 14 : 0);
  const middle = size ? size / 2 + 3 : 0;
  const lines = item.kind === "part" ? [title] : [title, subtitle];
  const first = (-(lines.length + 1) * LINE) / 2;
  const data = line("", middle, first + lines.length * LINE),
    grad = line("", middle, first + (lines.length + 1) * LINE);
  const isEnd = has(item.nodes, graph.root);
  const element = svg(
    "g",
    {},
    svg("rect", { class: `box ${isEnd ? "result" : "value"} group`, x: -width / 2, y: -height / 2, width, height, rx: 7 }),
    ...lines.map((text, k) => line(text, middle, first + k * LINE, k ? "quiet" : "name")),
    data,
    grad,
  );
  const image = size ? svg("image", { x: -width / 2 + 7, y: -size / 2, width: size, height: size, class: "pixels" }) : null;
  if (image) element.append(image);
  return {
    width,
    height,
    element,
    update(now) {
      const { known, sum } = now.arrived(node);
      data.textContent = `data ${now.isComputed(node) ? number(now.frame.values[node]) : "·"}`;
      grad.textContent = `grad ${known ? number(sum) : "·"}`;
      if (image)
        image.setAttribute(
          "href",
          picture(
            weights.nodes.map((w) => now.frame.values[w]),
            weights.side,
            weights.side,
            signed,
          ),
        );
      return `${item.name}, ${subtitle}, ${data.textContent}, ${known ? `gradient ${number(sum)}` : "gradient not yet known"}`;
    },
  };
}

/** The weights of a unit that looks at an image, in the order of its pixels; null for others. */
function weightImage(graph, item) {
  if (item.kind !== "unit") return null;
  const image = graph.groups.find((group) => group.kind === "input" && group.shape.length === 2);
  const weights = item.nodes.filter((node) => graph.isLeaf(node) && /\[\d+,\d+\]$/.test(graph.names[node]));
  if (!image || image.shape[0] !== image.shape[1] || weights.length !== image.shape[0] ** 2) return null;
  const place = (node) => Number(graph.names[node].match(/(\d+)\]$/)[1]);
  return { nodes: weights.sort((a, b) => place(a) - place(b)), side: image.shape[0] };
}

/** Numbers as the pixels of an image, for an <image>; `colour` is given each as a part of the largest. */
function picture(values, down, across, colour, most = 0) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [across, down];
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(across, down);
  const largest = most || values.reduce((found, x) => Math.max(found, Math.abs(x)), 1e-300);
  values.forEach((x, k) => pixels.data.set([...colour(x / largest), 255], 4 * k));
  context.putImageData(pixels, 0, 0);
  return canvas.toDataURL();
}

const grey = (x) => Array(3).fill(Math.round(255 * Math.max(x, 0)));
const signed = (x) => (x < 0 ? [213, 94, 0] : [0, 114, 178]).map((c) => Math.round(247 + (c - 247) * Math.min(Math.abs(x), 1)));
