// Bundles tests/*.test.ts(x) with esbuild into lib/tests and runs them with Node's own test runner.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const outdir = join(root, "lib", "tests");
const names = readdirSync(join(root, "tests")).filter((name) => /\.test\.tsx?$/.test(name));
if (names.length === 0) {
  throw new Error("tests: there are none");
}
rmSync(outdir, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: names.map((name) => `tests/${name}`),
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  jsx: "automatic",
  jsxImportSource: "preact",
  external: ["happy-dom"],
  logLevel: "warning",
});
const done = spawnSync(
  process.execPath,
  // A test that failed may leave a clock of the page running: it must not hold up the others.
  ["--test", "--test-force-exit", ...names.map((name) => join(outdir, name.replace(/\.tsx?$/, ".mjs")))],
  { stdio: "inherit" },
);
process.exit(done.status ?? 1);
