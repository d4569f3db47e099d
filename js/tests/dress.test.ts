import "./dom";
import assert from "node:assert/strict";
import { test } from "node:test";
import { dress, isNewer } from "../src/dress";

const styles = (): string[] =>
  [...document.head.querySelectorAll<HTMLStyleElement>("style")].map((one) => one.textContent ?? "");

test("isNewer compares versions place by place, as numbers", () => {
  assert.ok(isNewer("0.10.0", "0.9.9"));
  assert.ok(isNewer("1.0", "0.9.9"));
  assert.ok(isNewer("0.1.1", "0.1"));
  assert.ok(isNewer("0.1.0", ""));
  assert.ok(!isNewer("0.1.0", "0.1.0"));
  assert.ok(!isNewer("0.1", "0.1.1"));
  assert.ok(!isNewer("0.9.9", "0.10.0"));
});

test("A page keeps the newest style, whichever program comes first", () => {
  dress(document, "two", "0.2.0");
  dress(document, "one", "0.1.0");
  dress(document, "two again", "0.2.0");
  assert.deepEqual(styles(), ["two"]);
  dress(document, "ten", "0.10.0");
  assert.deepEqual(styles(), ["ten"]);
});
