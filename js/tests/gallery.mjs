// Builds lib/gallery/index.html: every component in every state on one page, light (?theme=light) or dark (?theme=dark).
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const outdir = join(root, "lib", "gallery");
mkdirSync(outdir, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: [
    { in: "tests/gallery.ts", out: "gallery" },
    { in: "style/index.css", out: "style" },
  ],
  outdir,
  bundle: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  logLevel: "warning",
});
writeFileSync(
  join(outdir, "index.html"),
  `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>nbtrack gallery</title>
<link rel="stylesheet" href="style.css">
<style>body { margin: 16px; font-family: system-ui } h2 { font-size: 12px; opacity: .6 }</style>
<body><script>
const dark = new URLSearchParams(location.search).get("theme") === "dark";
document.body.dataset.jpThemeLight = String(!dark);
const colors = dark
  ? { "layout-color1": "#212121", "layout-color2": "#424242", "ui-font-color1": "rgba(255,255,255,.87)", "ui-font-color2": "rgba(255,255,255,.54)", "border-color1": "#616161", "border-color2": "#424242", "brand-color1": "#2196f3", "ui-inverse-font-color0": "#000" }
  : { "layout-color1": "#fff", "layout-color2": "#eee", "ui-font-color1": "rgba(0,0,0,.87)", "ui-font-color2": "rgba(0,0,0,.54)", "border-color1": "#bdbdbd", "border-color2": "#e0e0e0", "brand-color1": "#1976d2", "ui-inverse-font-color0": "#fff" };
for (const [name, value] of Object.entries(colors)) document.documentElement.style.setProperty("--jp-" + name, value);
document.body.style.background = colors["layout-color1"];
document.body.style.color = colors["ui-font-color1"];
</script><script type="module" src="gallery.js"></script>`,
);
