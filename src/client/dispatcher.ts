/**
 * From calls to frames and back: the queue of a client, its retries and the one answer of each call.
 *
 * - `submit` admits a call · `#flush` sends what waits, once per turn.
 * - `replied` settles, or puts back what was refused · `lost` puts back what a link took with it.
 * - Every call is settled exactly once, by `#finish`: reply, refusal, deadline, abort or close.
 *
 * Calls for the leader keep the order in which they were made, also when they are sent again.
 */
import type { ClientReply, ClientRequest, Notify } from "../codec/types.js";
import { RaftError, type RaftErrorCode } from "../errors.js";
import type { Clock } from "../ports.js";
import { type Call, callerOf, label, registration } from "./call.js";
import { Connections, type ConnectionsOptions, type ConnectionsOwner } from "./connections.js";
import { appliedAfter, appliedSoFar, type Fate, fateOf, hasEffect, mayRepeat } from "./fate.js";
import { Gate } from "./gate.js";
import { type Demand, Ledger, type LedgerLimits, type LedgerOwner } from "./ledger.js";
import type { Link } from "./link.js";
import { type Codecs, decodeReply, knownCode, refusalText } from "./reply.js";
import { CallQueue } from "./queue.js";
import { Session } from "./session.js";
import type { GroupEvent } from "./types.js";
import { whatWasAwaited } from "./waiting-for.js";

export type DispatcherOptions = ConnectionsOptions & LedgerLimits & Codecs;

