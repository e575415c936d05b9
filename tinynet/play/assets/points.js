// `tinynet play --data moons`: points to move, the boundary that the network draws between them, and its weights.

const PLOT = 300;

class PointsPanel {
  constructor(live) {
    this.live = live;
    this.stride = 10;
    this.adding = 0;
  }

  build(training) {
    const { state } = this.live;
    this.image = svg("image", { x: 0, y: 0, width: PLOT, height: PLOT, preserveAspectRatio: "none" });
    this.layer = svg("g");
    this.plot = svg(
      "svg",
      { class: "plot", viewBox: `0 0 ${PLOT} ${PLOT}`, role: "group", "aria-label": "Points, and what the network makes of every place" },
      this.image,
      this.layer,
    );
    this.plot.addEventListener("click", (event) => {
      if (event.target === this.image) this.live.send({ act: "point-add", x: this.at(event), label: this.adding });
    });
    this.kinds = [0, 1].map((label) =>
      el(
        "button",
        {
          type: "button",
          id: `add-${label}`,
          onclick: () => {
            this.adding = label;
            this.live.draw();
          },
        },
        `${label ? "■ class 1" : "● class 0"}`,
      ),
    );
    this.said = el("p", { class: "quiet" });
    this.chosen = el("p");
    this.activation = select("activation", "activation", state.activations, (name) => this.live.send({ act: "activation", name }));
    this.sizes = field("hidden units, layer by layer", "text", { id: "sizes" }, (text) => {
      const hidden = text
        .split(/[\s,-]+/)
        .filter(Boolean)
        .map(Number);
      if (hidden.every(Number.isInteger)) {
        this.live.send({ act: "sizes", hidden });
        return;
      }
      this.live.say("Hidden units are whole numbers, such as 8, or 4 4 for two layers.");
      this.live.draw(true);
    });
    this.seed = field("seed", "number", { id: "seed", min: 0, step: 1 }, (text) => this.live.send({ act: "seed", value: Number(text) }));
    this.weight = field(
      "nothing picked",
      "number",
      { id: "weight", step: "any" },
      (text) => this.picked && this.live.send({ act: "value", name: this.picked, value: Number(text) }, `value ${this.picked}`),
    );
    return [
      this.plot,
      el("div", { class: "row" }, "A click adds", ...this.kinds),
      this.said,
      ...training,
      this.chosen,
      el("h2", {}, "Network"),
      el("div", { class: "row" }, this.activation, this.sizes, this.seed),
      this.weight,
      el(
        "p",
        { class: "quiet" },
        "The graph shows the run of the chosen point. Click a weight in it to change it here. Points are dragged, " +
          "or moved by arrow keys; a double click or c changes the class, Delete removes, Enter chooses.",
      ),
    ];
  }

  draw(state, restore) {
    const { boundary, points } = state;
    const [across, down] = boundary.size;
    const rows = boundary.values.map(Number);
    this.image.setAttribute("href", shaded(rows, across, down));
    while (this.layer.children.length > points.length) this.layer.lastChild.remove();
    while (this.layer.children.length < points.length) this.layer.append(this.mark(this.layer.children.length));
    points.forEach((point, k) => this.place(this.layer.children[k], point, k === state.chosen));
    this.kinds.forEach((button, label) => button.setAttribute("aria-pressed", label === this.adding));
    const point = points[state.chosen];
    this.said.textContent = `${counted(points.length, "point")}, ${number(Number((100 * state.accuracy).toPrecision(4)))} % on their own side`;
    this.chosen.textContent = `Chosen: (${number(point.x[0])}, ${number(point.x[1])}), class ${point.label}; the network says ${number(Number(point.output))} for class 1.`;
    write(this.activation, state.activation, restore);
    write(this.sizes, state.sizes.slice(1, -1).join(" "), restore);
    write(this.seed, state.seed, restore);
    const found = this.picked && this.numberOf(this.picked);
    this.weight.firstChild.textContent = this.picked || "nothing picked";
    this.weight.querySelector("input").disabled = found === undefined || found === null;
    if (found !== undefined && found !== null) write(this.weight, found, restore);
  }

