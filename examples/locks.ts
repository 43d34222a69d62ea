/**
 * Locks for many processes: held for a time, and each grant has a token that only grows. Whoever guards the
 * thing itself refuses a token below the highest that it has seen, so that a holder which was
 * paused for longer than its time does no harm (fencing).
 */
import { connect, defineValue } from "rafted-value";
import { addressesOf, closeAll, loseTheLeader, startThreeHosts } from "./three-hosts.js";

export type Lock = { readonly owner: string; readonly token: number; readonly untilMs: number };
export type Acquired = Lock & { readonly granted: boolean };

export const locks = defineValue({
  name: "locks",
  version: 1,
  mutable: true,
  initial: () => ({ held: new Map<string, Lock>(), lastToken: 0 }),
  commands: {
    /** The lock, or who holds it. Who holds it already keeps it for longer, under the same token. */
    acquire: (
      v,
      arg: { readonly name: string; readonly owner: string; readonly forMs: number },
      { timeMs },
    ): Acquired => {
      if (!(arg.forMs > 0)) throw new Error(`forMs: expected more than 0, got ${arg.forMs}`);
      const last = v.held.get(arg.name);
      const held = last !== undefined && last.untilMs > timeMs ? last : null;
      if (held !== null && held.owner !== arg.owner) return { granted: false, ...held };
      const token = held?.token ?? (v.lastToken += 1);
      const lock: Lock = { owner: arg.owner, token, untilMs: timeMs + arg.forMs };
      v.held.set(arg.name, lock);
      return { granted: true, ...lock };
    },
    /** False if the lock is somebody else's by now. */
    release: (v, arg: { readonly name: string; readonly token: number }): boolean =>
      v.held.get(arg.name)?.token === arg.token && v.held.delete(arg.name),
  },
  queries: { holder: (v, name: string): Lock | null => v.held.get(name) ?? null },
});

/** What a lock protects: it knows nothing of Raft, and compares numbers. */
export class Report {
  #highest = 0;
  #text = "";

  write(text: string, token: number): boolean {
    if (token < this.#highest) return false;
    this.#highest = token;
    this.#text = text;
    return true;
  }

  read(): string {
    return this.#text;
  }
}

export async function main(say: (line: string) => void): Promise<void> {
  const members = await startThreeHosts(locks, { group: "locks" });
  const hosts = addressesOf(members);
  const anna = connect(locks, { group: "locks", hosts });
  const bert = connect(locks, { group: "locks", hosts });
  const report = new Report();
  try {
    const first = await anna.command("acquire", { name: "report", owner: "anna", forMs: 400 });
    say(`anna asks: granted ${first.granted}, token ${first.token}`);
    say(`anna writes: ${report.write("by anna", first.token)}`);
    const refused = await bert.command("acquire", { name: "report", owner: "bert", forMs: 400 });
    say(`bert asks: granted ${refused.granted}, held by ${refused.owner}`);

    await loseTheLeader(members);
    const holder = await bert.query("holder", "report");
    say(`the leader is lost: the lock is ${holder?.owner}'s with token ${holder?.token}`);

    // Anna is paused here, for longer than her time.
    let second = refused;
    while (!second.granted) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      second = await bert.command("acquire", { name: "report", owner: "bert", forMs: 60_000 });
    }
    say(`bert asks until her time is over: granted ${second.granted}, token ${second.token}`);
    say(`bert writes: ${report.write("by bert", second.token)}`);
    say(`anna, late, writes: ${report.write("by anna again", first.token)}`);
    const arg = { name: "report", token: first.token };
    say(`anna, late, releases: ${await anna.command("release", arg)}`);
    say(`the report is ${report.read()}`);
  } finally {
    await Promise.all([anna.close(), bert.close()]);
    await closeAll(members);
  }
}
