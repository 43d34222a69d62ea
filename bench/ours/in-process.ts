/** Three members and their caller in one process, over a network in memory: tests and development. */
import { createSystemClock } from "../../src/clock/system.js";
import { type GroupHandle, MemoryNetwork, startHost } from "../package.js";
import { serveLoads } from "../load-process.js";
import { counter } from "./values.js";

async function startTrio(): Promise<GroupHandle<typeof counter>> {
  const network = new MemoryNetwork({ clock: createSystemClock() });
  const start = (id: string) =>
    startHost({ id, listen: `${id}:1`, transport: network.transport(id) });
  const leader = await (await start("foo")).group("bench", counter, { start: "create" });
  for (const id of ["bar", "baz"]) {
    await (await start(id)).group("bench", counter, { start: { join: ["foo:1"] } });
  }
  return leader;
}

serveLoads(async () => {
  const group = await startTrio();
  const call = (): Promise<unknown> => group.command("inc", 1);
  return () => call;
});
