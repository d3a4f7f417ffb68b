import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    outDir: "../../src/saropt/viewer/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licences.md" },
    chunkSizeWarningLimit: 800,
    rolldownOptions: {
      input: { viewer: "index.html", blind: "blind.html" },
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "shared.js",
        assetFileNames: "viewer[extname]",
      },
    },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
});
