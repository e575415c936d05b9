// What happens at a moment, in words and numbers: the sentences are those that tinynet prints in a terminal.

function slope(result, variable) {
  return `d ${atom(result)}/d ${atom(variable)}`;
}

/** How a node was computed, with names or with numbers: `v1 = a × b`, `2 × −3`. */
function formula(graph, node, operand) {
  return graph.isLeaf(node) ? operand(node) : fill(graph.operationOf(node).formula, (input) => operand(graph.parents[node][input]));
}

function nameIn(graph) {
  return (node) => (graph.nameless.has(node) ? graph.constant(node) : atom(graph.names[node])); // a number, which fill brackets
}

/** One link of the chain rule, with everything that is said of it. */
function describeLink(graph, frame, link) {
  const [from, input] = graph.links[link];
  const to = graph.target(link);
  const operation = graph.operationOf(from);
  const derivative = operation.derivatives[input];
  const values = (k) => frame.values[k < 0 ? from : graph.parents[from][k]];
  const names = (k) => nameIn(graph)(k < 0 ? from : graph.parents[from][k]);
  const twice = graph.parents[from].filter((node) => node === to).length > 1 ? ` (input ${input + 1})` : "";
  const readings = derivative ? [fill(derivative, names), fill(derivative, values)] : [];
  const time = graph.timeOf(link);
  const before = frame.arrived(to, time - 1),
    after = frame.arrived(to, time);
  const root = graph.names[graph.root],
    giver = graph.names[from],
    taker = graph.names[to];
  return {
    from,
    to,
    operation,
    giver,
    taker,
    before,
    after,
    upstreamName: slope(root, giver),
    localName: slope(giver, taker) + twice,
    totalName: slope(root, taker),
    local: frame.locals[link],
    contribution: frame.contributions[link],
    upstream: frame.upstream(link),
    rule: equation(slope(giver, taker) + twice, ...readings, number(frame.locals[link])),
  };
}

/** The panel for a moment. `page` gives graph, frame, mode, moment and, when a guess is wanted, `asking`. */
function tell(page) {
  const { graph, frame, moment } = page;
  const parts = {
    start: () => tellStart(page),
    value: () => tellValue(graph, frame, moment.item.node),
    values: () => tellValues(graph, frame, moment.item),
    seed: () => tellSeed(graph),
    link: () => tellLink(graph, frame, moment.link, page.asking),
    links: () => tellLinks(graph, frame, moment.item),
    wrongStart: () => tellWrongStart(graph, frame, page.moments),
    wrong: () => tellWrong(graph, frame, moment),
    wrongEnd: () => [el("h2", {}, "The end of the wrong order"), ...verdict(graph, frame)],
  }[moment.kind]();
  return parts;
}

const paragraph = (text, kind = "") => el("p", { class: kind }, text);

function tellStart({ mode, here, moments }) {
  const what = here.kind === "all" ? "The leaves are given; everything else is computed from them." : `Inside ${titleOf(here)}.`;
  const asked = moments.some((moment) => moment.kind === "link");
  if (mode === "predict" && !asked)
    return [
      el("h2", {}, "Predict"),
      paragraph("You are asked about single numbers. Open a layer and a unit, down to its numbers, and step forward there."),
    ];
  return [
    el("h2", {}, "Before the first step"),
    paragraph(what),
    paragraph(
      mode === "predict"
        ? "Step forward to the results, then backward: before each gradient is shown, say what it will be."
        : "Step forward with the → key: first every value, then every gradient, one link of the chain rule at a time.",
      "quiet",
    ),
  ];
}

function tellValue(graph, frame, node) {
  const name = graph.names[node];
  const said = equation(
    atom(name),
    formula(graph, node, nameIn(graph)),
    formula(graph, node, (i) => frame.values[i]),
    number(frame.values[node]),
  );
  const uses = graph.arriving[node].length;
  return [
    el("h2", {}, `Forward: ${name}`),
    el("p", { class: "sum" }, said),
    ...(frame.stale.has(node) ? [paragraph("Its inputs were changed after it was computed from them.", "warning")] : []),
    paragraph(node === graph.root ? "This is the result." : `It is used ${uses === 1 ? "once" : `${uses} times`} further on.`, "quiet"),
  ];
}

function tellValues(graph, frame, item) {
  return [el("h2", {}, `Forward: ${titleOf(item)} is computed`), ...summary(graph, frame, item, false)];
}

function tellSeed(graph) {
  const root = graph.names[graph.root];
  return [
    el("h2", {}, "The way back begins"),
    el("p", { class: "sum" }, `${slope(root, root)} = 1`),
    paragraph(`When ${root} grows by a little, ${root} grows by just that. Every other gradient is found from this one.`, "quiet"),
  ];
}

