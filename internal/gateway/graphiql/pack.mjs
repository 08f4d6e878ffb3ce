// Packs dist/ into ../assets/, gzipped: what is committed and embedded.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, dirname } from "node:path";
import { gzipSync } from "node:zlib";

const from = "dist";
const to = "../assets";
rmSync(to, { recursive: true, force: true });

// What is handed on keeps its authors' licences beside it.
const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
const licences = Object.entries(lock.packages)
  .filter(([path, p]) => path !== "" && !p.dev && existsSync(path))
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([path, p]) => {
    const file = readdirSync(path).find((f) => /^licen[cs]e/i.test(f));
    const name = path.replace(/^.*node_modules\//, "");
    const text = file ? readFileSync(join(path, file), "utf8").trim() : `licence: ${p.license}`;
    return `${name} ${p.version}\n\n${text}\n`;
  });
writeFileSync(join(from, "LICENCES.txt"), licences.join(`\n${"-".repeat(72)}\n\n`));

let total = 0;
const walk = (dir) => {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) {
      walk(path);
      continue;
    }
    const packed = gzipSync(readFileSync(path), { level: 9 });
    packed[9] = 255; // the operating system that packed it: unknown, so that builds agree
    total += packed.length;
    const target = join(to, relative(from, path) + ".gz");
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, packed);
  }
};
walk(from);
console.log(`packed ${(total / 1024 / 1024).toFixed(2)} MiB`);
