/** A value with a codec of its own, from the caller to the members and back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Codec } from "../../src/ports.js";
import { defineValue } from "../../src/value/define.js";
import { Cluster } from "./cluster.js";

/** Texts as they are: the empty one has no bytes at all. */
const plain: Codec = {
  encode: (value) => new TextEncoder().encode(value as string),
  decode: (bytes) => new TextDecoder().decode(bytes),
};

const note = defineValue({
  name: "note",
  version: 1,
  codec: plain,
  initial: () => "",
  commands: { write: (before, text: string) => ({ reply: before, value: text }) },
  queries: { read: (text) => text },
});

test("a reply without a byte is what the codec reads out of it", async () => {
  const cluster = new Cluster();
  const [foo, bar] = await cluster.group("note", note, ["foo", "bar"]);
  assert.equal(await cluster.run(bar!.query("read")), "");
  assert.equal(await cluster.run(foo!.command("write", "a")), "");
  assert.equal(await cluster.run(bar!.command("write", "")), "a");
  assert.equal(await cluster.run(bar!.command("write", "", { id: "once" })), "");
  assert.equal(await cluster.run(foo!.queryStale("read")), "");
  await cluster.close();
});

test("an answer that does not decode costs its own caller that, and nobody else anything", async () => {
  const decode = (bytes: Uint8Array): unknown => {
    const text = plain.decode(bytes);
    if (text === "odd") throw Object.create(null) as Error;
    return text;
  };
  const oddly = defineValue({
    name: "note",
    version: 1,
    codec: { ...plain, decode },
    initial: () => "",
    commands: {},
    queries: { read: (text) => text, odd: () => "odd" },
  });
  const cluster = new Cluster();
  const [foo] = await cluster.group("note", oddly, ["foo"]);
  const odd = foo!.query("odd");
  const read = foo!.query("read");
  await assert.rejects(cluster.run(odd), { code: "encodeFailed", applied: "no" });
  assert.equal(await cluster.run(read), "");
  await cluster.close();
});
