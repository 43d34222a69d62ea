/** The addresses that a client knows, and how each of them has behaved. */
import type { MemberId } from "../core/types.js";
import type { RaftError } from "../errors.js";
import type { Link } from "./link.js";

export type HostEntry = {
  readonly address: string;
  /** Named by the user: kept whatever the members say. */
  readonly configured: boolean;
  link: Link | null;
  /** Connections in a row that failed. */
  failures: number;
  /** Not dialled again before. */
  notBeforeMs: number;
  /** Refused a call that any member could answer: others are asked until then. */
  avoidUntilMs: number;
  lastError: RaftError | null;
  /** Why this host will never do: wrong protocol, wrong group, no such group. Null: it may. */
  verdict: RaftError | null;
};

/** A hostile or broken hint must not make us dial the world. */
const maxHosts = 64;

export class HostBook {
  readonly entries: HostEntry[] = [];
  readonly #home: string | null;
  /** Where the rotation goes on. */
  #turn = 0;

  constructor(hosts: readonly string[], home: string | null) {
    this.#home = home;
    if (home !== null) this.#add(home, true);
    for (const address of hosts) if (this.find(address) === null) this.#add(address, true);
  }

  find(address: string): HostEntry | null {
    for (const entry of this.entries) if (entry.address === address) return entry;
    return null;
  }

  get home(): HostEntry | null {
    return this.#home === null ? null : this.find(this.#home);
  }

  ensure(address: string): HostEntry {
    return this.find(address) ?? this.#add(address, false);
  }

  /** The members' own list: newcomers are added; who has left is forgotten unless the user named it. */
  refresh(addresses: readonly string[]): void {
    if (addresses.length === 0) return;
    const listed = new Set(addresses.slice(0, maxHosts));
    for (let i = this.entries.length - 1; i >= 0; i -= 1) {
      const { address, configured, link } = this.entries[i]!;
      if (!configured && link === null && !listed.has(address)) this.entries.splice(i, 1);
    }
    for (const address of listed) if (address !== "") this.ensure(address);
  }

  /** The next one in turn that has no connection and may be tried. */
  nextToDial(nowMs: number): HostEntry | null {
    const { home, entries } = this;
    if (home !== null && home.failures === 0 && isDiallable(home, nowMs)) return home;
    for (let i = 0; i < entries.length; i += 1) {
      const at = (this.#turn + i) % entries.length;
      const entry = entries[at]!;
      if (!isDiallable(entry, nowMs)) continue;
      this.#turn = (at + 1) % entries.length;
      return entry;
    }
    return null;
  }

  hasLink(): boolean {
    return this.entries.some((entry) => entry.link !== null);
  }

  readyLinkOf(member: MemberId): Link | null {
    for (const { link } of this.entries) {
      if (link !== null && link.state === "ready" && link.memberId === member) return link;
    }
    return null;
  }

  readyLink(nowMs: number): Link | null {
    for (const { link, avoidUntilMs } of this.entries) {
      if (link !== null && link.state === "ready" && avoidUntilMs <= nowMs) return link;
    }
    return null;
  }

  /** Nobody is left who might do. */
  allRefused(): boolean {
    return this.entries.every((entry) => entry.verdict !== null);
  }

  forgive(): void {
    for (const entry of this.entries) {
      entry.verdict = null;
      entry.failures = 0;
      entry.notBeforeMs = 0;
    }
  }

  /** How each host has failed us, in one line. */
  troubles(): string {
    return this.entries
      .map(({ address, lastError }) => lastError?.message ?? `host ${address} has not answered yet`)
      .join("; ");
  }

  #add(address: string, configured: boolean): HostEntry {
    const entry: HostEntry = {
      address,
      configured,
      link: null,
      failures: 0,
      notBeforeMs: 0,
      avoidUntilMs: 0,
      lastError: null,
      verdict: null,
    };
    this.entries.push(entry);
    return entry;
  }
}

export function isDiallable(entry: HostEntry, nowMs: number): boolean {
  return entry.link === null && entry.notBeforeMs <= nowMs;
}
