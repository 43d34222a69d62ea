/** The group under attack: members and clients in processes of their own, and who looks at them. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import {
  connect,
  type FileStorageOptions,
  type GroupConfig,
  type GroupStatus,
  RaftError,
} from "../../src/index.js";
import { bookOfVersion1, type Version } from "./book.js";
import { Child } from "./child.js";
import type { Network } from "./network.js";
import { RoutedTransport } from "./routed.js";
import type { ClientPlan, FromClient, FromMember, MemberPlan } from "./words.js";

const memberProgram = new URL("./member.js", import.meta.url);
const clientProgram = new URL("./client.js", import.meta.url);
const group = "book";
const lookEveryMs = 50;
/** A member that does not get into a healthy group within this time never will. */
const enterPatienceMs = 90_000;

/** How the members are set. */
export type Setup = {
  readonly config: Partial<GroupConfig>;
  readonly storage: FileStorageOptions;
};

const usual: Setup = {
  config: {
    ...{ heartbeatMs: 150, electionTimeoutMs: 1000, clockDriftMarginMs: 400 },
    ...{ maxSessions: 40, minSnapshotLogBytes: 20_000, snapshotChunkBytes: 2048 },
    trailingLogBytes: 4096,
  },
  storage: {},
};

type Observer = ReturnType<typeof connect<typeof bookOfVersion1>>;

type Member = {
  readonly id: string;
  child: Child<FromMember> | null;
  version: Version;
  /** Number of its data directory: another one after its memory was lost. */
  life: number;
  /** It is meant to be down. */
  down: boolean;
  /** Somebody has asked for its removal and does not know what became of it. */
  mayBeRemoved: boolean;
  /** Whoever asks for its removal right now starts it anew. */
  beingRemoved: boolean;
};

export function memberIds(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `m${at + 1}`);
}

export function clientIds(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `c${at + 1}`);
}

export class Stage {
  readonly members = new Map<string, Member>();
  readonly network: Network;
  /** Whatever is wrong, a line each: then the run has failed. */
  readonly problems: string[] = [];
  readonly baseNs = process.hrtime.bigint();
  readonly files: string[] = [];
  readonly #dir: string;
  readonly #seed: number;
  readonly #setup: Setup;
  readonly #clients = new Map<string, Child<FromClient>>();
  #clientNumber = 0;
  readonly #direct = new RoutedTransport({});
  #observer: Observer | null = null;

