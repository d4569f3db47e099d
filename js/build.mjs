// Builds both bundles from src/: the JupyterLab extension (rspack, through JupyterLab's own builder) and the widget (esbuild).
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const COMMON = {
  bundle: true,
  minify: true,
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
};

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

function labextension() {
  rmSync(join(here, "..", "nbtrack", "lab", "labextension"), { recursive: true, force: true });
  const builder = join(dirname(require.resolve("@jupyter/builder/package.json")), "lib", "build-labextension.js");
  const core = join(dirname(require.resolve("@jupyterlab/core-meta/package.json")), "core.package.json");
  const done = spawnSync(process.execPath, [builder, "--core-package-file", core, here], {
    cwd: here,
    encoding: "utf8",
  });
  if (done.status !== 0) {
    throw new Error(`build: the labextension did not build.\n${done.stdout}\n${done.stderr}`);
  }
}

async function widget() {
  const outdir = join(here, "..", "nbtrack", "widget", "static");
  rmSync(outdir, { recursive: true, force: true });
  const made = { absWorkingDir: here, outdir, ...COMMON };
  await build({ ...made, entryPoints: [{ in: "style/index.css", out: "widget" }] });
  const style = JSON.stringify(readFileSync(join(outdir, "widget.css"), "utf8"));
  await build({ ...made, entryPoints: ["src/widget.ts"], format: "esm" });
  await build({ ...made, entryPoints: ["src/view.ts"], format: "esm", define: { NBT_STYLE: style } });
  // A page opened from disk may load no module, so its program is one plain script.
  await build({ ...made, entryPoints: ["src/report.ts"], format: "iife", charset: "ascii" });
}

labextension();
await widget();
