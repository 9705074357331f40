// Where the nodes of the topology stand: in columns by role, so ordered that few lines cross.

const TIERS = [
  ["Radio", ["gnb", "cu", "du"]],
  ["Transport", ["router", "secgw"]],
  ["User plane", ["upf"]],
  ["Control plane", ["smf", "amf"]],
  ["Services", []],
  ["Networks beyond", null],
];
const OTHERS = 4;
const BEYOND = 5;
const WIDTH = 126;
const GAP = 38;
const TOP = 34;
/** Room for what two nodes of the first column tell each other. */
const LEFT = 30;
const SWEEPS = 6;

function tier(node) {
  if (node.class === "network") return BEYOND;
  const found = TIERS.findIndex(([, roles]) => roles?.includes(node.role));
  return found < 0 ? OTHERS : found;
}

/** Columns, each sorted by where its nodes' peers stand, back and forth. */
function sorted(columns, edges) {
  const peers = new Map();
  for (const { from, to } of edges) {
    for (const [one, other] of [
      [from, to],
      [to, from],
    ]) {
      if (!peers.has(one)) peers.set(one, []);
      peers.get(one).push(other);
    }
  }
  const share = new Map();
  const settle = (column) => column.forEach(({ key }, at) => share.set(key, (at + 0.5) / column.length));
  columns.forEach(settle);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const column of sweep % 2 ? [...columns].reverse() : columns) {
      const pull = new Map(
        column.map(({ key }) => {
          const near = (peers.get(key) ?? []).map((peer) => share.get(peer)).filter((at) => at !== undefined);
          return [key, near.length ? near.reduce((sum, at) => sum + at, 0) / near.length : share.get(key)];
        }),
      );
      column.sort((one, other) => pull.get(one.key) - pull.get(other.key) || one.key.localeCompare(other.key));
      settle(column);
    }
  }
  return columns;
}

/** Places of all nodes by key, and the size of the picture. */
export function place(nodes, edges) {
  const columns = TIERS.map(() => []);
  for (const node of nodes) columns[tier(node)].push(node);
  const used = columns.map((column, index) => ({ column, index })).filter(({ column }) => column.length);
  sorted(
    used.map(({ column }) => column),
    edges,
  );
  const tallest = Math.max(...used.map(({ column }) => column.length), 1);
  const step = tallest > 60 ? 26 : tallest > 25 ? 32 : 44;
  const height = TOP + Math.max(tallest, 5) * step + 8;
  const at = new Map();
  const tiers = used.map(({ column, index }, order) => {
    const x = LEFT + order * (WIDTH + GAP);
    // A short column stands in the middle, and not too far apart.
    const gap = Math.min((height - TOP) / column.length, 2.4 * step);
    const top = TOP + (height - TOP - gap * column.length) / 2;
    // Single nodes one behind the other would hide the lines between their neighbours.
    const aside = column.length < 3 && order % 2 ? step * 0.8 : 0;
    column.forEach((node, row) =>
      at.set(node.key, { node, tier: index, x, y: top + gap * (row + 0.5) + aside, width: WIDTH, height: step - 10 > 30 ? 30 : step - 8 }),
    );
    return { title: TIERS[index][0], x };
  });
  return { at, tiers, width: LEFT + used.length * (WIDTH + GAP) - GAP + 4, height };
}