  /** `change`: what is other than usual. The network is closed with the stage. */
  constructor(
    dir: string,
    seed: number,
    ids: readonly string[],
    network: Network,
    change: Partial<Setup> = {},
  ) {
    this.#dir = dir;
    this.#seed = seed;
    this.network = network;
    this.#setup = {
      config: { ...usual.config, ...change.config },
      storage: { ...usual.storage, ...change.storage },
    };
    for (const id of ids) {
      this.members.set(id, {
        id,
        child: null,
        version: 1,
        life: 1,
        down: true,
        mayBeRemoved: false,
        beingRemoved: false,
      });
    }
  }

  get ids(): string[] {
    return [...this.members.keys()];
  }

  get clientIds(): string[] {
    return [...this.#clients.keys()];
  }

  /** A member or a client. */
  #childOf(id: string): Child<FromMember> | Child<FromClient> | null {
    return this.#clients.get(id) ?? this.members.get(id)!.child;
  }

  isUp(id: string): boolean {
    return this.#childOf(id)?.alive === true;
  }

  async begin(clientIds: readonly string[]): Promise<void> {
    const [first, ...others] = this.ids;
    await this.start(first!, true);
    for (const id of others) await this.start(id);
    await this.until("all members are voters", () => this.isSettled());
    for (const id of clientIds) this.startClient(id);
  }

  // -------------------------------------------------------------------------------------------
  // Members

  /** Starts a member with what its directory holds, or as a newcomer; tries until it is in. */
  async start(id: string, create = false): Promise<void> {
    const member = this.members.get(id)!;
    member.down = false;
    const untilMs = performance.now() + enterPatienceMs;
    for (;;) {
      const outcome = await this.#tryToStart(member, create);
      if (outcome === null || member.down) return;
      if (performance.now() > untilMs) {
        this.problems.push(`${id} could not be started: ${outcome}`);
        return;
      }
      await pause(200);
    }
  }

  async #tryToStart(member: Member, create: boolean): Promise<string | null> {
    const { id, version, life } = member;
    const dir = join(this.#dir, `${id}-${life}`);
    mkdirSync(dir, { recursive: true });
    const plan: MemberPlan = {
      ...{ id, address: this.network.addressOf(id), listen: this.network.listenOf(id) },
      ...{ group, dir, version, ...this.#setup },
      join: create ? null : this.#addressesOf(this.ids.filter((other) => other !== id)),
    };
    const complain = (message: FromMember): void => {
      if (message.type === "complaint") this.problems.push(message.message);
    };
    const entry = this.network.entryTo(id);
    const child = new Child<FromMember>(memberProgram, plan, complain, entry);
    member.child = child;
    const listening = await child.heard("listening");
    if (listening === null) return `${id} ${(await child.gone) ?? "ended"}`;
    await this.network.place(id, listening.address);
    this.#tellRoutes();
    const entered = await child.heard("ready", "refused");
    if (entered?.type === "ready") {
      void this.#watch(member, child);
      return null;
    }
    const how = await child.gone;
    await this.network.remove(id);
    return entered === null ? `${id} ${how ?? "ended"}` : `${id}: ${entered.message}`;
  }

  #addressesOf(ids: readonly string[]): string[] {
    return ids.map((id) => this.network.addressOf(id));
  }

  /** Resolves once the member's process listens, or has ended. */
  async listens(id: string): Promise<void> {
    await this.members.get(id)!.child?.heard("listening");
  }

  /** A member ends when somebody ends it, and by itself only when it was taken out. */
  async #watch(member: Member, child: Child<FromMember>): Promise<void> {
    const how = await child.gone;
    if (member.child !== child || member.down || member.beingRemoved) return;
    await this.#endedByItself(member, how);
  }

  async #endedByItself(member: Member, how: string | null): Promise<void> {
    if (how !== null || !member.mayBeRemoved) {
      this.problems.push(`${member.id} ended by itself: ${how ?? "in good order"}`);
      return;
    }
    this.loseMemory(member.id);
    await this.start(member.id);
  }

  #tellRoutes(): void {
    this.#direct.setRoutes(this.network.directRoutes());
    for (const { id, child } of this.members.values()) {
      child?.tell({ type: "routes", routes: this.network.routesOf(id) });
    }
    for (const [id, client] of this.#clients) {
      client.tell({ type: "routes", routes: this.network.routesOf(id) });
    }
  }

  /** `SIGTERM` ends it in good order. */
  async stop(id: string, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const member = this.members.get(id)!;
    member.down = true;
    const { child } = member;
    if (child === null) return;
    child.signal(signal);
    const how = await child.gone;
    if (signal === "SIGTERM" && how !== null) this.problems.push(`${id} ${how}`);
    await this.network.remove(id);
  }

  signal(id: string, signal: "SIGSTOP" | "SIGCONT"): void {
    this.#childOf(id)?.signal(signal);
  }

  /** Until the member's process ends; the next one has the machine's again. */
  setWallClock(id: string, offsetMs: number): void {
    this.#childOf(id)?.tell({ type: "wallClock", offsetMs });
  }

  /** What it stored is gone: the next start is that of a new member. */
  loseMemory(id: string): void {
    const member = this.members.get(id)!;
    rmSync(join(this.#dir, `${id}-${member.life}`), { recursive: true, force: true });
    member.life += 1;
  }

  /** Takes it out of the group and starts it anew; false if the group refused. */
  async removeAndAdd(id: string): Promise<boolean> {
    const member = this.members.get(id)!;
    const { members } = await this.status();
    const memberId = members.find(({ hostId }) => hostId === id)!.id;
    const { child } = member;
    member.mayBeRemoved = true;
    member.beingRemoved = true;
    try {
      await this.observer.removeMember(memberId, { timeoutMs: 20_000 });
    } catch (error) {
      const certain = error instanceof RaftError && error.applied === "no";
      if (certain) member.mayBeRemoved = false;
      member.beingRemoved = false;
      // It may have ended before we knew, and nobody has started it.
      if (child?.alive === false && member.child === child && !member.down) {
        await this.#endedByItself(member, await child.gone);
      }
      return false;
    }
    await this.stop(id, "SIGTERM");
    this.loseMemory(id);
    member.mayBeRemoved = false;
    member.beingRemoved = false;
    await this.start(id);
    return true;
  }

  // -------------------------------------------------------------------------------------------
  // Clients

  startClient(id: string): void {
    const number = this.#clientNumber++;
    const file = join(this.#dir, `client-${number}.jsonl`);
    // It may be killed before it has got to it.
    writeFileSync(file, "");
    this.files.push(file);
    const plan: ClientPlan = {
      ...{ group, file, number, seed: this.#seed, lanes: 2 },
      ...{ hosts: this.#addressesOf(this.ids), routes: this.network.routesOf(id) },
      version: number % 2 === 0 ? 1 : 2,
      baseNs: String(this.baseNs),
    };
    const complain = ({ message }: FromClient): void => void this.problems.push(message);
    const child = new Child<FromClient>(clientProgram, plan, complain, this.network.entryTo(id));
    this.#clients.set(id, child);
  }

  async killClient(id: string): Promise<void> {
    await this.#clients.get(id)!.kill();
  }

  /** No new calls; resolves when those under way have come back. */
  async stopClients(): Promise<void> {
    const clients = [...this.#clients];
    for (const [, child] of clients) child.tell({ type: "stop" });
    for (const [id, child] of clients) {
      const how = await child.gone;
      if (how !== null) this.problems.push(`client ${id} ${how}`);
    }
  }

  // -------------------------------------------------------------------------------------------
  // Looking, past the harm

  get observer(): Observer {
    this.#observer ??= connect(bookOfVersion1, {
      ...{ group, hosts: this.#addressesOf(this.ids), transport: this.#direct },
    });
    return this.#observer;
  }

  /** A client that reaches this member and no other. */
  clientOf(id: string): Observer {
    const transport = new RoutedTransport(this.network.directRoutes(id));
    return connect(bookOfVersion1, { group, hosts: this.#addressesOf([id]), transport });
  }

  /** As the leader sees it; rejects while there is none. */
  async status(): Promise<GroupStatus> {
    const options = { leader: true, timeoutMs: 3000 };
    return (await this.observer.admin("status", null, options)) as GroupStatus;
  }

  async isSettled(): Promise<boolean> {
    const { members, pendingMembershipChange } = await this.status();
    return (
      !pendingMembershipChange &&
      members.length === this.members.size &&
      members.every(({ state, unresponsive }) => state === "voter" && unresponsive !== true)
    );
  }

  async leader(): Promise<string | null> {
    const { leader } = await this.status();
    return leader === null ? null : leader.split("#")[0]!;
  }

  /** Looks until it is true; whatever is thrown meanwhile means "not yet". False: it never was. */
  async until(what: string, look: () => Promise<boolean>, patienceMs = 90_000): Promise<boolean> {
    const untilMs = performance.now() + patienceMs;
    let trouble = "";
    while (performance.now() < untilMs) {
      try {
        if (await look()) return true;
      } catch (error) {
        trouble = `: ${String(error)}`;
      }
      await pause(lookEveryMs);
    }
    this.problems.push(`waited in vain until ${what}${trouble}`);
    return false;
  }

  #children(): readonly Child<FromMember | FromClient>[] {
    const members = [...this.members.values()].flatMap(({ child }) => child ?? []);
    return [...members, ...this.#clients.values()] as Child<FromMember | FromClient>[];
  }

  /** Without waiting for anything; those that are stopped go as well. */
  abandon(): void {
    for (const child of this.#children()) child.signal("SIGKILL");
    // Somebody may be writing there until the kill has reached it.
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 });
  }

  async end(): Promise<void> {
    for (const member of this.members.values()) member.down = true;
    await this.#observer?.close();
    await Promise.all(this.#children().map((child) => child.kill()));
    await this.network.close();
  }
}
