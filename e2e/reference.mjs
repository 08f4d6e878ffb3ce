// The reference: graphql-js over the same rows, with resolvers that implement
// the rules of the data API in the plainest way. Reads lines of JSON on stdin:
// first {model, rows}, then {sdl, role} for each reader, with the schema that he
// may know, then one {query, variables, role, down} each, down being the types
// whose department does not answer; answers one line each:
// {data: "<JSON text>", errors: ["persons.permits", …], refused}.
//
// model.types:  name -> {key: [field], fields: {name: {kind, list, relation}}}
//               relation: {target, many, fields, references}
// model.abstracts: name -> [member types, sorted]
// model.roots:  name -> {kind, type, abstract, keys, by}
// model.roles:  name -> {withheld: ["Type.field"], closed: [Type], order: {Type: [field]},
//               rows: {Type: {field: value}}}: fields that are null, types of which
//               no row is visible, orders other than the key, rows that are visible
// rows:         type -> [{field: value as in JSON, __no: n}]
import { createInterface } from 'node:readline';
import { buildSchema, execute, getDirectiveValues, GraphQLIncludeDirective, GraphQLSkipDirective, parse, validate } from 'graphql';

const schemas = {};
let model, rows, index;

function build(sdl) {
  const s = buildSchema(sdl);
  for (const name of ['Date', 'DateTime', 'Time', 'Decimal', 'BigInt', 'UUID', 'JSON']) {
    const t = s.getType(name);
    if (t) t.serialize = (v) => v;
  }
  for (const name of Object.keys(model.abstracts)) {
    const t = s.getType(name);
    if (t) t.resolveType = (row) => row.__type;
  }
  return s;
}

// Down is the one error that the rules raise themselves.
class Down extends Error {}

function answer({ query, variables, role, down = [] }) {
  const schema = schemas[role];
  let document;
  try {
    document = parse(query);
  } catch {
    return { refused: true };
  }
  if (validate(schema, document).length > 0) return { refused: true };
  const context = { role: model.roles[role], down };
  const result = execute({
    schema, document, variableValues: variables, contextValue: context,
    fieldResolver: resolve,
  });
  if (!('data' in result)) return { refused: true };
  const fault = result.errors?.find((e) => e.originalError && !(e.originalError instanceof Down));
  if (fault) throw fault.originalError;
  const errors = new Set((result.errors ?? []).map((e) => (e.path ?? []).filter((p) => typeof p === 'string').join('.')));
  return { data: JSON.stringify(result.data), errors: [...errors].sort() };
}

function resolve(source, args, context, info) {
  const { fieldName, parentType } = info;
  if (parentType === info.schema.getQueryType()) return root(fieldName, args, context, info);
  const type = model.types[parentType.name];
  if (!type) return source[fieldName]; // connections, edges, page info
  if (context.role.withheld.includes(`${parentType.name}.${fieldName}`)) return null;
  const field = type.fields[fieldName];
  if (!field.relation) return source[fieldName];
  reach(field.relation.target, context);
  return relation(source, field.relation, args, context);
}

// reach fails when a department that the type's rows come from does not answer.
function reach(type, context) {
  if (members(type).some((m) => context.down.includes(m))) throw new Down();
}

function root(name, args, context, info) {
  const r = model.roots[name];
  if (context.role.closed?.includes(r.type)) return null;
  if (r.kind !== 'connection' || readsRows(info.fieldNodes, info)) reach(r.type, context);
  const by = (row) => (r.by ?? []).every((f) => row[f] === args[f]);
  switch (r.kind) {
    case 'get':
      return rowsOf(r.type, context).find((row) => r.keys.every((k) => row[k] === args[k])) ?? null;
    case 'match': {
      const row = rowsOf(r.type, context).find((row) => r.keys.every((k) => row[k] === args[k]));
      // An absent row, a NULL and another value are one answer.
      return row !== undefined && Object.entries(args.expect).every(([f, v]) => row[f] === v);
    }
    case 'aggregate':
      return aggregate(r.type, rowsOf(r.type, context).filter(by).filter((row) => truth(where(r.type, args.where, row, context))), info);
    case 'list':
      return list(r.type, rowsOf(r.type, context).filter(by), args, 50, context);
    case 'connection': {
      const all = ordered(r.type, rowsOf(r.type, context).filter(by).filter((row) => truth(where(r.type, args.where, row, context))), args.orderBy, context);
      const nodes = all.slice(0, args.first ?? 50);
      return {
        nodes,
        edges: nodes.map((node) => ({ node })),
        pageInfo: { hasNextPage: all.length > nodes.length, hasPreviousPage: false },
        get totalCount() {
          reach(r.type, context);
          return String(all.length);
        },
      };
    }
  }
  throw new Error(`no such root: ${name}`);
}

