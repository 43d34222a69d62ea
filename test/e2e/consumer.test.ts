/** The package as somebody installs it: packed, unpacked, type-checked against and run. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../..", import.meta.url));
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");

const program = `
import { connect, defineValue, RaftError, startHost } from "rafted-value";
import { connect as connectOnly } from "rafted-value/client";
import * as core from "rafted-value/core";
import * as testing from "rafted-value/testing";
import type { Transport } from "rafted-value/ports";

export const queue = defineValue({
  name: "queue",
  version: 1,
  initial: () => ({ items: [] as readonly string[] }),
  commands: {
    enqueue: (q, item: string) => ({ reply: q.items.length, value: { items: [...q.items, item] } }),
    dequeue: (q) => ({ reply: q.items[0] ?? null, value: { items: q.items.slice(1) } }),
  },
  queries: { length: (q) => q.items.length },
});

await using host = await startHost({ id: "foo", listen: "127.0.0.1:0" });
const group = await host.group("queue", queue, { start: "create", config: { heartbeatMs: 50 } });
const before: number = await group.command("enqueue", "a");
const remote = connect(queue, { group: "queue", hosts: [host.address] });
const item: string | null = await remote.command("dequeue", { timeoutMs: 2000 });
const length: number = await group.query("length");
const stale: number = await group.queryStale("length");
try {
  // @ts-expect-error a command that the value does not define
  await remote.command("enqeue", "a");
} catch (error) {
  if (!(error instanceof RaftError)) throw error;
  console.log(error.code, error.applied);
}
// @ts-expect-error an argument of another type
export const wrong = () => group.command("enqueue", 1);
export type Given = Transport;
await remote.close();
await group.close();
console.log(JSON.stringify({ before, item, length, stale }));
console.log(connectOnly === connect, typeof core.createCore, Object.keys(testing).length > 0);
`;

describe("a project that installs the package", () => {
  const folder = mkdtempSync(join(tmpdir(), "consumer-"));
  const modules = join(folder, "node_modules");
  const installed = join(modules, "rafted-value");

  // Unpacked by hand and its dependency linked: that is what npm does, without asking a registry.
  before(async () => {
    const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], {
      cwd: root,
    });
    const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf("["))) as [
      { filename: string; files: readonly { readonly path: string }[] },
    ];
    const strays = files.filter(({ path }) =>
      /(^|\/)(test|build|scripts|src)\/|tsbuildinfo/.test(path),
    );
    assert.deepEqual(strays, []);
    mkdirSync(join(modules, "@types"), { recursive: true });
    mkdirSync(installed);
    await run("tar", ["-xzf", join(folder, filename), "-C", installed, "--strip-components=1"]);
    for (const name of ["cbor-x", "cbor-extract", "@types/node", "undici-types"]) {
      symlinkSync(join(root, "node_modules", name), join(modules, name), "junction");
    }
    writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({ name: "consumer", type: "module" }),
    );
    writeFileSync(join(folder, "program.ts"), program);
  });
  after(() => rmSync(folder, { recursive: true }));

  test("checks its program against the package's types, libraries included", async () => {
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          ...{ target: "es2022", module: "nodenext", strict: true, types: ["node"], outDir: "out" },
          ...{ lib: ["es2023", "esnext.disposable"], exactOptionalPropertyTypes: true },
        },
        files: ["program.ts"],
      }),
    );
    const checked = run(process.execPath, [tsc, "-p", "."], { cwd: folder });
    await checked.catch((error: { stdout: string }) => assert.fail(error.stdout));
  });

  test("runs its program", async () => {
    const { stdout } = await run(process.execPath, [join(folder, "out", "program.js")]);
    const expected = [
      "unknownCommand no",
      JSON.stringify({ before: 0, item: "a", length: 0, stale: 0 }),
      "true function true",
    ];
    assert.equal(stdout, `${expected.join("\n")}\n`);
  });

  test("is taken by a CommonJS program, its package.json too", async () => {
    const required = `
      import("rafted-value").then(({ startHost }) => {
        console.log(typeof startHost, require("rafted-value/package.json").name);
      });
    `;
    writeFileSync(join(folder, "required.cjs"), required);
    const { stdout } = await run(process.execPath, [join(folder, "required.cjs")]);
    assert.equal(stdout, "function rafted-value\n");
  });

  test("has the program rafted-value", async () => {
    const main = join(installed, "dist", "cli", "main.js");
    const { stdout } = await run(process.platform === "win32" ? process.execPath : main, [
      ...(process.platform === "win32" ? [main] : []),
      "version",
    ]);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  });
});
