// Training steps as frames: the loss beside the weights, a line each, with a mark at the frame in sight.

const CURVE = { width: 330, height: 92, left: 62, bottom: 16 };
const MOST_LINES = 8;

/** The curves of a run with several frames: the result, and the leaves that moved most. */
function curves(run, at, choose) {
  const { graph } = run.frames[0];
  const losses = run.frames.map((frame) => frame.result());
  const drawn = [
    el("h3", {}, `${graph.names[graph.root]}: ${number(losses[at])}`),
    chart([losses], at, choose, `${graph.names[graph.root]} by training step`),
  ];
  const moving = movingLeaves(run);
  if (moving.length) {
    const lines = moving.map((node) => run.frames.map((frame) => frame.values[node]));
    drawn.push(
      el("h3", {}, moving.length < MOST_LINES ? "What moves" : `The ${MOST_LINES} leaves that move most`),
      chart(lines, at, choose, "leaves by training step"),
      el(
        "ul",
        { class: "key" },
        ...moving.map((node, k) =>
          el(
            "li",
            {},
            svg("svg", { class: `swatch line${k}`, width: 18, height: 8, "aria-hidden": "true" }, svg("path", { d: "M0 4H18" })),
            ` ${clip(graph.names[node], 24)} `,
            el("b", {}, number(lines[k][at])),
          ),
        ),
      ),
    );
  }
  return drawn;
}

function movingLeaves(run) {
  const { graph } = run.frames[0];
  if (run.frames.some((frame) => frame.graph !== graph)) return [];
  const spread = (node) => {
    const values = run.frames.map((frame) => frame.values[node]);
    return Math.max(...values) - Math.min(...values);
  };
  return range(graph.size)
    .filter((node) => graph.isLeaf(node))
    .map((node) => [spread(node), node])
    .filter(([moved]) => moved > 0)
    .sort((a, b) => b[0] - a[0])
    .slice(0, MOST_LINES)
    .map(([, node]) => node);
}

function chart(lines, at, choose, label) {
  const { width, height, left, bottom } = CURVE;
  const finite = lines.flat().filter(Number.isFinite);
  const low = Math.min(...finite),
    high = Math.max(...finite);
  const last = Math.max(lines[0].length - 1, 1);
  const x = (k) => left + ((width - left - 8) * k) / last;
  const y = (value) => 8 + (height - bottom - 14) * (high === low ? 0.5 : (high - value) / (high - low));
  const picture = svg(
    "svg",
    {
      class: "chart",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `${label}: from ${number(lines[0][0])} to ${number(lines[0][last])}`,
    },
    svg("path", { class: "axis", d: `M${left} 4V${height - bottom}H${width - 4}` }),
    line(number(Number(high.toPrecision(3))), left - 4, 10, "tick"),
    line(number(Number(low.toPrecision(3))), left - 4, height - bottom - 4, "tick"),
    line("0", left, height - 4, "tick middle"),
    line(String(last), width - 10, height - 4, "tick middle"),
    ...lines.map((values, k) =>
      svg("path", {
        class: `line line${lines.length > 1 ? k : "0"}`,
        d: values.map((value, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(Number.isFinite(value) ? value : high).toFixed(1)}`).join(""),
      }),
    ),
    svg("path", { class: "mark", d: `M${x(at)} 4V${height - bottom}` }),
    ...lines.map((values) => svg("circle", { class: "dot", cx: x(at), cy: y(Number.isFinite(values[at]) ? values[at] : high), r: 3 })),
  );
  picture.addEventListener("click", (event) => {
    const scale = picture.getBoundingClientRect();
    choose(Math.round(((((event.clientX - scale.left) * width) / scale.width - left) / (width - left - 8)) * last));
  });
  return picture;
}
