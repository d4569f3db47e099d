// Builds lib/harness/harness.js and style.css: the components on a page of their own, which tests serve over a real store.
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const outdir = join(root, "lib", "harness");
mkdirSync(outdir, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: [
    { in: "tests/harness.ts", out: "harness" },
    { in: "style/index.css", out: "style" },
  ],
  outdir,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  logLevel: "warning",
});
