/** The examples in the client's docstrings, compiled and never run. */
import { connect, connectAdmin, RaftError } from "../../src/client/index.js";
import { defineValue } from "../../src/value/define.js";

const queue = defineValue({
  name: "queue",
  version: 1,
  initial: () => ({ items: [] as readonly string[] }),
  commands: {
    enqueue: (q, item: string) => ({
      reply: q.items.length,
      value: { items: [...q.items, item] },
    }),
  },
  queries: { length: (q) => q.items.length },
});

export async function exampleOfConnect(): Promise<readonly number[]> {
  const remote = connect(queue, { group: "queue", hosts: ["127.0.0.1:7101", "127.0.0.1:7102"] });
  const lengthBefore: number = await remote.command("enqueue", "a", { timeoutMs: 2000 });
  const length: number = await remote.query("length");
  await remote.close();
  return [lengthBefore, length];
}

export async function exampleOfConnectAdmin(): Promise<void> {
  const admin = connectAdmin({ group: "queue", hosts: ["127.0.0.1:7101"] });
  for (const member of await admin.members()) console.log(member.id, member.state);
  await admin.close();
}

export async function exampleOfFailure(): Promise<void> {
  await using remote = connect(queue, { group: "queue", hosts: ["127.0.0.1:7101"] });
  try {
    // @ts-expect-error the item is a string
    await remote.command("enqueue", 1);
  } catch (error) {
    if (!(error instanceof RaftError) || error.applied === "no") throw error;
  }
}
