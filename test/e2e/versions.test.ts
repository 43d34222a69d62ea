/** A directory whose snapshot is of another version of the value than the program has. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { loadValue } from "../../src/cli/load-value.js";
import { refused, succeeds } from "./durable-group.js";
import { runCli, TestGroup } from "./processes.js";

const library = new URL("../../src/value/define.js", import.meta.url).href;

describe("a value of another version than the snapshot in the directory", () => {
  const folder = mkdtempSync(join(tmpdir(), "versions-"));
  const dir = join(folder, "data");
  const groups: TestGroup[] = [];
  after(async () => {
    await Promise.all(groups.map((group) => group.end()));
    rmSync(folder, { recursive: true });
  });

  /** A counter whose state is `count` in version 1 and `{ count }` in version 2. */
  function valueFile(name: string, version: number, more: string): string {
    const path = join(folder, `${name}.mjs`);
    const [initial, next, read] =
      version === 1
        ? ["0", "n + 1", "n"]
        : ["({ count: 0 })", "({ count: n.count + 1 })", "n.count"];
    writeFileSync(
      path,
      `import { defineValue } from ${JSON.stringify(library)};
export const tally = defineValue({ name: "tally", version: ${version}, initial: () => ${initial},
  commands: { inc: (n) => ({ reply: null, value: ${next} }) }, queries: { get: (n) => ${read} },
  ${more} });
`,
    );
    return path;
  }

  async function started(file: string): Promise<TestGroup> {
    const group = new TestGroup("tally", file, await loadValue(file));
    groups.push(group);
    await group.start("foo", "--data", dir);
    await group.leader();
    return group;
  }

  const tryToStart = (file: string) => {
    const where = ["--id", "foo", "--listen", "127.0.0.1:0", "--data", dir];
    return runCli(["start", ...where, "--group", "tally", "--value", file]);
  };

  test("is refused without upgrade, as is an older program; with upgrade it goes on", async () => {
    const first = valueFile("first", 1, "");
    const group = await started(first);
    for (let i = 0; i < 3; i++) await group.client("foo").command("inc");
    await succeeds("snapshot", "--hosts", group.addresses.join(","), "--group", "tally");
    await group.kill("foo");
    await refused(tryToStart(valueFile("bare", 2, "")), /invalidValue: .*upgrade/);
    const second = valueFile("second", 2, "upgrade: (count) => ({ count })");
    const upgraded = await started(second);
    assert.equal(await upgraded.client("foo").query("get"), 3);
    await upgraded.client("foo").command("inc");
    await succeeds("snapshot", "--hosts", upgraded.addresses.join(","), "--group", "tally");
    await upgraded.kill("foo");
    await refused(tryToStart(first), /storageMismatch: .*version 2/);
    const again = await started(second);
    assert.equal(await again.client("foo").query("get"), 4);
  });
});
