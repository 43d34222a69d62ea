/** A group of real processes that keep everything in directories, each of which can be harmed. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MemberProcess } from "../../src/cli/member-process.js";
import type { GroupConfig } from "../../src/core/types.js";
import type { AnyDefinedValue } from "../../src/value/types.js";
import { type CliResult, runCli, TestGroup, waitFor } from "./processes.js";

export class DurableGroup {
  readonly group: TestGroup;
  readonly #folder: string;
  readonly #addresses = new Map<string, string>();
  readonly #dirs = new Map<string, string>();

  /** `config`: beside the usual times. */
  constructor(
    folder: string,
    name: string,
    definition: AnyDefinedValue,
    config: Partial<GroupConfig> = {},
  ) {
    const all = { heartbeatMs: 100, electionTimeoutMs: 600, ...config };
    const options = ["--config", JSON.stringify(all)];
    this.group = new TestGroup(name, definition.name, definition, options);
    this.#folder = folder;
  }

  dir(id: string): string {
    return this.#dirs.get(id) ?? join(this.#folder, id);
  }

  /** `dir`: another directory than the one below the folder. */
  async start(id: string, dir: string = join(this.#folder, id)): Promise<MemberProcess> {
    this.#dirs.set(id, dir);
    const member = await this.group.start(id, "--data", dir);
    this.#addresses.set(id, member.address);
    return member;
  }

  /** At the address that the others know. */
  async restart(id: string): Promise<MemberProcess> {
    const listen = ["--listen", this.#addresses.get(id)!];
    const outcome = await waitFor(`the port of ${id} to be free`, async () => {
      try {
        return { member: await this.group.start(id, ...listen, "--data", this.dir(id)) };
      } catch (error) {
        // A client's own socket may have got the port meanwhile; anything else is a failure.
        return String(error).includes("listenFailed") ? null : { error };
      }
    });
    if ("member" in outcome) return outcome.member;
    throw outcome.error;
  }

  async startAll(...ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.start(id);
    await this.voters(...ids);
  }

  /** Resolves, with their member ids, once exactly these hosts' members are the voters. */
  voters(...ids: readonly string[]): Promise<readonly string[]> {
    return waitFor(`${ids.join(", ")} to be the voters`, async () => {
      const { members, leader } = await this.group.status(ids[0]!);
      const hosts = members.map(({ hostId }) => hostId).sort();
      const good =
        members.every(({ state }) => state === "voter") &&
        hosts.join() === [...ids].sort().join() &&
        leader !== null;
      return good && members.map(({ id }) => id);
    });
  }

  /** SIGKILL to all of them, before any is waited for. */
  async killAll(): Promise<void> {
    await Promise.all([...this.group.members.keys()].map((id) => this.group.kill(id)));
  }

  /** Resolves once every running member has applied as much as the leader. */
  async caughtUp(): Promise<number> {
    const leader = await this.group.leader();
    const { lastApplied } = await this.group.status(leader);
    for (const id of this.group.members.keys()) {
      await waitFor(`${id} to have applied ${lastApplied}`, async () => {
        return (await this.group.status(id)).lastApplied >= lastApplied;
      });
    }
    return lastApplied;
  }

  /** `start` on the command line, for members that are not expected to serve. */
  tryToStart(id: string, ...more: readonly string[]): Promise<CliResult> {
    const { name } = this.group;
    return runCli([
      ...["start", "--id", id, "--listen", "127.0.0.1:0", "--group", name, "--value", "counter"],
      ...more,
    ]);
  }
}

/** Flips a bit in the middle of what the log in `dir` holds: not its last block, so it was synced. */
export function flipInTheMiddle(dir: string): number {
  const [oldest] = readdirSync(dir)
    .filter((name) => /^wal-.*\.log$/.test(name))
    .sort();
  const path = join(dir, oldest!);
  const bytes = readFileSync(path);
  const used = bytes.findLastIndex((byte) => byte !== 0) + 1;
  const at = used >> 1;
  bytes[at]! ^= 0x10;
  writeFileSync(path, bytes);
  return at;
}

/** Exit code 0; gives stdout. */
export async function succeeds(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args);
  assert.equal(code, 0, `${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

/** The exit code, and one line on stderr that matches, behind warnings if there are some. */
export async function refused(
  result: Promise<CliResult> | CliResult,
  pattern: RegExp,
  code = 1,
): Promise<void> {
  const { stdout, stderr, code: ended } = await result;
  const said = `${stdout}${stderr}`;
  assert.equal(ended, code, said);
  assert.match(stderr, /^(warn: [^\n]*\n)*rafted-value[^\n]*\n$/, said);
  assert.match(stderr, pattern, said);
}