  numberOf(name) {
    const { state } = this.live;
    const own = /^x\[0,([01])\]$/.exec(name);
    return own ? state.points[state.chosen].x[Number(own[1])] : state.parameters.find((one) => one.name === name)?.value;
  }

  pick(item) {
    if (item.kind !== "node") return;
    const name = this.live.page.graph.names[item.node];
    if (this.numberOf(name) === undefined) return;
    this.picked = name;
    this.live.draw();
    this.weight.querySelector("input").focus();
  }

  // --- the plot ---------------------------------------------------------------------------------------------------

  /** From the screen to the data. */
  at(event) {
    const { low, high } = this.live.state.boundary;
    const frame = this.plot.getBoundingClientRect();
    const part = [(event.clientX - frame.left) / frame.width, 1 - (event.clientY - frame.top) / frame.height];
    return part.map((p, axis) => Number((low[axis] + Math.min(Math.max(p, 0), 1) * (high[axis] - low[axis])).toPrecision(5)));
  }

  place(mark, point, chosen) {
    const { low, high } = this.live.state.boundary;
    const [x, y] = point.x.map((value, axis) => (PLOT * (value - low[axis])) / (high[axis] - low[axis]));
    mark.setAttribute("transform", `translate(${x.toFixed(1)} ${(PLOT - y).toFixed(1)})`);
    mark.setAttribute("class", `point class${point.label}${chosen ? " chosen" : ""}`);
    mark.setAttribute(
      "aria-label",
      `point (${number(point.x[0])}, ${number(point.x[1])}), class ${point.label}${chosen ? ", chosen" : ""}`,
    );
    mark.firstChild.setAttribute("d", point.label ? "M-5-5h10v10h-10z" : "M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0z");
  }

  mark(index) {
    const mark = svg("g", { tabindex: 0, role: "button" }, svg("path"));
    const { live } = this;
    const move = (x) => live.send({ act: "point-move", index, x }, `move ${index}`);
    let dragging = false;
    mark.addEventListener("pointerdown", (event) => {
      dragging = false;
      mark.setPointerCapture(event.pointerId);
      mark.onpointermove = (moved) => {
        dragging = true;
        move(this.at(moved));
      };
    });
    mark.addEventListener("pointerup", () => {
      mark.onpointermove = null;
      if (!dragging) live.send({ act: "choose", index });
    });
    mark.addEventListener("pointercancel", () => {
      mark.onpointermove = null;
    });
    mark.addEventListener("dblclick", () => live.send({ act: "point-label", index, label: 1 - live.state.points[index].label }));
    mark.addEventListener("keydown", (event) => {
      const { points, boundary } = live.state;
      const step = (axis, sign) => {
        const x = [...points[index].x];
        x[axis] = Number((x[axis] + (sign * (boundary.high[axis] - boundary.low[axis])) / 50).toPrecision(5));
        move(x);
      };
      const act = {
        ArrowLeft: () => step(0, -1),
        ArrowRight: () => step(0, 1),
        ArrowDown: () => step(1, -1),
        ArrowUp: () => step(1, 1),
        Enter: () => live.send({ act: "choose", index }),
        c: () => live.send({ act: "point-label", index, label: 1 - points[index].label }),
        Delete: () => live.send({ act: "point-remove", index }),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    });
    return mark;
  }
}

/** Probabilities as an image, from orange (0) over white (1/2) to blue (1); the lowest row is at the bottom. */
function shaded(values, across, down) {
  const flipped = range(down).flatMap((row) => values.slice((down - 1 - row) * across, (down - row) * across));
  return picture(
    flipped.map((p) => 2 * p - 1),
    down,
    across,
    (x) => signed(0.75 * x),
    1,
  );
}
