// The graph in sight, drawn: boxes and arrows laid out once for a sight, and brought up to each moment by `update`.

const MARGIN = 22;

class Picture {
  /** Args: the <svg>; what to call when an item is opened, picked, or pointed at (null: no longer). */
  constructor(element, { open, point, pick }) {
    Object.assign(this, { element, open, point, pick });
    this.scale = 1;
  }

  show(run, graph, view) {
    this.graph = graph;
    this.view = view;
    this.boxes = view.items.map((item) => makeBox(run, graph, item));
    const order = view.items.map((item) => item.nodes.reduce((most, node) => Math.max(most, graph.computedAt[node]), 0));
    const places = layOut(this.boxes, view.edges, order, view.numbers ? 94 : 44);
    this.width = places.width + 2 * MARGIN;
    this.height = places.height + 2 * MARGIN;
    const body = svg("g", { transform: `translate(${MARGIN} ${MARGIN})` });
    this.arrows = view.edges.map((edge, k) => {
      const points = places.routes[k];
      const [x, y] = points[points.length - 1];
      const path = svg("path", { class: "edge", d: curve(points) });
      const head = svg("path", { class: "head", d: `M${x} ${y}l-7 -3.5v7z` });
      const [mx, my] =
        points.length > 2
          ? mid(points[points.length - 2], points[points.length - 1], points[points.length - 3])
          : mid(points[0], points[1]);
      const label = svg("text", { class: "flow", x: mx, y: my - 9 });
      body.append(path, head);
      return { edge, path, head, label };
    });
    this.groups = view.items.map((item, k) => this.placed(item, this.boxes[k]));
    body.append(...this.groups, ...this.arrows.map((arrow) => arrow.label));
    this.element.replaceChildren(body);
    this.element.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.zoom(this.scale);
  }

  placed(item, box) {
    const canOpen = Boolean(item.children) || item.ghost;
    const group = svg(
      "g",
      {
        class: `item${item.ghost ? " ghost" : ""}${canOpen ? " opens" : ""}`,
        transform: `translate(${box.x + (box.shift || 0)} ${box.y})`,
        tabindex: 0,
        role: canOpen ? "button" : "img",
        "data-key": item.key,
      },
      box.element,
    );
    group.addEventListener("pointerenter", () => this.point(item));
    group.addEventListener("focus", () => this.point(item));
    group.addEventListener("pointerleave", () => this.point(null));
    group.addEventListener("blur", () => this.point(null));
    if (canOpen) {
      group.addEventListener("click", () => this.open(item));
      group.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          event.stopPropagation();
          this.open(item);
        }
      });
    } else {
      group.addEventListener("click", () => {
        group.focus();
        this.pick(item);
      });
      group.addEventListener("keydown", (event) => {
        if (event.key === "Enter") this.pick(item);
      });
    }
    return group;
  }

  /** Bring everything up to a moment: `now` knows the frame, the time and what is lit. */
  update(now) {
    this.boxes.forEach((box, k) => {
      const item = this.view.items[k];
      const group = this.groups[k];
      const label = box.update(now);
      const opens = item.ghost ? ", outside; press Enter to go there" : item.children ? "; press Enter to look inside" : "";
      group.setAttribute("aria-label", label + opens);
      group.classList.toggle("current", now.current === item.key);
      group.classList.toggle("reached", now.reached === item.key);
      group.classList.toggle("spoilt", item.kind === "node" && now.spoilt(item.node));
      group.classList.toggle("unknown", item.kind === "node" && !now.isComputed(item.node));
    });
    for (const { edge, path, head, label } of this.arrows) {
      const flow = now.flow(edge);
      for (const part of [path, head]) part.setAttribute("class", `${part === path ? "edge" : "head"}${flow ? ` ${flow.way}` : ""}`);
      label.textContent = flow ? flow.text : "";
    }
    this.follow(now);
  }

  /** Scroll, where the picture is larger than its place, to what is happening; to where it begins where nothing is. */
  follow(now) {
    if (!now.moved) return;
    const k = Math.max(
      0,
      this.view.items.findIndex((item) => item.key === now.current),
    );
    const frame = this.element.parentElement,
      box = this.boxes[k];
    const x = (box.x + MARGIN) * this.scale,
      y = (box.y + MARGIN) * this.scale;
    const inside =
      x > frame.scrollLeft + 60 &&
      x < frame.scrollLeft + frame.clientWidth - 60 &&
      y > frame.scrollTop + 40 &&
      y < frame.scrollTop + frame.clientHeight - 40;
    if (inside) return;
    const left = x - frame.clientWidth / 2,
      top = y - frame.clientHeight / 2;
    const near = Math.abs(left - frame.scrollLeft) < frame.clientWidth && Math.abs(top - frame.scrollTop) < frame.clientHeight;
    frame.scrollTo({ left, top, behavior: near && !calm() ? "smooth" : "auto" });
  }

  zoom(scale) {
    this.scale = Math.min(Math.max(scale, 0.25), 3);
    this.element.setAttribute("width", Math.ceil(this.width * this.scale));
    this.element.setAttribute("height", Math.ceil(this.height * this.scale));
  }

  /** As large as fits into the place; what would become too small to read is larger than the place, and scrolls. */
  fit() {
    const frame = this.element.parentElement;
    const whole = Math.min(1.25, frame.clientWidth / this.width, Math.max(frame.clientHeight, 200) / this.height);
    const [smallest, readable] = this.view.numbers ? [0.65, 0.8] : [0.5, 0.6];
    this.zoom(whole >= smallest ? whole : readable);
  }

  focusOn(key) {
    const k = this.view.items.findIndex((item) => item.key === key);
    if (k >= 0) this.groups[k].focus();
  }
}

function mid([x, y], [toX, toY], before) {
  return before ? [(before[0] + x) / 2, (before[1] + y) / 2] : [(x + toX) / 2, (y + toY) / 2];
}

/** Whether the reader has asked for less motion. */
function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
