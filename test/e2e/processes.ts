/** Real processes for end-to-end tests: the command line, groups of members, and waiting for facts. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  createFamily,
  endFamily,
  type Family,
  type MemberProcess,
  startMember,
} from "../../src/cli/member-process.js";
import { type AnyClient, openClient } from "../../src/cli/open-group.js";
import type { GroupStatus } from "../../src/client/types.js";
import type { TlsOptions } from "../../src/transport/tls-options.js";
import type { AnyDefinedValue } from "../../src/value/types.js";

export const mainPath = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

/** Nothing that is waited for takes this long unless it never comes. */
const patienceMs = 60_000;
const lookEveryMs = 20;

/** Looks again and again until `look` gives something, which is then the result. */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
): Promise<T> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    const seen = await tryTo(look);
    if (seen.found !== null) return seen.found;
    assert.ok(performance.now() < untilMs, `waited in vain for ${what}${seen.trouble}`);
    await pause(lookEveryMs);
  }
}

/** What is thrown while a group is in trouble means no more than "not yet". */
async function tryTo<T>(
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
): Promise<{ readonly found: T | null; readonly trouble: string }> {
  try {
    const seen = await look();
    return { found: seen === undefined || seen === false ? null : seen, trouble: "" };
  } catch (error) {
    return { found: null, trouble: ` (${String(error)})` };
  }
}

export type CliResult = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** Runs the command line to its end. */
export function runCli(args: readonly string[], input = ""): Promise<CliResult> {
  const child = spawn(process.execPath, [mainPath, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  return new Promise((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => (stdout += String(chunk)));
    child.stderr.on("data", (chunk) => (stderr += String(chunk)));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

/** A process that is gone, or is only waiting for somebody to notice that it is. */
export function isGone(pid: number): boolean {
  const statFile = `/proc/${pid}/stat`;
  if (existsSync("/proc/self/stat")) {
    try {
      return /^\d+ \(.*\) [ZX]/s.test(readFileSync(statFile, "utf8"));
    } catch {
      return true;
    }
  }
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

/** A group of members in processes of their own, and a client to look at it with. */
export class TestGroup {
  readonly name: string;
  readonly members = new Map<string, MemberProcess>();
  readonly #family: Family = createFamily();
  readonly #options: readonly string[];
  readonly #definition: AnyDefinedValue;
  readonly #tls: TlsOptions | null;
  readonly #clients = new Map<string, AnyClient>();

  /** `value`: what `--value` takes for `definition`. `tls`: for our own look at it. */
  constructor(
    name: string,
    value: string,
    definition: AnyDefinedValue,
    options: readonly string[] = [],
    tls: TlsOptions | null = null,
  ) {
    this.name = name;
    this.#tls = tls;
    this.#definition = definition;
    this.#options = ["--group", name, "--value", value, ...options];
  }

  get addresses(): readonly string[] {
    return [...this.members.values()].map(({ address }) => address);
  }

  /** Starts a member; the first one begins the group. `more`: further options of `start`. */
  async start(id: string, ...more: readonly string[]): Promise<MemberProcess> {
    const join = this.addresses.length > 0 ? ["--join", this.addresses.join(",")] : [];
    const args = ["--listen", "127.0.0.1:0", ...this.#options, ...join, ...more];
    const member = await startMember(this.#family, id, args);
    this.members.set(id, member);
    return member;
  }

  /** Starts several members and waits until all are voters. */
  async startAll(...ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.start(id);
    await waitFor("all members to be voters", async () => {
      const { members, leader } = await this.status(ids[0]!);
      const voters = members.filter(({ state }) => state === "voter");
      return leader !== null && voters.length === ids.length;
    });
  }

  /** A client that asks this member first. */
  client(id: string): AnyClient {
    const known = this.#clients.get(id);
    if (known !== undefined) return known;
    const { address } = this.members.get(id)!;
    const hosts = [address, ...this.addresses.filter((other) => other !== address)];
    const target = { hosts, group: this.name, tls: this.#tls, timeoutMs: 30_000 };
    const client = openClient(target, this.#definition);
    this.#clients.set(id, client);
    return client;
  }

  status(id: string): Promise<GroupStatus> {
    return this.client(id).status();
  }

  /** The host id of the leader that a majority of the given members agrees on, once there is one. */
  leader(...ids: readonly string[]): Promise<string> {
    return waitFor("a leader", async () => {
      const asked = ids.length > 0 ? ids : [...this.members.keys()];
      const seen = await Promise.all(asked.map(async (id) => (await this.status(id)).leader));
      const [first] = seen;
      return first !== null && first !== undefined && seen.every((leader) => leader === first)
        ? hostOf(first)
        : null;
    });
  }

  signal(id: string, signal: NodeJS.Signals): void {
    assert.ok(this.members.get(id)!.child.kill(signal), `${id} got ${signal}`);
  }

  async kill(id: string): Promise<void> {
    const member = this.members.get(id)!;
    await this.#clients.get(id)?.close();
    this.#clients.delete(id);
    this.signal(id, "SIGKILL");
    await member.exited;
    this.members.delete(id);
  }

  async end(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
    await endFamily(this.#family);
  }
}

export function hostOf(memberId: string): string {
  return memberId.split("#")[0]!;
}