// readsRows: a connection reads its page when something of it is selected; the
// number of all rows, and what the request itself says, are not of the page.
function readsRows(nodes, info) {
  for (const [field, ...more] of selected(nodes, info).values()) {
    const name = field.name.value;
    if (['nodes', 'edges', 'hasNextPage', 'startCursor', 'endCursor'].includes(name)) return true;
    if (name === 'pageInfo' && readsRows([field, ...more], info)) return true;
  }
  return false;
}

// aggregate groups rows by the selected fields of every selected `group`.
function aggregate(type, all, info) {
  const names = [];
  for (const nodes of selected(info.fieldNodes, info).values()) {
    if (nodes[0].name.value !== 'group') continue;
    for (const [field] of selected(nodes, info).values()) {
      const name = field.name.value;
      if (name !== '__typename' && !names.includes(name)) names.push(name);
    }
  }
  const fields = model.types[type].fields;
  const groups = new Map();
  if (names.length === 0) groups.set('[]', { values: [], rows: [] });
  for (const row of all) {
    const values = names.map((name) => plain(fields[name].kind, row[name]));
    const key = JSON.stringify(values);
    if (!groups.has(key)) groups.set(key, { values, rows: [] });
    groups.get(key).rows.push(row);
  }
  const compare = (a, b) => {
    for (const [i, name] of names.entries()) {
      const [x, y] = [a.values[i], b.values[i]];
      if (x == null && y == null) continue;
      if (x == null || y == null) return x == null ? 1 : -1;
      const c = order(fields[name].kind, x, y);
      if (c !== 0) return c;
    }
    return 0;
  };
  return [...groups.values()].sort(compare).slice(0, 1000).map((g) => ({
    group: Object.fromEntries(names.map((name, i) => [name, g.values[i]])),
    count: String(g.rows.length),
    sum: lazy(fields, g.rows, sum),
    avg: lazy(fields, g.rows, avg),
    min: lazy(fields, g.rows, (kind, vs) => extreme(kind, vs, -1)),
    max: lazy(fields, g.rows, (kind, vs) => extreme(kind, vs, 1)),
  }));
}

// selected is what a selection set selects, by response key.
function selected(nodes, info, into = new Map()) {
  for (const node of nodes) {
    for (const s of node.selectionSet?.selections ?? []) {
      if (getDirectiveValues(GraphQLSkipDirective, s, info.variableValues)?.if === true) continue;
      if (getDirectiveValues(GraphQLIncludeDirective, s, info.variableValues)?.if === false) continue;
      if (s.kind === 'FragmentSpread') selected([info.fragments[s.name.value]], info, into);
      else if (s.kind === 'InlineFragment') selected([s], info, into);
      else {
        const key = s.alias?.value ?? s.name.value;
        if (!into.has(key)) into.set(key, []);
        into.get(key).push(s);
      }
    }
  }
  return into;
}

// lazy computes the fields of a sum, an average or an extreme when asked.
const lazy = (fields, rows, f) => new Proxy({}, {
  get: (_, name) => {
    const vs = fields[name] && rows.map((row) => row[name]).filter((v) => v != null);
    return vs?.length > 0 ? f(fields[name].kind, vs) : null;
  },
});

// plain writes Decimals without the last zeros of their fractions.
const plain = (kind, v) => (kind === 'Decimal' && v != null ? text(...exact('Decimal', [v])) : v);

const extreme = (kind, vs, sign) => plain(kind, vs.reduce((a, b) => (order(kind, b, a) * sign > 0 ? b : a)));

