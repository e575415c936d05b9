// `tinynet play --digits`: draw a digit and watch what each layer makes of it.

const SIDE = 28;

class DigitsPanel {
  constructor(live) {
    this.live = live;
    this.stride = 1;
    this.example = 0;
  }

  build() {
    this.canvas = el("canvas", {
      class: "board",
      width: SIDE * 10,
      height: SIDE * 10,
      role: "img",
      "aria-label": "A board to draw a digit on",
    });
    this.bindBoard();
    this.bars = el("ol", { class: "bars" });
    this.layers = el("div");
    this.label = select("what it is meant to be", "label", range(10).map(String), (value) =>
      this.live.send({ act: "label", value: Number(value) }),
    );
    this.explain = el(
      "button",
      { type: "button", id: "explain", onclick: () => this.live.send({ act: "explain" }) },
      "Explain this drawing",
    );
    this.stale = el("p", { class: "quiet" });
    this.seen = el("img", { class: "seen", alt: "the drawing as the network sees it, centred and scaled" });
    return [
      el("h2", {}, "Draw a digit"),
      this.canvas,
      el(
        "div",
        { class: "row" },
        el(
          "button",
          {
            type: "button",
            id: "clear",
            onclick: () => {
              this.own = false;
              this.live.send({ act: "clear" });
            },
          },
          "Clear",
        ),
        el(
          "button",
          {
            type: "button",
            id: "example",
            onclick: () => {
              this.own = false;
              this.example = (this.example + 1) % this.live.state.examples;
              this.live.send({ act: "example", index: this.example });
            },
          },
          "Another from the test set",
        ),
        this.explain,
      ),
      this.stale,
      el("h2", {}, "The answer"),
      this.bars,
      el("div", { class: "row" }, el("figure", {}, this.seen, el("figcaption", { class: "quiet" }, "what the network sees")), this.label),
      el("h2", {}, "Layer by layer"),
      this.layers,
    ];
  }

  bindBoard() {
    let last = null;
    this.own = false; // whether what is on the board was drawn here; a first stroke takes an example away
    const spot = (event) => {
      const frame = this.canvas.getBoundingClientRect();
      return [((event.clientX - frame.left) / frame.width) * SIDE, ((event.clientY - frame.top) / frame.height) * SIDE];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      if (!this.own) this.pixels = Array(SIDE * SIDE).fill(0);
      this.own = true;
      last = spot(event);
      this.stroke(last, last);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      const here = spot(event);
      this.stroke(last, here);
      last = here;
    });
    const end = () => {
      last = null;
    };
    this.canvas.addEventListener("pointerup", end);
    this.canvas.addEventListener("pointercancel", end);
  }

  /** A soft line about two pixels wide, into the image; then the engine is asked what it makes of it. */
  stroke(from, to) {
    const length = Math.max(Math.hypot(to[0] - from[0], to[1] - from[1]), 1e-9);
    for (let along = 0; along <= length; along += 0.3) {
      const [x, y] = [0, 1].map((axis) => from[axis] + ((to[axis] - from[axis]) * along) / length);
      for (let row = Math.max(0, Math.floor(y - 2)); row <= Math.min(SIDE - 1, y + 2); row++) {
        for (let column = Math.max(0, Math.floor(x - 2)); column <= Math.min(SIDE - 1, x + 2); column++) {
          const far = Math.hypot(column + 0.5 - x, row + 0.5 - y);
          const ink = Math.min(Math.max(1.6 - far, 0), 1);
          this.pixels[row * SIDE + column] = Math.max(this.pixels[row * SIDE + column], Number(ink.toFixed(3)));
        }
      }
    }
    this.paint(this.pixels);
    this.live.send({ act: "image", pixels: [...this.pixels] }, "image");
  }

  paint(pixels) {
    const context = this.canvas.getContext("2d");
    const small = context.createImageData(SIDE, SIDE);
    pixels.forEach((x, k) => small.data.set([255 * x, 255 * x, 255 * x, 255], 4 * k));
    const sheet = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
    sheet.getContext("2d").putImageData(small, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(sheet, 0, 0, this.canvas.width, this.canvas.height);
  }

  draw(state, restore) {
    if (!this.own) this.paint(state.image.map(Number)); // else the board is ahead of the engine
    const chances = state.probabilities.map(Number);
    const best = chances.indexOf(Math.max(...chances));
    this.bars.replaceChildren(
      ...chances.map((p, k) => {
        const bar = el("span", { class: "fill" });
        bar.style.width = `${(100 * p).toFixed(1)}%`;
        return el(
          "li",
          { class: k === best ? "best" : "" },
          el("span", { class: "digit" }, state.classes[k]),
          el("span", { class: "track" }, bar),
          el("span", { class: "chance" }, p > 0 && p < 0.001 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`),
        );
      }),
    );
    this.layers.replaceChildren(
      ...state.layers.map((layer) => {
        const values = layer.values.map(Number);
        const most = Math.max(1e-300, ...values.map(Math.abs));
        return el(
          "div",
          {},
          el("h3", {}, layer.description || layer.name),
          el(
            "div",
            { class: "cells", role: "img", "aria-label": `${layer.name}: ${values.map(number).join(", ")}` },
            ...values.map((x, k) => {
              const cell = el(
                "span",
                { class: `cell ${x < 0 ? "below" : "above"}`, title: `${k}: ${number(x)}` },
                number(Number(x.toPrecision(2))),
              );
              cell.style.setProperty("--much", Math.abs(x) / most);
              return cell;
            }),
          ),
        );
      }),
    );
    write(this.label, String(state.label), restore);
    this.seen.src = picture(state.seen.map(Number), SIDE, SIDE, grey, 1);
    const drawn = `${state.image.join()} ${state.label}`;
    if (state.run || this.explained === undefined) this.explained = drawn;
    this.stale.textContent =
      this.explained === drawn ? "" : "The graph still shows the drawing from before: press Explain to bring it up to date.";
  }
}
