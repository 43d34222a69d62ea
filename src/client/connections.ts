/**
 * The links of one client: whom to dial, when, and which link a call should take.
 *
 * It finds the leader by hints, which every member pushes to whoever is connected. While calls wait
 * for a leader in vain, further hosts are dialled one by one, so that neither a stopped nor an
 * isolated member can hold a client (hazard 97). A pulse, which beats only while something is
 * awaited, looks after handshakes, silence and links that nobody needs any more.
 */
import type { ClientReply, LeaderHint, Notify } from "../codec/types.js";
import type { RaftError } from "../errors.js";
import type { Clock, Logger, Random, TimerHandle } from "../ports.js";
import { backOffMs } from "./backoff.js";
import { isVerdict, verdictOf } from "./fate.js";
import { HostBook, isDiallable, type HostEntry } from "./hosts.js";
import type { Demand } from "./ledger.js";
import { LeaderCache } from "./leader.js";
import {
  type Dial,
  type Greeting,
  Link,
  type LinkOwner,
  mismatchedGroup,
  silenceError,
} from "./link.js";

export interface ConnectionsOwner {
  readonly demand: Demand;
  replied(link: Link, replies: readonly ClientReply[]): void;
  notified(link: Link, notify: Notify): void;
  lost(link: Link, error: RaftError): void;
  /** A link has become ready, or somebody may be dialled again: look at what waits. */
  wake(): void;
  /** Now and then while somebody waits: look at what waits, at once. */
  pulse(): void;
  leaderChanged(): void;
  /** Every host that is known refuses for good. */
  refusedByAll(error: RaftError): void;
}

export type ConnectionsOptions = {
  readonly dial: Dial;
  readonly greeting: Greeting;
  readonly hosts: readonly string[];
  readonly home: string | null;
  readonly groupId: string | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
};

/** A handshake that takes longer has failed. */
const handshakeMs = 3000;
/** Calls unanswered for so long make the client look for the leader elsewhere too. */
const scoutAfterMs = 300;
const scoutMostMs = 2000;
/** A link that is needed and silent is pinged, then given up. */
const pingAfterMs = 2000;
const silentMostMs = 4000;
/** A pulse so late means that this process stood still. */
const stalledMs = 1000;
/** A link that nobody needs is kept for a while. */
const lingerMs = 10_000;
const pulseMs = 100;
const slowPulseMs = 1000;

export class Connections implements LinkOwner {
  readonly leader = new LeaderCache();
  readonly book: HostBook;
  readonly #options: ConnectionsOptions;
  readonly #owner: ConnectionsOwner;
  readonly #closing = new Set<Link>();
  /** Given, or of the group that was met first; another of the same name is not taken for it (hazard 67). */
  #groupId: string | null;
  #pulse: TimerHandle | null = null;
  #pulseDueMs = Infinity;
  #pulseIsSlow = false;
  #scoutAtMs = 0;
  #scouts = 0;
  #scoutingSinceMs = -1;
  #closed = false;

  constructor(options: ConnectionsOptions, owner: ConnectionsOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#groupId = options.groupId;
    this.book = new HostBook(options.hosts, options.home);
  }

  // ---- for the dispatcher ---------------------------------------------------------------------

  leaderLink(): Link | null {
    return this.leader.member === null ? null : this.book.readyLinkOf(this.leader.member);
  }

  /** The link for a call that any member can answer: home first, then the leader, then anybody. */
  nearLink(): Link | null {
    const nowMs = this.#options.clock.nowMs();
    const { home } = this.book;
    if (home !== null && home.failures === 0 && home.avoidUntilMs <= nowMs) {
      return home.link?.state === "ready" ? home.link : null;
    }
    const leaderLink = this.leaderLink();
    const leaderEntry = leaderLink === null ? null : this.book.find(leaderLink.address);
    if (leaderEntry !== null && leaderEntry.avoidUntilMs <= nowMs) return leaderLink;
    return this.book.readyLink(nowMs);
  }

