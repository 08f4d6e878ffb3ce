import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // Everything is served from the node itself, under a policy that allows
  // nothing else: no inlined scripts, no external addresses.
  build: { outDir: "dist", assetsInlineLimit: 0, sourcemap: false, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 10000 },
  worker: { format: "es" },
});
