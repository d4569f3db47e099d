// Reads cases {before, change, whole, also} as JSON from stdin and fails unless what changed, put into the table before,
// gives the whole table: `tests/wire/test_changes.py` makes them with a real store. Prints how many it could put in.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const built = await build({
  absWorkingDir: join(dirname(fileURLToPath(import.meta.url)), ".."),
  entryPoints: ["src/merge.ts"],
  bundle: true,
  format: "esm",
  write: false,
  jsx: "automatic",
  jsxImportSource: "preact",
});
const program = Buffer.from(built.outputFiles[0].contents).toString("base64");
const { merged } = await import(`data:text/javascript;base64,${program}`);

let put = 0;
for (const { before, change, whole, also } of JSON.parse(readFileSync(0, "utf8"))) {
  const got = merged(before, change, new Set(also));
  if (got !== null) {
    put += 1;
    assert.deepEqual(
      got.columns.map((one) => one.key),
      whole.columns.map((one) => one.key),
    );
    got.columns.forEach((column, i) => {
      assert.deepEqual(column, whole.columns[i]);
    });
    // A store may find a folder at rest between two questions: another revision of the same runs.
    assert.deepEqual({ ...got, columns: [], revision: "" }, { ...whole, columns: [], revision: "" });
    for (const column of got.columns) {
      const old = before.columns.find((one) => one.kind === column.kind && one.key === column.key);
      const isSame = old !== undefined && JSON.stringify(old) === JSON.stringify(column);
      assert.ok(change.changed.order !== null || !isSame || old === column, `${column.key} was copied`);
    }
  }
}
process.stdout.write(String(put));
