/**
 * Who waits for an answer. A command is found by its identity (session, sequence) and never by a log
 * index, because another entry may come to stand at that index (hazard 35).
 */
import { IntegerMap } from "../integer-map.js";
import type { ReplySink } from "./types.js";

export type Waiter = {
  readonly requestId: number;
  readonly kind: "command" | "register" | "query" | "barrier" | "piece" | "admin";
  /** command: the session. Otherwise 0. */
  readonly session: number;
  /** command: the sequence. register: the nonce. Otherwise 0. */
  readonly sequence: number;
  readonly sink: ReplySink;
  /** The caller's own number. */
  readonly request: number;
  /** query: what is asked. Otherwise null. */
  readonly body: Uint8Array | null;
  /** admin: makes the reply from the index at which the request came to its end. */
  readonly render: ((index: number) => Uint8Array) | null;
  /** Another caller with the same identity: a retry over a new connection. */
  next: Waiter | null;
};

export type Waiting = {
  readonly byRequest: IntegerMap<Waiter>;
  /** By session, then by sequence; sessions of which nobody waits right now may be among them. */
  readonly bySession: Map<number, IntegerMap<Waiter>>;
  readonly byNonce: Map<number, Waiter>;
  /** Of the queries among them. */
  queryBytes: number;
};

export function createWaiting(): Waiting {
  return { byRequest: new IntegerMap(), bySession: new Map(), byNonce: new Map(), queryBytes: 0 };
}

export function addWaiter(waiting: Waiting, waiter: Waiter): void {
  waiting.byRequest.set(waiter.requestId, waiter);
  if (waiter.body !== null) waiting.queryBytes += waiter.body.length;
  if (waiter.kind === "command") {
    let sequences = waiting.bySession.get(waiter.session);
    if (sequences === undefined) {
      sequences = new IntegerMap();
      waiting.bySession.set(waiter.session, sequences);
    }
    waiter.next = sequences.get(waiter.sequence) ?? null;
    sequences.set(waiter.sequence, waiter);
  } else if (waiter.kind === "register") {
    waiter.next = waiting.byNonce.get(waiter.sequence) ?? null;
    waiting.byNonce.set(waiter.sequence, waiter);
  }
}

/** Takes out every caller of that command; follow `next`. */
export function takeCommand(waiting: Waiting, session: number, sequence: number): Waiter | null {
  const sequences = waiting.bySession.get(session);
  const first = sequences?.get(sequence);
  if (sequences === undefined || first === undefined) return null;
  sequences.delete(sequence);
  forgetSession(waiting, session, sequences);
  forgetRequests(waiting, first);
  return first;
}

/** Sessions that come and go with every command would cost more than the few that stay. */
const idleSessions = 64;

function forgetSession({ bySession }: Waiting, session: number, left: IntegerMap<Waiter>): void {
  if (left.size === 0 && bySession.size > idleSessions) bySession.delete(session);
}

export function takeRegister(waiting: Waiting, nonce: number): Waiter | null {
  const first = waiting.byNonce.get(nonce);
  if (first === undefined) return null;
  waiting.byNonce.delete(nonce);
  forgetRequests(waiting, first);
  return first;
}

/** Takes out one caller by the number that the core knows it by. */
export function takeRequest(waiting: Waiting, requestId: number): Waiter | null {
  const waiter = waiting.byRequest.get(requestId);
  if (waiter === undefined) return null;
  waiting.byRequest.delete(requestId);
  if (waiter.body !== null) waiting.queryBytes -= waiter.body.length;
  if (waiter.kind === "command") {
    const sequences = waiting.bySession.get(waiter.session)!;
    unlink(sequences, waiter);
    forgetSession(waiting, waiter.session, sequences);
  } else if (waiter.kind === "register") unlink(waiting.byNonce, waiter);
  waiter.next = null;
  return waiter;
}

/** Takes out everybody whose proposal a member that leads no more cannot vouch for. */
export function takeProposals(waiting: Waiting): Waiter[] {
  const taken: Waiter[] = [];
  for (const waiter of waiting.byRequest.values()) {
    if (waiter.kind === "command" || waiter.kind === "register") taken.push(waiter);
  }
  for (const waiter of taken) waiting.byRequest.delete(waiter.requestId);
  waiting.bySession.clear();
  waiting.byNonce.clear();
  return taken;
}

/** Takes out everybody of one kind who waits under no identity. */
export function takeKind(waiting: Waiting, kind: "piece"): Waiter[] {
  const taken = waiting.byRequest.values().filter((waiter) => waiter.kind === kind);
  for (const waiter of taken) waiting.byRequest.delete(waiter.requestId);
  return taken;
}

export function takeAll(waiting: Waiting): Waiter[] {
  const taken = waiting.byRequest.values();
  waiting.byRequest.clear();
  waiting.bySession.clear();
  waiting.byNonce.clear();
  waiting.queryBytes = 0;
  return taken;
}

function forgetRequests(waiting: Waiting, first: Waiter): void {
  for (let waiter: Waiter | null = first; waiter !== null; waiter = waiter.next) {
    waiting.byRequest.delete(waiter.requestId);
  }
}

function unlink(chains: Map<number, Waiter> | IntegerMap<Waiter>, waiter: Waiter): void {
  const first = chains.get(waiter.sequence);
  if (first === waiter) {
    if (waiter.next === null) chains.delete(waiter.sequence);
    else chains.set(waiter.sequence, waiter.next);
    return;
  }
  for (let before = first ?? null; before !== null; before = before.next) {
    if (before.next === waiter) {
      before.next = waiter.next;
      return;
    }
  }
}