function tellLink(graph, frame, link, asking) {
  const told = describeLink(graph, frame, link);
  const heading = el("h2", {}, `Backward: ${told.giver} hands on to ${told.taker}`);
  if (asking) {
    const made = equation(
      atom(told.giver),
      formula(graph, told.from, nameIn(graph)),
      formula(graph, told.from, (i) => frame.values[i]),
      number(frame.values[told.from]),
    );
    return [
      heading,
      el("p", { class: "sum" }, made),
      el(
        "div",
        { class: "product" },
        factor(told.upstreamName, number(told.upstream), "upstream", "arrives"),
        el("span", {}, "×"),
        factor(told.localName, "?", "local", "local derivative"),
        el("span", {}, "="),
        factor(`to ${told.taker}`, "?", "share", "handed on"),
      ),
      asking,
    ];
  }
  const first = told.before.count === 0 && !told.before.known;
  const share = number(told.contribution);
  const sum = first
    ? number(told.after.sum)
    : `${number(told.before.sum)} + ${share.startsWith(MINUS) ? `(${share})` : share} = ${number(told.after.sum)}`;
  const whole = told.after.count === told.after.of;
  const waits = graph.isLeaf(told.to) ? "" : " Only now can it be handed on.";
  return [
    heading,
    el("p", { class: "rule" }, el("b", {}, told.operation.rule), ` ${told.rule}`),
    el(
      "div",
      { class: "product" },
      factor(told.upstreamName, number(told.upstream), "upstream", "arrives"),
      el("span", {}, "×"),
      factor(told.localName, number(told.local), "local", "local derivative"),
      el("span", {}, "="),
      factor(`to ${told.taker}`, share, "share", "handed on"),
    ),
    el("p", { class: "sum" }, `${told.totalName}, so far `, el("b", { class: "total" }, sum)),
    paragraph(
      whole
        ? told.after.of === 1
          ? `That is all of it: ${told.taker} is used once.`
          : `That is all of it: ${told.taker} is used ${told.after.of} times, and all ${told.after.of} parts have arrived.${waits}`
        : `${told.taker} is used ${told.after.of} times, and ${told.after.count === 1 ? "1 part has" : `${told.after.count} parts have`} arrived. ${graph.isLeaf(told.to) ? "" : "It hands nothing on before the last: that is why the order matters."}`,
      "quiet",
    ),
  ];
}

function factor(name, value, kind, what) {
  return el(
    "div",
    { class: `factor ${kind}` },
    el("small", {}, what),
    el("span", { class: "figure" }, value),
    el("small", { class: "of" }, name),
  );
}

function tellLinks(graph, frame, item) {
  return [el("h2", {}, `Backward: through ${titleOf(item)}`), ...summary(graph, frame, item, true)];
}

/** What a group passes on and gets back, unit by unit where it has units. */
function summary(graph, frame, item, backward) {
  const units = unitsOf(item);
  const rows = (units.length ? units : [item]).map((unit) => {
    const node = outlet(graph, unit);
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, unit.name),
      el("td", {}, number(frame.values[node])),
      el("td", {}, backward ? number(frame.gradients[node]) : "·"),
    );
  });
  const root = graph.names[graph.root];
  return [
    paragraph(
      backward
        ? `Every one of its ${counted(item.nodes.length, "number")} has its gradient now.`
        : `${counted(item.nodes.length, "number")}, of which ${counted(item.nodes.filter((node) => !graph.isLeaf(node)).length, "is", "are")} computed. Open it to see each.`,
      "quiet",
    ),
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col" }, "passes on"),
          el("th", { scope: "col" }, "data"),
          el("th", { scope: "col" }, `d ${atom(root)}/d it`),
        ),
      ),
      el("tbody", {}, ...rows),
    ),
  ];
}

function tellWrongStart(graph, frame, moments) {
  const wrong = frame.wrong;
  const heading = el("h2", {}, "The wrong order");
  if (!wrong)
    return [heading, paragraph(`With ${counted(graph.size, "number")} this would be too long to follow. Try it on a smaller graph.`)];
  const what = paragraph(
    "Here nobody waits: each number hands its gradient on the moment that anything arrives, and what comes later is never handed on.",
  );
  if (wrong.spoilt.size && moments.length < 2)
    return [
      heading,
      what,
      paragraph(
        `In this graph ${counted(wrong.spoilt.size, "gradient")} will come out wrong. Open a part of it, or untick "layers", to watch it number by number.`,
        "warning",
      ),
    ];
  if (wrong.spoilt.size)
    return [
      heading,
      what,
      paragraph(`In this graph ${counted(wrong.spoilt.size, "gradient")} will come out wrong. Step forward and watch.`, "warning"),
    ];
  const twice = range(graph.size).some((node) => !graph.isLeaf(node) && graph.arriving[node].length > 1);
  return [
    heading,
    what,
    paragraph(
      twice
        ? "In this graph every gradient comes out right all the same: by chance, for with these very numbers what came late was nothing. With others it goes wrong:"
        : "In this graph every gradient comes out right all the same: no computed number is used twice, so there is nothing to wait for. Where one is, it goes wrong:",
    ),
    el("p", { class: "sum" }, 'tinynet explain "b = a + a; b * b" a=3 --open'),
  ];
}

