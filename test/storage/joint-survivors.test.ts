import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Entry } from "../../src/core/types.js";
import { rankSurvivors } from "../../src/storage/file/tools.js";
import { Opened, entriesOf, hardStateOf, identityOf, inDirectory } from "./support.js";

/** The copies of these hosts, each with a log of this one membership. */
async function copiesOf(
  root: string,
  hosts: readonly string[],
  voters: readonly string[],
  outgoing: readonly string[],
): Promise<readonly string[]> {
  const joint: Entry = {
    ...entriesOf(1, 1)[0]!,
    kind: "membership",
    body: new Uint8Array(0),
    payload: { voters, outgoing, learners: [], members: [] },
  };
  const dirs: string[] = [];
  for (const host of hosts) {
    const opened = await Opened.open(join(root, host), {}, host);
    opened.storage.createGroup({ ...identityOf("queue"), memberId: `${host}#1` });
    const hardState = hardStateOf(1);
    await opened.stored("queue", opened.store("queue", [joint], { hardState }));
    await opened.close();
    dirs.push(join(root, host));
  }
  return dirs;
}

test("half of the voters decide nothing: with them a majority is lost", () =>
  inDirectory(async (root) => {
    const voters = ["foo#1", "bar#1", "baz#1", "qux#1"];
    const dirs = await copiesOf(root, ["foo", "bar", "baz"], voters, []);
    assert.equal((await rankSurvivors(dirs.slice(0, 2), "queue")).majorityLost, true);
    assert.equal((await rankSurvivors(dirs, "queue")).majorityLost, false);
  }));

test("in the midst of a change of membership, those that are lost of either majority count", async () => {
  const voters = ["foo#1", "bar#1", "baz#1"];
  const outgoing = ["baz#1", "qux#1", "quux#1"];
  await inDirectory(async (root) => {
    const dirs = await copiesOf(root, ["foo", "bar", "baz", "qux"], voters, outgoing);
    const two = await rankSurvivors(dirs.slice(0, 2), "queue");
    assert.deepEqual(two.lostVoters, ["baz#1", "qux#1", "quux#1"]);
    assert.equal(two.majorityLost, true);
    const four = await rankSurvivors(dirs, "queue");
    assert.deepEqual(four.lostVoters, ["quux#1"]);
    assert.equal(four.majorityLost, false);
  });
});
