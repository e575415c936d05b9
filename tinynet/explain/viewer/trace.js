// A run as tinynet wrote it: graphs, frames, and the clock that counts every step of one frame.
//
// Time 0: only the leaves are known. Then one tick for each value that is computed, one for d result / d result = 1, and
// one for each link of the chain rule. Nothing here computes a value or a derivative: both stand in the run.

class Run {
  constructor(data) {
    this.title = data.title;
    this.graphs = data.graphs.map((graph) => new Graph(graph));
    this.frames = data.frames.map((frame) => new Frame(frame, this.graphs[frame.graph]));
  }
}

class Graph {
  constructor(data) {
    Object.assign(this, data);
    this.size = this.names.length;
    this.nameless = new Set(data.nameless);
    this.root = this.size - 1;
    this.computedAt = new Int32Array(this.size);
    let tick = 0;
    for (let i = 0; i < this.size; i++) if (this.parents[i].length) this.computedAt[i] = ++tick;
    this.seededAt = tick + 1;
    this.linkOf = new Int32Array(this.size).fill(-1); // the first link of each node: the others follow it
    this.links = []; // [from node, input number]
    for (let i = this.size - 1; i >= 0; i--) {
      const operation = this.operations[this.operation[i]];
      if (!operation || !operation.derivatives.length) continue;
      this.linkOf[i] = this.links.length;
      this.parents[i].forEach((_, input) => this.links.push([i, input]));
    }
    this.arriving = Array.from({ length: this.size }, () => []); // the links into each node, in the order of the walk
    this.links.forEach(([from, input], link) => this.arriving[this.parents[from][input]].push(link));
    this.end = this.seededAt + this.links.length;
  }

  isLeaf(node) {
    return this.parents[node].length === 0;
  }
  target(link) {
    return this.parents[this.links[link][0]][this.links[link][1]];
  }
  linkAt(time) {
    return time - this.seededAt - 1;
  }
  timeOf(link) {
    return this.seededAt + 1 + link;
  }
  /** When a node hands on its last share; 0 where it hands on nothing. */
  givenAt(node) {
    return this.linkOf[node] < 0 ? 0 : this.timeOf(this.linkOf[node] + this.parents[node].length - 1);
  }
  operationOf(node) {
    return this.operations[this.operation[node]];
  }
  /** The number that a nameless node goes by. */
  constant(node) {
    return Number(this.names[node].replace(MINUS, "-").replace("inf", "Infinity"));
  }
}

class Frame {
  constructor(data, graph) {
    this.graph = graph;
    this.values = data.values.map(Number);
    this.gradients = data.gradients.map(Number);
    this.locals = data.locals.map(Number);
    this.contributions = data.contributions.map(Number);
    this.stale = new Set(data.stale);
    this.input = data.input ? numeric(data.input) : null;
    this.rounded = data.rounded ? numeric(data.rounded) : {};
    this.outputs = data.outputs ? numeric(data.outputs) : null;
    this.wrong = data.wrong ? new WrongWalk(data.wrong, graph) : null;
  }

  result() {
    return this.values[this.graph.root];
  }
  isComputed(node, time) {
    return this.graph.computedAt[node] <= time;
  }

  /** What has arrived at a node by then: the sum, and how many of how many links. */
  arrived(node, time) {
    const links = this.graph.arriving[node];
    const isRoot = node === this.graph.root;
    let sum = isRoot && time >= this.graph.seededAt ? 1 : 0,
      count = 0;
    for (const link of links) {
      if (this.graph.timeOf(link) > time) break;
      sum += this.contributions[link];
      count++;
    }
    return { sum, count, of: links.length, known: isRoot ? time >= this.graph.seededAt : count > 0 };
  }

  upstream(link) {
    return this.gradients[this.graph.links[link][0]];
  }
}

/** Arrays of numbers inside each other, with those that JSON has no word for. */
function numeric(x) {
  if (Array.isArray(x)) return x.map(numeric);
  return x && typeof x === "object" ? Object.fromEntries(Object.entries(x).map(([key, part]) => [key, numeric(part)])) : Number(x);
}

/** The same graph walked impatiently: each node hands on the moment that anything arrives. */
class WrongWalk {
  constructor(data, graph) {
    this.graph = graph;
    this.links = data.links;
    this.upstreams = data.upstreams.map(Number);
    this.contributions = data.contributions.map(Number);
    this.gradients = data.gradients.map(Number);
    this.spoilt = new Set(data.spoilt);
    this.end = this.links.length;
  }

  /** What has arrived after so many steps of this walk. */
  arrived(node, steps) {
    const isRoot = node === this.graph.root;
    let sum = isRoot ? 1 : 0,
      count = 0;
    for (let k = 0; k < Math.min(steps, this.end); k++) {
      if (this.graph.target(this.links[k]) !== node) continue;
      sum += this.contributions[k];
      count++;
    }
    return { sum, count, of: this.graph.arriving[node].length, known: isRoot || count > 0 };
  }
}
