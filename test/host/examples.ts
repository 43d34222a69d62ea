/** The examples in the host's docstrings, compiled and never run. */
import { fileStorage, type GroupHandle, startHost } from "../../src/index.js";
import { type Queue, queue } from "./cluster.js";

export async function exampleOfDamagePolicy(): Promise<GroupHandle<Queue>> {
  const host = await startHost({
    id: "bar",
    listen: "127.0.0.1:7102",
    storage: fileStorage("/var/lib/bar"),
  });
  const group = await host.group("queue", queue, {
    start: { join: ["127.0.0.1:7101", "127.0.0.1:7103"] },
    onDamage: "rejoin",
  });
  return group;
}
