/** Many groups opened at once on one host. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GroupStart } from "../../src/host/options.js";
import { Cluster, counter, microtasks } from "./cluster.js";

const count = 40;

async function openMany(cluster: Cluster, id: string, start: GroupStart) {
  const host = cluster.host(id);
  const names = Array.from({ length: count }, (_, at) => `group-${at}`);
  return Promise.allSettled(names.map((name) => host.group(name, counter, { start })));
}

describe("many groups that are opened at once", () => {
  test("are served, and Node finds nothing to warn of", async (t) => {
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.message);
    process.on("warning", onWarning);
    t.after(() => process.off("warning", onWarning));
    const cluster = new Cluster();
    for (const id of ["foo", "bar"]) await cluster.start(id);
    const created = await cluster.run(openMany(cluster, "foo", "create"));
    const joined = await cluster.run(openMany(cluster, "bar", { join: ["foo:1"] }));
    await microtasks();
    for (const { status } of [...created, ...joined]) assert.equal(status, "fulfilled");
    assert.deepEqual(warnings, []);
    await cluster.close();
  });

  test("are all refused as closed when the host closes meanwhile", async () => {
    const cluster = new Cluster();
    await cluster.start("bar");
    const joining = openMany(cluster, "bar", { join: ["nobody:1"] });
    await cluster.pass(20);
    const closing = cluster.host("bar").close();
    for (const outcome of await cluster.run(joining)) {
      assert.ok(outcome.status === "rejected");
      assert.equal((outcome.reason as { code: string }).code, "closed");
    }
    await cluster.run(closing);
  });
});
