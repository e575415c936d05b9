// Where things stand: a layered layout, left to right, after Sugiyama, Tagawa and Toda (1981), as tinynet's own pictures
// have it (tinynet/explain/layout.py says more). Boxes have `width` and `height` and are given `x` and `y`, their centres.

const DOWN = 14,
  THREAD = 6,
  SWEEPS = 6,
  MOST_LONG = 6;

/** Lay out boxes. `order` says which of two boxes comes first: edges against it do not count; `across` is the gap between
    columns. Returns the routes of the edges, as points, and the size of the whole. */
function layOut(boxes, edges, order, across) {
  const real = boxes.length;
  const forward = edges.filter((edge) => order[edge.from] < order[edge.to]);
  assignLayers(boxes, forward, order);
  const all = [...boxes];
  const stubs = stubbed(boxes, edges);
  const chains = edges.map((edge) => (stubs.has(edge) ? [edge.from, edge.to] : threaded(all, edge)));
  const above = all.map(() => []),
    below = all.map(() => []);
  for (const chain of chains) {
    for (let k = 1; k < chain.length; k++) {
      if (all[chain[k - 1]].layer !== all[chain[k]].layer - 1) continue;
      above[chain[k]].push(chain[k - 1]);
      below[chain[k - 1]].push(chain[k]);
    }
  }
  const layers = ordered(all, real, above, below);
  placeDown(all, layers, above, below);
  const columns = placeAcross(all, layers, across);
  const top = Math.min(0, ...all.map((box) => box.y - box.height / 2));
  all.forEach((box) => {
    box.y -= top;
  });
  return {
    routes: chains.map((chain, k) => (stubs.has(edges[k]) ? stub(all[chain[1]]) : route(all, chain, columns))),
    width: Math.max(0, ...all.map((box) => box.x + box.width / 2)),
    height: Math.max(0, ...all.map((box) => box.y + box.height / 2)),
  };
}

function assignLayers(boxes, edges, order) {
  const arriving = boxes.map(() => []);
  edges.forEach((edge) => arriving[edge.to].push(edge.from));
  const sequence = range(boxes.length).sort((a, b) => order[a] - order[b]);
  for (const i of sequence) boxes[i].layer = Math.max(-1, ...arriving[i].map((j) => boxes[j].layer)) + 1;
  const leaving = boxes.map(() => []);
  edges.forEach((edge) => leaving[edge.from].push(edge.to));
  for (const i of sequence.reverse()) {
    // what nothing leads to, and what would be far from its use, stands just before it
    const latest = Math.min(...leaving[i].map((j) => boxes[j].layer)) - 1;
    if (leaving[i].length && (!arriving[i].length || latest - boxes[i].layer > 2)) boxes[i].layer = latest;
  }
}

/** Edges that would run past many boxes from one that leads everywhere: only their ends are drawn. */
function stubbed(boxes, edges) {
  const long = edges.filter((edge) => boxes[edge.to].layer > boxes[edge.from].layer + 1);
  return new Set(long.filter((edge) => long.filter((other) => other.from === edge.from).length > MOST_LONG));
}

function stub(end) {
  const x = end.x - end.width / 2;
  return [
    [x - 22, end.y + end.height / 2 + 4],
    [x, end.y + 5],
  ];
}

function threaded(all, edge) {
  const chain = [edge.from];
  for (let layer = all[edge.from].layer + 1; layer < all[edge.to].layer; layer++) {
    chain.push(all.length);
    all.push({ width: 0, height: THREAD, layer, x: 0, y: 0 });
  }
  return [...chain, edge.to];
}

function ordered(boxes, real, above, below) {
  const layers = [];
  boxes.forEach((box, i) => {
    (layers[box.layer] ??= []).push(i);
  });
  for (let k = 0; k < layers.length; k++) layers[k] ??= [];
  const position = boxes.map((_, i) => i);
  for (let i = real; i < boxes.length; i++) if (above[i].length) position[i] = position[above[i][0]] + 0.5;
  const byPosition = (a, b) => position[a] - position[b];
  layers.forEach((layer) => layer.sort(byPosition));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      const size = Math.max(layer.length - 1, 1);
      layer.forEach((i, place) => {
        const near = (down ? above : below)[i];
        position[i] = near.length ? mean(near.map((j) => position[j])) : place / size;
      });
      layer.sort(byPosition);
      layer.forEach((i, place) => {
        position[i] = layer.length > 1 ? place / size : 0.5;
      });
    }
  }
  return layers;
}

