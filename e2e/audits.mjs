// Runs the audits of npm graphql-http against the endpoint of the first
// argument, as the reader of the token in the second. Prints one line each and
// ends with 1 unless all pass.
import { auditServer } from 'graphql-http';

const [url, token] = process.argv.slice(2);
const results = await auditServer({
  url,
  fetchFn: (to, init = {}) => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${token}`);
    return fetch(to, { ...init, headers });
  },
});
let ok = 0;
for (const r of results) {
  if (r.status === 'ok') ok++;
  console.log(`${r.status.padEnd(6)} ${r.id} ${r.name}${r.reason ? ': ' + r.reason : ''}`);
}
console.log(`${ok} of ${results.length} audits pass`);
process.exitCode = ok === results.length ? 0 : 1;