  linkAt(address: string): Link | null {
    const entry = this.book.find(address);
    if (entry === null || entry.avoidUntilMs > this.#options.clock.nowMs()) return null;
    return entry.link?.state === "ready" ? entry.link : null;
  }

  /** Calls wait for a leader that has no link. */
  seekLeader(): void {
    if (this.#closed) return;
    const { address } = this.leader;
    const nowMs = this.#options.clock.nowMs();
    const entry = address === null ? null : this.book.ensure(address);
    if (entry !== null && isDiallable(entry, nowMs)) this.#dial(entry);
    const others = this.book.entries.some((other) => other !== entry && other.link !== null);
    const hopeful = entry !== null && entry.link !== null && entry.failures === 0;
    if (!others && !hopeful) this.#dialNext();
    this.keepPulse();
  }

  seekNear(address: string | null): void {
    if (this.#closed) return;
    const entry = address === null ? null : this.book.ensure(address);
    if (entry === null) {
      if (!this.book.entries.some((other) => other.link?.state === "opening")) this.#dialNext();
    } else if (isDiallable(entry, this.#options.clock.nowMs())) this.#dial(entry);
    this.keepPulse();
  }

  /** This host has refused a call that any member should be able to answer. */
  avoid(link: Link): void {
    const entry = this.book.find(link.address);
    const { clock, random } = this.#options;
    if (entry !== null) entry.avoidUntilMs = clock.nowMs() + backOffMs(random, 0, 100, 100);
  }

  /** Closes everything; `gone` is called when no connection is left. */
  close(gone: () => void): void {
    this.#closed = true;
    this.#pulse?.cancel();
    this.#pulse = null;
    for (const entry of this.book.entries) {
      if (entry.link !== null) this.#closeLink(entry, entry.link);
    }
    let left = this.#closing.size;
    if (left === 0) return gone();
    for (const link of this.#closing) {
      link.whenGone(() => {
        this.#closing.delete(link);
        left -= 1;
        if (left === 0) gone();
      });
    }
  }

  /** What an orderly close could not get rid of, because the other side takes nothing any more. */
  destroyRest(): void {
    for (const link of this.#closing) link.destroy("the client was closed");
  }

  // ---- from the links -------------------------------------------------------------------------

  linkReady(link: Link): void {
    // A newcomer that no leader has contacted yet knows no group id.
    if (link.groupId !== "") this.#groupId ??= link.groupId;
    if (link.groupId !== "" && link.groupId !== this.#groupId) {
      return link.fail(mismatchedGroup(link, this.#groupId ?? ""));
    }
    const entry = this.book.find(link.address);
    if (entry !== null) {
      entry.failures = 0;
      entry.notBeforeMs = 0;
      entry.lastError = null;
      entry.verdict = null;
    }
    this.#owner.wake();
  }

  linkReplied(link: Link, replies: readonly ClientReply[]): void {
    this.#owner.replied(link, replies);
  }

  linkNotified(link: Link, notify: Notify): void {
    this.#owner.notified(link, notify);
  }

  linkHinted(link: Link, hint: LeaderHint): void {
    if (hint.term >= this.leader.term) this.book.refresh(hint.hosts);
    if (!this.leader.learn(hint, link.memberId)) return;
    const { term, leader, address } = hint;
    this.#options.logger.debug({ term, leader, address }, "the leader is known");
    this.#owner.leaderChanged();
  }

  linkLost(link: Link, error: RaftError): void {
    const entry = this.book.find(link.address);
    if (entry !== null && entry.link === link) this.#failed(entry, error);
    this.#options.logger.debug({ host: link.address, code: error.code }, error.message);
    this.#owner.lost(link, error);
    if (this.book.allRefused()) {
      const verdict = verdictOf(this.book.entries.map((each) => each.verdict!));
      this.book.forgive();
      this.#owner.refusedByAll(verdict);
    } else this.#owner.wake();
  }

  #failed(entry: HostEntry, error: RaftError): void {
    const { clock, random } = this.#options;
    const final = isVerdict(error);
    entry.link = null;
    entry.lastError = error;
    entry.verdict = final ? error : null;
    entry.notBeforeMs =
      clock.nowMs() + backOffMs(random, entry.failures, final ? 250 : 25, final ? 2000 : 1000);
    entry.failures += 1;
  }

  // ---- dialling and the pulse -----------------------------------------------------------------

  #dialNext(): void {
    const entry = this.book.nextToDial(this.#options.clock.nowMs());
    if (entry !== null) this.#dial(entry);
  }

  #dial(entry: HostEntry): void {
    const { dial, greeting, clock } = this.#options;
    const link = new Link(entry.address, greeting.group, clock, this);
    entry.link = link;
    link.start(dial, greeting);
    this.keepPulse();
  }

  #closeLink(entry: HostEntry, link: Link): void {
    entry.link = null;
    this.#closing.add(link);
    link.close();
    if (!this.#closed) link.whenGone(() => this.#closing.delete(link));
  }

  /** Sees to it that the pulse beats if, and as fast as, something depends on it. */
  keepPulse(): void {
    if (this.#closed || (this.#pulse !== null && !this.#pulseIsSlow)) return;
    const { demand } = this.#owner;
    const opening = this.book.entries.some(({ link }) => link?.state === "opening");
    const busy = demand.leaderCalls > 0 || demand.nearCalls > 0 || opening;
    if (!busy && (demand.streams === 0 || this.#pulse !== null)) return;
    this.#pulse?.cancel();
    const delayMs = busy ? pulseMs : slowPulseMs;
    const { clock } = this.#options;
    this.#pulseIsSlow = !busy;
    this.#pulseDueMs = clock.nowMs() + delayMs;
    // As with deadlines: first what waits in the sockets, then conclusions from silence.
    this.#pulse = clock.after(delayMs, () => clock.soon(() => this.#beat()));
  }

  #beat(): void {
    if (this.#closed) return;
    this.#pulse = null;
    const nowMs = this.#options.clock.nowMs();
    const late = nowMs - this.#pulseDueMs > stalledMs;
    for (const entry of [...this.book.entries]) {
      if (late) entry.link?.excuse(nowMs);
      if (entry.link !== null) this.#lookAfter(entry, entry.link, nowMs);
    }
    this.#scout(nowMs);
    this.#owner.pulse();
    this.keepPulse();
  }

  #lookAfter(entry: HostEntry, link: Link, nowMs: number): void {
    const silentMs = link.silentMs(nowMs);
    if (link.state === "opening") {
      if (silentMs > handshakeMs) link.fail(silenceError(link, silentMs));
      return;
    }
    if (silentMs > silentMostMs) return link.fail(silenceError(link, silentMs));
    if (link.inFlight > 0) {
      const quietMs = nowMs - Math.max(link.lastHeardMs, link.lastPingMs, link.lastUsedMs);
      if (quietMs > pingAfterMs) link.ping();
      return;
    }
    const needed = link === this.leaderLink() || entry === this.book.home;
    const leaderless = this.leaderLink() === null;
    if (!needed && !leaderless && nowMs - link.lastUsedMs > lingerMs) this.#closeLink(entry, link);
  }

  #scout(nowMs: number): void {
    const { leaderCalls, waitingSinceMs } = this.#owner.demand;
    if (leaderCalls === 0 || nowMs - waitingSinceMs < scoutAfterMs) return;
    if (this.#scoutingSinceMs !== waitingSinceMs) {
      this.#scoutingSinceMs = waitingSinceMs;
      this.#scouts = 0;
      this.#scoutAtMs = 0;
    }
    if (nowMs < this.#scoutAtMs) return;
    this.#dialNext();
    const { random } = this.#options;
    this.#scoutAtMs = nowMs + backOffMs(random, this.#scouts, scoutAfterMs, scoutMostMs);
    this.#scouts += 1;
  }
}