function placeDown(boxes, layers, above, below) {
  const weight = boxes.map((_, i) => (above[i].length ? 1 : 1e-3));
  const pulled = (i, near) => {
    if (!near.length) return boxes[i].y;
    const onPath = above[i].some((j) => above[j].length);
    const pulls = near.map((j) => (onPath ? weight[j] : 1));
    return near.reduce((sum, j, k) => sum + pulls[k] * boxes[j].y, 0) / pulls.reduce((a, b) => a + b, 0);
  };
  layers.forEach((layer) =>
    settle(
      boxes,
      layer,
      layer.map(() => 0),
      weight,
    ),
  );
  const both = above.map((near, i) => [...near, ...below[i]]);
  const up = [...layers].reverse();
  for (const [sequence, near] of [
    [layers, above],
    [up, below],
    [layers, above],
    [up, below],
    [layers, both],
    [up, both],
  ]) {
    for (const layer of sequence)
      settle(
        boxes,
        layer,
        layer.map((i) => pulled(i, near[i])),
        weight,
      );
  }
}

/** The heights nearest to the wanted ones that keep order and gaps: neighbours that want to pass each other form a block. */
function settle(boxes, layer, wanted, weights) {
  const offsets = [0];
  for (let k = 1; k < layer.length; k++) {
    offsets.push(offsets[k - 1] + (boxes[layer[k - 1]].height + boxes[layer[k]].height) / 2 + DOWN);
  }
  const blocks = [];
  layer.forEach((i, k) => {
    let block = { mean: wanted[k] - offsets[k], weight: weights[i], size: 1 };
    while (blocks.length && blocks[blocks.length - 1].mean >= block.mean) {
      const other = blocks.pop();
      const weight = block.weight + other.weight;
      block = { mean: (block.mean * block.weight + other.mean * other.weight) / weight, weight, size: block.size + other.size };
    }
    blocks.push(block);
  });
  const heights = blocks.flatMap((block) => Array(block.size).fill(block.mean));
  layer.forEach((i, k) => {
    boxes[i].y = heights[k] + offsets[k];
  });
}

function placeAcross(boxes, layers, across) {
  let left = 0;
  return layers.map((layer) => {
    const right = left + Math.max(0, ...layer.map((i) => boxes[i].width));
    layer.forEach((i) => {
      boxes[i].x = (left + right) / 2;
    });
    const column = [left, right];
    left = right + across;
    return column;
  });
}

function route(boxes, chain, columns) {
  const start = boxes[chain[0]],
    end = boxes[chain[chain.length - 1]];
  const points = [[start.x + start.width / 2, start.y]];
  if (start.layer < end.layer) {
    points.push([columns[start.layer][1], start.y]);
    chain.slice(1, -1).forEach((i) => columns[boxes[i].layer].forEach((x) => points.push([x, boxes[i].y])));
    points.push([columns[end.layer][0], end.y]);
  }
  points.push([end.x - end.width / 2, end.y]);
  return points;
}

/** A line through the points, curved wherever it changes its height. */
function curve(points) {
  let [x, y] = points[0];
  return points.slice(1).reduce(
    (path, [toX, toY]) => {
      const middle = (x + toX) / 2;
      const piece =
        toY === y
          ? `H${toX.toFixed(1)}`
          : `C${middle.toFixed(1)} ${y.toFixed(1)} ${middle.toFixed(1)} ${toY.toFixed(1)} ${toX.toFixed(1)} ${toY.toFixed(1)}`;
      [x, y] = [toX, toY];
      return path + piece;
    },
    `M${x.toFixed(1)} ${y.toFixed(1)}`,
  );
}

function mean(xs) {
  return xs.reduce((a, b) => a + b, 0) / xs.length;
}
