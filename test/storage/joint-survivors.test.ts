import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Entry } from "../../src/core/types.js";
import { rankSurvivors } from "../../src/storage/file/tools.js";
import { Opened, entriesOf, hardStateOf, identityOf, inDirectory } from "./support.js";

test("in the midst of a change of membership, those that are lost of either majority count", async () => {
  const payload = {
    voters: ["foo#1", "bar#1", "baz#1"],
    outgoing: ["baz#1", "qux#1", "quux#1"],
    learners: [],
    members: [],
  };
  const joint: Entry = {
    ...entriesOf(1, 1)[0]!,
    kind: "membership",
    body: new Uint8Array(0),
    payload,
  };
  await inDirectory(async (root) => {
    const dirs: string[] = [];
    for (const host of ["foo", "bar", "baz", "qux"]) {
      const opened = await Opened.open(join(root, host), {}, host);
      opened.storage.createGroup({ ...identityOf("queue"), memberId: `${host}#1` });
      const hardState = hardStateOf(1);
      await opened.stored("queue", opened.store("queue", [joint], { hardState }));
      await opened.close();
      dirs.push(join(root, host));
    }
    const two = await rankSurvivors(dirs.slice(0, 2), "queue");
    assert.deepEqual(two.lostVoters, ["baz#1", "qux#1", "quux#1"]);
    assert.equal(two.majorityLost, true);
    const four = await rankSurvivors(dirs, "queue");
    assert.deepEqual(four.lostVoters, ["quux#1"]);
    assert.equal(four.majorityLost, false);
  });
});