// exact is the sum of numbers as a fraction of two BigInts.
function exact(kind, vs) {
  if (kind === 'Float') return [vs.reduce((n, v) => n + units(v), 0n), 1n << 1074n];
  const places = Math.max(...vs.map((v) => (String(v).split('.')[1] ?? '').length));
  const digits = (v) => {
    const [whole, fraction = ''] = String(v).split('.');
    return BigInt(whole + fraction.padEnd(places, '0'));
  };
  return [vs.reduce((n, v) => n + digits(v), 0n), 10n ** BigInt(places)];
}

// units are a double in 2^-1074.
function units(v) {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, v);
  const raw = bits.getBigUint64(0);
  const exponent = (raw >> 52n) & 0x7ffn;
  const fraction = raw & 0xfffffffffffffn;
  const n = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
  return raw >> 63n ? -n : n;
}

function sum(kind, vs) {
  const [n, d] = exact(kind, vs);
  return kind === 'Float' ? ratio(n, d) : text(n, d);
}

function avg(kind, vs) {
  const [n, d] = exact(kind, vs);
  const count = BigInt(vs.length);
  if (kind !== 'Decimal') return ratio(n, d * count);
  const scaledUp = (n < 0n ? -n : n) * 10n ** 16n * 2n + d * count;
  const rounded = scaledUp / (2n * d * count);
  return text(n < 0n ? -rounded : rounded, 10n ** 16n);
}

// text is a decimal fraction, d a power of ten.
function text(n, d) {
  const places = String(d).length - 1;
  const digits = String(n < 0n ? -n : n).padStart(places + 1, '0');
  const fraction = digits.slice(digits.length - places).replace(/0+$/, '');
  return (n < 0n ? '-' : '') + digits.slice(0, digits.length - places) + (places > 0 && fraction ? '.' + fraction : '');
}

// ratio is the double nearest to n/d: 64 bits of the quotient and whether more
// follow are enough to round it.
function ratio(n, d) {
  if (n === 0n) return 0;
  const a = n < 0n ? -n : n;
  const shift = Math.max(0, 66 + d.toString(2).length - a.toString(2).length);
  let q = (a << BigInt(shift)) / d;
  if (q * d !== a << BigInt(shift)) q |= 1n;
  let v = Number(q);
  for (let left = shift; left > 0; left -= 1000) v /= 2 ** Math.min(left, 1000);
  return n < 0n ? -v : v;
}

function relation(source, rel, args, context) {
  const key = rel.fields.map((f) => source[f]);
  if (key.some((v) => v == null)) return rel.many ? [] : null;
  const far = members(rel.target).flatMap((type) => lookUp(type, rel.references, key, context));
  return rel.many ? list(rel.target, far, args, 20, context) : (far[0] ?? null);
}

// lookUp finds rows by equality, through an index made on first use.
function lookUp(type, fields, key, context) {
  const name = type + '/' + fields.join('/');
  let byKey = index.get(name);
  if (!byKey) {
    byKey = new Map();
    for (const row of rows[type]) {
      const k = JSON.stringify(fields.map((f) => row[f]));
      if (!byKey.has(k)) byKey.set(k, []);
      byKey.get(k).push(row);
    }
    index.set(name, byKey);
  }
  return (byKey.get(JSON.stringify(key)) ?? []).filter((row) => visible(type, row, context));
}

function visible(type, row, context) {
  const only = context.role.rows?.[type];
  return !only || Object.entries(only).every(([field, value]) => row[field] === value);
}

const members = (name) => model.abstracts[name] ?? [name];
const rowsOf = (name, context) => members(name).flatMap((type) => rows[type].filter((row) => visible(type, row, context)));

function list(type, all, args, limit, context) {
  const kept = all.filter((row) => truth(where(type, args.where, row, context)));
  const from = args.offset ?? 0;
  return ordered(type, kept, args.orderBy, context).slice(from, from + (args.limit ?? limit));
}

const truth = (v) => v === true;

// where gives true, false or null for unknown.
function where(type, condition, row, context) {
  if (condition == null) return true;
  return all(Object.entries(condition).map(([key, value]) => {
    switch (key) {
      case '_and': return all(value.map((c) => where(type, c, row, context)));
      case '_or': return any(value.map((c) => where(type, c, row, context)));
      case '_not': return not(where(type, value, row, context));
    }
    const field = fieldOf(type, key);
    if (field.relation) {
      const rel = field.relation;
      const k = rel.fields.map((f) => row[f]);
      if (k.some((v) => v == null)) return false;
      return lookUp(rel.target, rel.references, k, context).some((far) => truth(where(rel.target, value, far, context)));
    }
    return all(Object.entries(value).map(([op, operand]) => compareWith(field, row[key], op, operand)));
  }));
}

