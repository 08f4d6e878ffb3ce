import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./style.css";

import { GraphiQL } from "graphiql";
import { StrictMode, useCallback, useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";

// Queries hold people's numbers and answers hold their data: nothing of a
// session stays in the browser.
const memory = () => {
  const kept = new Map();
  return {
    get length() {
      return kept.size;
    },
    key: (n) => [...kept.keys()][n] ?? null,
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, String(value)),
    removeItem: (key) => void kept.delete(key),
    clear: () => kept.clear(),
  };
};

const graphs = [
  { path: "/graphql", name: "data · 数据" },
  { path: "/control/graphql", name: "control · 管理" },
];

function App({ node }) {
  const first = node.tokens[0];
  const [token, setToken] = useState(first?.token ?? "");
  const [purpose, setPurpose] = useState(first?.purposes[0] ?? "");
  const [graph, setGraph] = useState(graphs[0].path);
  // Each graph has its own tabs: a query of one is none of the other.
  const tabs = useMemo(() => Object.fromEntries(graphs.map((g) => [g.path, memory()])), []);
  const reader = node.tokens.find((t) => t.token === token);

  const choose = (next) => {
    setToken(next);
    const open = node.tokens.find((t) => t.token === next)?.purposes ?? [];
    if (node.tokens.length > 0 && !open.includes(purpose)) setPurpose(open[0] ?? "");
  };

  const fetcher = useCallback(
    async (params) => {
      const headers = {
        "Content-Type": "application/json",
        Accept: "application/graphql-response+json",
      };
      if (token) headers.Authorization = `Bearer ${token}`;
      if (purpose) headers["X-Weir-Purpose"] = purpose;
      const { query, operationName, variables } = params;
      const response = await fetch(graph, {
        method: "POST",
        headers,
        credentials: "omit",
        body: JSON.stringify({ query, operationName, variables }),
      });
      return response.json();
    },
    [token, purpose, graph],
  );

  return (
    <div className="weir">
      <header className="weir-bar">
        <strong>Weir</strong>
        <label>
          graph
          <select value={graph} onChange={(e) => setGraph(e.target.value)}>
            {graphs.map((g) => (
              <option key={g.path} value={g.path}>
                {g.name}
              </option>
            ))}
          </select>
        </label>
        <label>
          token
          {node.tokens.length > 0 ? (
            <select id="token" value={token} onChange={(e) => choose(e.target.value)}>
              {node.tokens.map((t) => (
                <option key={t.token} value={t.token}>
                  {t.token} · {t.zh} {t.en}
                </option>
              ))}
              <option value="">none</option>
            </select>
          ) : (
            <input id="token" type="password" autoComplete="off" placeholder="JWT" value={token} onChange={(e) => choose(e.target.value.trim())} />
          )}
        </label>
        <label>
          purpose
          <input id="purpose" list="purposes" autoComplete="off" placeholder="none" value={purpose} onChange={(e) => setPurpose(e.target.value.trim())} />
          <datalist id="purposes">
            {(reader?.purposes ?? []).map((p) => (
              <option key={p} value={p} />
            ))}
          </datalist>
        </label>
        {node.demo && <em>demo: fixed tokens, synthetic people · 演示数据</em>}
      </header>
      <main className="weir-main">
        <GraphiQL
          key={`${graph} ${token ? "reader" : "nobody"}`}
          fetcher={fetcher}
          storage={tabs[graph]}
          defaultQuery={graph === "/graphql" ? node.query : node.controlQuery}
          isHeadersEditorEnabled={false}
          shouldPersistHeaders={false}
          showPersistHeadersSettings={false}
        >
          <GraphiQL.Logo>{" "}</GraphiQL.Logo>
        </GraphiQL>
      </main>
    </div>
  );
}

function Page() {
  const [node, setNode] = useState(null);
  useEffect(() => {
    fetch("/console.json", { credentials: "omit" })
      .then((r) => r.json())
      .then(setNode, () => setNode({ demo: false, tokens: [], query: "" }));
  }, []);
  return node && <App node={node} />;
}

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
