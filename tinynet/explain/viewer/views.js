// What is in sight: the whole network as layers, a layer as units, a unit as its numbers. Only what is opened exists here.
//
// An item is a node, a group of the network, or a part: some items that would be too many to show at once. An item has
// `key`, `kind`, `name`, `nodes` (all the nodes in it, in forward order) and, where it can be opened, `children`.

const MOST_NODES = 100; // numbers in one sight
const MOST_GROUPS = 64; // units in one sight
const MOST_PARTS = 24;
const FLAT = 60; // a graph of at most so many numbers is shown as numbers at first
const MOST_GHOSTS = 40;

/** The items of a graph as a tree: as numbers alone, or by the groups of the network. */
function itemTree(graph, flat) {
  const node = (i) => ({ key: `n${i}`, kind: "node", name: graph.names[i], nodes: [i], node: i, children: null });
  if (flat || !graph.groups.length) {
    return { key: "", kind: "all", name: "the whole graph", nodes: range(graph.size), children: split(range(graph.size).map(node), "") };
  }
  const made = graph.groups.map((group, i) => ({ ...group, key: `g${i}`, nodes: [], items: [] }));
  const top = { key: "", kind: "all", name: "the network", nodes: range(graph.size), items: [] };
  for (let i = 0; i < graph.size; i++) {
    let at = graph.group[i];
    (at < 0 ? top : made[at]).items.push(node(i));
    for (; at >= 0; at = graph.groups[at].parent) made[at].nodes.push(i);
  }
  made.forEach((group) => (group.parent < 0 ? top : made[group.parent]).items.push(group));
  for (const group of [...made, top]) {
    const full = group.items.filter((item) => item.nodes.length);
    if (full.some((item) => item.kind === "node")) full.sort((a, b) => a.nodes[a.nodes.length - 1] - b.nodes[b.nodes.length - 1]);
    group.children = split(full, group.key);
  }
  return top;
}

/** The items themselves, or, where they are too many, parts of them. */
function split(items, key) {
  const most = items.some((item) => item.kind === "node") ? MOST_NODES : MOST_GROUPS;
  if (items.length <= most) return items;
  const size = Math.max(most, Math.ceil(items.length / MOST_PARTS));
  const parts = [];
  for (let start = 0; start < items.length; start += size) {
    const inside = items.slice(start, start + size);
    const nodes = inside.flatMap((item) => item.nodes).sort((a, b) => a - b);
    parts.push({ key: `${key}p${parts.length}`, kind: "part", name: `part ${parts.length + 1}`, nodes, children: null, inside });
  }
  parts.forEach((part) => {
    part.children = split(part.inside, part.key);
  });
  return parts;
}

/** The item at a path of keys, with the items on the way to it; as far as the path leads. */
function follow(tree, path) {
  const way = [tree];
  for (const key of path) {
    const next = way[way.length - 1].children.find((item) => item.key === key);
    if (!next || !next.children) break;
    way.push(next);
  }
  return way;
}

/** What is seen at a place: items, ghosts of what lies outside and touches them, and the edges between. */
function sight(graph, way) {
  const here = way[way.length - 1];
  const seen = here.children;
  const inside = new Map();
  seen.forEach((item, k) => item.nodes.forEach((node) => inside.set(node, k)));
  const items = seen.map((item) => ({ ...item, ghost: false }));
  const ghosts = new Map();
  const numbers = seen.some((item) => item.kind === "node");
  const outside = new Set();
  for (const node of here.nodes) for (const parent of graph.parents[node]) if (!inside.has(parent)) outside.add(parent);
  const single = numbers && outside.size <= MOST_GHOSTS;

  const ghost = (node, alone) => {
    const item = alone ? { key: `n${node}`, kind: "node", name: graph.names[node], nodes: [node], node } : sibling(way, node);
    if (!ghosts.has(item.key)) {
      ghosts.set(item.key, items.length);
      items.push({ ...item, ghost: true });
    }
    return ghosts.get(item.key);
  };
  const edges = new Map();
  const join = (from, to, link) => {
    if (from === to) return;
    const key = `${from},${to}`;
    if (!edges.has(key)) edges.set(key, { from, to, links: [] });
    edges.get(key).links.push(link);
  };
  for (const node of here.nodes) {
    const to = inside.get(node);
    graph.parents[node].forEach((parent, input) => {
      const from = inside.has(parent) ? inside.get(parent) : ghost(parent, single);
      join(from, to, graph.linkOf[node] < 0 ? -1 : graph.linkOf[node] + input);
    });
    for (const link of graph.arriving[node]) {
      const user = graph.links[link][0];
      if (!inside.has(user)) join(to, ghost(user, false), link);
    }
  }
  return { items, edges: [...edges.values()], here, inside, numbers };
}

/** The item beside the way down that holds a node which is not inside. */
function sibling(way, node) {
  for (let depth = way.length - 2; depth >= 0; depth--) {
    const found = way[depth].children.find((item) => item !== way[depth + 1] && has(item.nodes, node));
    if (found) return found;
  }
  throw new Error(`node ${node} is nowhere`);
}

/** Whether a sorted list holds a number. */
function has(sorted, wanted) {
  let low = 0,
    high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === wanted;
}

/** The number that an item passes on: of a unit its activation, of a part its last sum. */
function outlet(graph, item) {
  if (item.kind === "node") return item.node;
  if (has(item.nodes, graph.root)) return graph.root;
  if (item.children && item.children.length && item.children[0].kind === "example") return outlet(graph, item.children[0]);
  for (let k = item.nodes.length - 1; k >= 0; k--) {
    const node = item.nodes[k];
    if (node === graph.root) return node;
    const users = graph.arriving[node].map((link) => graph.links[link][0]);
    if (!graph.isLeaf(node) && users.some((user) => !has(item.nodes, user))) return node;
  }
  return item.nodes[item.nodes.length - 1];
}

/** The units of a layer, whether it is shown in parts or not. */
function unitsOf(item) {
  return (item.children || []).flatMap((child) => (child.kind === "part" ? unitsOf(child) : child.kind === "unit" ? [child] : []));
}

function range(n) {
  return Array.from({ length: n }, (_, i) => i);
}

/** The moments at which something in sight changes, in order: when an item has been computed, and when it has handed on. */
function moments(graph, view) {
  const found = new Map([[0, { time: 0, kind: "start" }]]);
  for (const item of view.items) {
    if (item.ghost) continue;
    if (item.kind === "node") {
      const at = graph.computedAt[item.node];
      if (at) found.set(at, { time: at, kind: "value", item });
      if (graph.linkOf[item.node] >= 0) {
        graph.parents[item.node].forEach((_, input) => {
          const link = graph.linkOf[item.node] + input;
          found.set(graph.timeOf(link), { time: graph.timeOf(link), kind: "link", item, link });
        });
      }
      continue;
    }
    const computed = item.nodes.reduce((most, node) => Math.max(most, graph.computedAt[node]), 0);
    if (computed) found.set(computed, { time: computed, kind: "values", item });
    const given = item.nodes.reduce((most, node) => Math.max(most, graph.givenAt(node)), 0);
    if (given) found.set(given, { time: given, kind: "links", item });
  }
  if (view.inside.has(graph.root)) found.set(graph.seededAt, { time: graph.seededAt, kind: "seed" });
  return [...found.values()].sort((a, b) => a.time - b.time);
}