const fieldOf = (type, name) => model.types[members(type)[0]].fields[name];
const not = (v) => (v === null ? null : !v);
const all = (vs) => (vs.includes(false) ? false : vs.includes(null) ? null : true);
const any = (vs) => (vs.includes(true) ? true : vs.includes(null) ? null : false);

function compareWith(field, value, op, operand) {
  if (op === '_is_null') return (value == null) === operand;
  if (op === '_in') return any(operand.map((o) => (value == null ? null : order(field.kind, value, o) === 0)));
  if (op === '_nin') return not(any(operand.map((o) => (value == null ? null : order(field.kind, value, o) === 0))));
  if (value == null) return null;
  switch (op) {
    case '_contains': return value.includes(operand);
    case '_like': return like(operand).test(value);
    case '_starts_with': return value.startsWith(operand);
  }
  const c = order(field.kind, value, operand);
  switch (op) {
    case '_eq': return c === 0;
    case '_neq': return c !== 0;
    case '_gt': return c > 0;
    case '_gte': return c >= 0;
    case '_lt': return c < 0;
    case '_lte': return c <= 0;
  }
  throw new Error(`no such operator: ${op}`);
}

function like(pattern) {
  let out = '';
  for (let i = 0; i < pattern.length; i++) {
    let c = pattern[i];
    if (c === '%') { out += '[\\s\\S]*'; continue; }
    if (c === '_') { out += '[\\s\\S]'; continue; }
    if (c === '\\' && i + 1 < pattern.length) c = pattern[++i];
    out += c.replace(/[.*+?^${}()|[\]\\/]/, '\\$&');
  }
  return new RegExp(`^${out}$`, 'u');
}

// order compares two values of a kind: strings by code point, numbers exactly.
function order(kind, a, b) {
  switch (kind) {
    case 'Int': case 'Float': return a - b;
    case 'Boolean': return Number(a) - Number(b);
    case 'Decimal': case 'BigInt': {
      const [x, y] = [scaled(a), scaled(b)];
      return x < y ? -1 : x > y ? 1 : 0;
    }
    case 'DateTime': return Date.parse(a) - Date.parse(b);
    default: return Buffer.compare(Buffer.from(a), Buffer.from(b));
  }
}

function scaled(text) {
  const [, sign, whole, fraction = ''] = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(text);
  return BigInt((sign === '-' ? '-' : '') + whole + fraction.padEnd(20, '0'));
}

function ordered(type, list, orderBy, context) {
  const keys = (orderBy ?? []).map((o) => {
    const [[name, direction]] = Object.entries(o);
    return { name, kind: fieldOf(type, name).kind, desc: direction.startsWith('DESC'), first: direction.endsWith('NULLS_FIRST') };
  });
  const compare = (a, b) => {
    for (const k of keys) {
      const [x, y] = [a[k.name], b[k.name]];
      if (x == null && y == null) continue;
      if (x == null) return k.first ? -1 : 1;
      if (y == null) return k.first ? 1 : -1;
      const c = order(k.kind, x, y);
      if (c !== 0) return k.desc ? -c : c;
    }
    if (a.__type !== b.__type) return a.__type < b.__type ? -1 : 1;
    const own = context.role.order?.[a.__type] ?? model.types[a.__type].key;
    for (const f of own) {
      const kind = f === '__no' ? 'Int' : model.types[a.__type].fields[f].kind;
      const c = order(kind, a[f], b[f]);
      if (c !== 0) return c;
    }
    return 0;
  };
  return [...list].sort(compare);
}

// Last, when everything above is defined.
const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
for await (const line of lines) {
  const message = JSON.parse(line);
  if (message.sdl || message.model) {
    if (message.model) ({ model, rows } = message);
    else schemas[message.role] = build(message.sdl);
    index = new Map();
    process.stdout.write('{"ready":true}\n');
    continue;
  }
  process.stdout.write(JSON.stringify(answer(message)) + '\n');
}
