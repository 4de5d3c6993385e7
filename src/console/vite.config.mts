import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const OUTPUT = join(import.meta.dirname, "../../dist/console");

/** Compressed once, here: the API has other things to do. */
const compressed: Plugin = {
  name: "howdah-compressed",
  async closeBundle() {
    for (const name of await readdir(OUTPUT, { recursive: true })) {
      if (!/\.(js|css|html|svg)$/.test(name)) continue;
      const path = join(OUTPUT, name);
      const content = await readFile(path);
      const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
      await writeFile(`${path}.br`, brotliCompressSync(content, { params }));
      await writeFile(`${path}.gz`, gzipSync(content, { level: 9 }));
    }
  },
};

/** The console, built when the packages are installed: `npm run console`. */
export default defineConfig({
  root: import.meta.dirname,
  base: "/console/",
  plugins: [react(), compressed],
  logLevel: "warn",
  // The one that is installed for the API is another build of the same.
  resolve: { dedupe: ["react", "react-dom"] },
  build: {
    outDir: OUTPUT,
    emptyOutDir: true,
    target: "es2024",
    // No inline script and no data: script or style: the Content-Security-Policy would refuse it.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