export class Dispatcher implements ConnectionsOwner, LedgerOwner {
  readonly connections: Connections;
  readonly #options: DispatcherOptions;
  readonly #clock: Clock;
  readonly #ledger: Ledger;
  readonly #gate: Gate;
  /** Calls that wait to be sent to the leader; to anybody. */
  readonly #queue = new CallQueue();
  readonly #near = new CallQueue();
  #session: Session | null = null;
  #lastRequest = 0;
  #flushing = false;
  #leaderMoved = false;
  closed = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#ledger = new Ledger(options.clock, options, this);
    this.#gate = new Gate(options.clock, options.random, () => this.wake());
    this.connections = new Connections(options, this);
  }

  get #caller(): string {
    return callerOf(this.#options.home, this.#options.greeting.group);
  }

  get demand(): Demand {
    return this.#ledger.demand;
  }

  nextRequest(): number {
    return ++this.#lastRequest;
  }

  /** Takes a call in. It is settled through its own `resolve` and `reject`, also when refused here. */
  submit(call: Call): void {
    const refusal = this.closed
      ? new RaftError("closed", `${label(call)}: ${this.#caller} is closed`)
      : this.#ledger.refusal(call);
    if (refusal !== null) {
      call.done = true;
      return call.reject(refusal);
    }
    if (call.type === "command") this.#openSession();
    this.#ledger.add(call);
    this.#waitingRoom(call).push(call);
    this.wake();
  }

  /** Ends a subscription. */
  unsubscribe(call: Call): void {
    const { link } = call;
    if (!call.done) this.#finish(call);
    if (link === null || link.state !== "ready") return;
    const body = this.#options.adminCodec.encode({ request: call.request });
    const request = this.nextRequest();
    link.send([{ type: "admin", request, verb: "unsubscribe", body }]);
  }

  /** Settles everything with `closed`. `gone` is called when no connection is left. */
  close(gone: () => void): void {
    if (this.closed) return;
    this.closed = true;
    this.#gate.close();
    for (const call of this.#ledger.all()) {
      if (call.stream !== null || call.type === "register") {
        this.#finish(call);
        call.stream?.end({ type: "closed" });
        continue;
      }
      const why = `${label(call)}: ${this.#caller} was closed`;
      this.#fail(call, "closed", why, appliedSoFar(call));
    }
    this.#ledger.close();
    this.connections.close(gone);
  }

  // ---- from the connections -------------------------------------------------------------------

  wake(): void {
    if (this.#flushing || this.closed) return;
    this.#flushing = true;
    this.#clock.soon(() => this.#flush());
  }

  /** In a turn of its own already. */
  pulse(): void {
    if (!this.#flushing) this.#flush();
  }

  leaderChanged(): void {
    this.#leaderMoved = true;
    if (this.demand.leaderCalls > 0) this.#gate.leaderChanged();
    this.wake();
  }

  lost(link: Link, error: RaftError): void {
    for (const call of this.#ledger.all()) {
      if (call.link === link) this.#takeBack(call, error);
    }
  }

  refusedByAll(error: RaftError): void {
    for (const call of this.#ledger.all()) {
      this.#fail(call, error.code, error.message, appliedSoFar(call), error);
    }
  }

  notified(link: Link, notify: Notify): void {
    const call = this.#ledger.get(notify.request);
    if (call === undefined || call.stream === null || call.link !== link) return;
    let event: GroupEvent;
    try {
      event = this.#options.adminCodec.decode(notify.body) as GroupEvent;
    } catch (error) {
      this.#options.logger.warn({ host: link.address, error }, "an event could not be decoded");
      return;
    }
    if (event.type !== "closed") return call.stream.push(event, notify.body);
    // The member that told us is going away. Its own handle ends; a client asks another member.
    if (link.address === this.#options.home) {
      if (this.#finish(call)) call.stream.end(event);
      return;
    }
    this.connections.avoid(link);
    this.#requeue(call);
    this.wake();
  }

  replied(link: Link, replies: readonly ClientReply[]): void {
    let answered = false;
    let refused = false;
    let redirected = false;
    for (const reply of replies) {
      const call = this.#ledger.get(reply.request);
      if (call === undefined) continue;
      const fate =
        reply.status === "ok" ? this.#succeed(call, reply) : this.#refused(call, link, reply);
      if (fate === null || call.target !== "leader") continue;
      if (fate === "settle" || fate === "done") answered = true;
      else refused = true;
      if (fate === "redirect") redirected = true;
    }
    if (answered) {
      this.#ledger.progressed();
      this.#gate.answered();
    }
    if (refused) this.#bounced(link, redirected);
    if (this.#queue.length > 0 || this.#near.length > 0) this.wake();
  }

  // ---- sending --------------------------------------------------------------------------------

  #flush(): void {
    this.#flushing = false;
    if (this.closed) return;
    if (this.#leaderMoved) this.#followLeader();
    if (this.#near.length > 0) this.#flushNear();
    if (this.#queue.length > 0) this.#flushQueue();
  }

  /**
   * Takes what was sent to an older leader back, to send it to the new one. Not before the turn has ended:
   * the old one's own answers often come right behind the hint, and tell more.
   */
  #followLeader(): void {
    this.#leaderMoved = false;
    const { member } = this.connections.leader;
    if (member === null) return;
    for (const call of this.#ledger.all()) {
      if (call.target !== "leader" || call.link === null || call.link.memberId === member) continue;
      this.#takeBack(call, new RaftError("notLeader", `host ${call.link.address} leads no more`));
    }
  }

  #flushQueue(): void {
    if (this.demand.leaderCalls === 0) return this.#queue.dropSettled(0);
    const link = this.connections.leaderLink();
    if (link === null) this.connections.seekLeader();
    this.connections.keepPulse();
    if (link === null || this.#gate.isClosed()) {
      return this.#queue.dropSettled(this.demand.leaderCalls);
    }
    const ready: Call[] = [];
    for (const call of this.#queue.takeAll()) {
      if (call.done) continue;
      if (!this.#isReady(call)) {
        this.#queue.push(call);
        continue;
      }
      this.#attach(call, link);
      ready.push(call);
    }
    if (ready.length > 0) link.send(ready as unknown as ClientRequest[]);
  }

  /** Commands wait for their session; everything else goes at once. */
  #isReady(call: Call): boolean {
    if (call.type !== "command") return true;
    if (call.owner === null) {
      const session = this.#openSession();
      if (session.id === 0) return false;
      call.owner = session;
      call.session = session.id;
      call.sequence = session.take();
    }
    call.lowestOutstanding = call.owner.lowestOutstanding;
    return true;
  }

  #flushNear(): void {
    const batches = new Map<Link, Call[]>();
    for (const call of this.#near.takeAll()) {
      if (call.done) continue;
      const address = typeof call.target === "object" ? call.target.address : null;
      const link =
        address === null ? this.connections.nearLink() : this.connections.linkAt(address);
      if (link === null) {
        this.#near.push(call);
        this.connections.seekNear(address);
        continue;
      }
      this.#attach(call, link);
      const batch = batches.get(link);
      if (batch === undefined) batches.set(link, [call]);
      else batch.push(call);
    }
    for (const [link, batch] of batches) link.send(batch as unknown as ClientRequest[]);
    this.connections.keepPulse();
  }

  #attach(call: Call, link: Link): void {
    call.link = link;
    call.attempts += 1;
    link.attach();
  }

  #detach(call: Call): void {
    call.link?.detach();
    call.link = null;
  }

  #waitingRoom(call: Call): CallQueue {
    return call.target === "leader" ? this.#queue : this.#near;
  }

  #requeue(call: Call): void {
    this.#detach(call);
    this.#waitingRoom(call).putBack(call);
  }

  #openSession(): Session {
    if (this.#session !== null && !this.#session.expired) return this.#session;
    const session = new Session(this.#options.random);
    this.#session = session;
    const call = registration(this.nextRequest(), this.#clock.nowMs());
    call.nonce = session.nonce;
    call.owner = session;
    this.#ledger.add(call);
    this.#waitingRoom(call).push(call);
    this.wake();
    return session;
  }

  // ---- answers --------------------------------------------------------------------------------

  #succeed(call: Call, reply: ClientReply): Fate | null {
    if (call.stream !== null) return null; // Subscribed: it stays, and notify frames follow.
    if (call.type === "register") {
      call.owner!.id = reply.index;
      this.#finish(call);
      this.wake();
      return "done";
    }
    const value = decodeReply(call, reply, this.#options);
    if (value instanceof RaftError) this.#reject(call, value);
    else if (this.#finish(call)) call.resolve(value);
    return "done";
  }

  /** Null: an older try's refusal, while a newer one is under way or waits. */
  #refused(call: Call, link: Link, reply: ClientReply): Fate | null {
    if (call.link !== link) return null;
    const code = knownCode(reply.status);
    if (reply.applied === "maybe" && hasEffect(call)) call.ambiguous = true;
    const fate = fateOf(call, code);
    const message = refusalText(code, reply.body);
    switch (fate) {
      case "done":
        if (this.#finish(call)) call.resolve(null);
        return fate;
      case "settle":
        if (code === "sessionExpired" && call.owner !== null) call.owner.expired = true;
        this.#fail(call, code, message, appliedAfter(call, code, reply.applied));
        return fate;
      case "redirect":
      case "backOff":
        call.refusal = { code, message, address: link.address };
        if (call.target !== "leader") this.connections.avoid(link);
        this.#requeue(call);
        return fate;
      default:
        return fate satisfies never;
    }
  }

  /** The leader has refused calls of this turn: elsewhere at once, or here after a pause. */
  #bounced(link: Link, redirected: boolean): void {
    const { leader } = this.connections;
    if (redirected) leader.deny(link.memberId);
    this.#gate.refused(leader.member !== null && leader.member !== link.memberId);
  }

  /** What was sent there will not be answered any more. */
  #takeBack(call: Call, error: RaftError): void {
    if (hasEffect(call)) call.ambiguous = true;
    const { link } = call;
    call.refusal = { code: error.code, message: error.message, address: link?.address ?? "" };
    if (mayRepeat(call)) return this.#requeue(call);
    const why =
      `${label(call)} was under way when its answer was lost (${error.message}); look at status() ` +
      `before you repeat it`;
    this.#fail(call, "unavailable", why, "maybe", error);
  }

  // ---- the end of a call ----------------------------------------------------------------------

  timedOut(call: Call): void {
    const message = whatWasAwaited(call, this.connections);
    const cause =
      call.refusal === null ? undefined : new RaftError(call.refusal.code, call.refusal.message);
    this.#fail(call, "timeout", message, appliedSoFar(call), cause);
  }

  aborted(call: Call): void {
    if (call.stream !== null) return call.stream.end();
    const reason: unknown = call.signal?.reason;
    this.#fail(call, "aborted", `${label(call)} was aborted`, appliedSoFar(call), reason);
  }

  #fail(
    call: Call,
    code: RaftErrorCode,
    message: string,
    applied: "no" | "maybe",
    cause?: unknown,
  ): void {
    this.#reject(call, new RaftError(code, message, { applied, cause }));
  }

  #reject(call: Call, error: RaftError): void {
    if (!this.#finish(call)) return;
    if (call.type === "register") this.#registrationFailed(call.owner!, error);
    else call.reject(error);
  }

  /** Nothing of this session was ever sent; what waited for it cannot be. */
  #registrationFailed(session: Session, error: RaftError): void {
    session.expired = true;
    for (const call of this.#ledger.all()) {
      if (call.type !== "command" || call.owner !== null) continue;
      this.#fail(call, error.code, error.message, "no", error);
    }
  }

  /** Takes a call out of everything that knows it; true the first time. */
  #finish(call: Call): boolean {
    if (!this.#ledger.remove(call)) return false;
    this.#detach(call);
    if (call.type === "command" && call.sequence > 0) call.owner!.settle(call.sequence);
    return true;
  }
}