function tellWrong(graph, frame, { step, link }) {
  const { wrong } = frame;
  const [from] = graph.links[link];
  const to = graph.target(link);
  const giver = graph.names[from],
    taker = graph.names[to];
  const then = wrong.upstreams[step],
    right = frame.gradients[from];
  const early = number(then) !== number(right);
  const end = step === wrong.end - 1;
  return [
    el("h2", {}, `${giver} hands on to ${taker}`),
    el(
      "div",
      { class: "product" },
      factor(slope(graph.names[graph.root], giver), number(then), `upstream${early ? " bad" : ""}`, "has arrived"),
      el("span", {}, "×"),
      factor(slope(giver, taker), number(frame.locals[link]), "local", "local derivative"),
      el("span", {}, "="),
      factor(`to ${taker}`, number(wrong.contributions[step]), `share${early ? " bad" : ""}`, "handed on"),
    ),
    paragraph(
      early
        ? `Too early: ${giver} will have ${number(right)} in the end, and hands on only what it holds now, ${number(then)}.`
        : `${giver} holds all that it will ever get, so this is right.`,
      early ? "warning" : "quiet",
    ),
    ...(end ? verdict(graph, frame) : []),
  ];
}

const MOST_SPOILT = 12;

function verdict(graph, frame) {
  const { wrong } = frame;
  const why = paragraph(
    "In a topological order a number comes after everything that uses it, so that all of its gradient is there when it hands on.",
  );
  if (!wrong.spoilt.size) return [paragraph("That was the last, and every gradient has come out right here."), why];
  const rows = [...wrong.spoilt]
    .slice(0, MOST_SPOILT)
    .map((node) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, graph.names[node]),
        el("td", { class: "bad" }, number(wrong.gradients[node])),
        el("td", {}, number(frame.gradients[node])),
      ),
    );
  const head = ["gradient of", "wrong order", "right"].map((name) => el("th", { scope: "col" }, name));
  const more = wrong.spoilt.size - rows.length;
  return [
    paragraph(`That was the last: ${counted(wrong.spoilt.size, "gradient has", "gradients have")} come out wrong.`),
    why,
    el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)),
    ...(more ? [paragraph(`… and ${more} more`, "quiet")] : []),
  ];
}

/** What is known of the item that is pointed at. */
function about(page, item) {
  const { graph, frame, now } = page;
  if (item.kind !== "node") {
    const node = outlet(graph, item);
    return [
      el("b", {}, titleOf(item)),
      ` ${counted(item.nodes.length, "number")}; passes on ${graph.names[node]} = ${now.isComputed(node) ? number(frame.values[node]) : "·"}`,
    ];
  }
  const { node } = item;
  const { known, sum, count, of } = now.arrived(node);
  const place = graph.group[node] >= 0 ? placeOf(graph, node) : "";
  const made = graph.isLeaf(node)
    ? "a leaf"
    : `= ${formula(graph, node, nameIn(graph))}${now.isComputed(node) ? ` = ${formula(graph, node, (i) => frame.values[i])}` : ""}`;
  return [
    el("b", {}, graph.names[node]),
    ` ${made}`,
    el("br"),
    `data ${now.isComputed(node) ? number(frame.values[node]) : "not computed yet"}, ` +
      `grad ${known ? number(sum) : "not known yet"}${of > 1 ? ` (${count} of ${of} parts)` : ""}${place ? `; ${place}` : ""}`,
  ];
}

/** What an item is called in a sentence. */
function titleOf(item) {
  return item.kind === "layer" ? item.description || (item.name.startsWith("layer") ? item.name : `layer ${item.name}`) : item.name;
}

/** A unit that looks at an image: what it looks for, what it sees, and what training wants of its weights. */
function portrait(graph, now, here) {
  const weights = weightImage(graph, here);
  if (!weights) return [];
  const { nodes, side } = weights;
  const image = (values, caption) =>
    el("figure", {}, el("img", { src: picture(values, side, side, signed), alt: caption }), el("figcaption", {}, caption));
  const products = nodes.map((node) => graph.links[graph.arriving[node][0]][0]);
  const shown = [
    image(
      nodes.map((node) => now.frame.values[node]),
      "its weights: blue above zero, orange below",
    ),
    image(
      products.map((node) => (now.isComputed(node) ? now.frame.values[node] : 0)),
      "weight × pixel: what speaks for it, and what against",
    ),
  ];
  const gradients = nodes.map((node) => now.arrived(node)).map(({ known, sum }) => (known ? sum : 0));
  if (gradients.some((x) => x !== 0)) shown.push(image(gradients, "d result/d weight: training goes the other way"));
  return shown;
}

function placeOf(graph, node) {
  const names = [];
  for (let at = graph.group[node]; at >= 0; at = graph.groups[at].parent) names.unshift(titleOf(graph.groups[at]));
  return names.join(", ");
}
