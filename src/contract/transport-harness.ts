/** What the transport contract asks of an adapter, and how its tests connect. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { RaftError, type RaftErrorCode } from "../errors.js";
import type { Transport } from "../ports.js";
import { Peer, PeerServer } from "./peer.js";

export type TransportHarness = {
  /** Dials and listens. */
  readonly transport: Transport;
  /** To listen on; anything free. */
  readonly listenAddress: string;
  /** Addresses that cannot be one. */
  readonly badAddresses: readonly string[];
  /** So much in `queuedBytes` arms `onDrain`; it comes at or below the low mark. */
  readonly highWaterBytes: number;
  readonly lowWaterBytes: number;
};

export type TransportFactory = (t: TestContext) => Promise<TransportHarness> | TransportHarness;

export type Pair = { harness: TransportHarness; server: PeerServer; dialler: Peer; accepted: Peer };

export function isRaftError(error: unknown, code: RaftErrorCode): boolean {
  assert.ok(error instanceof RaftError, `not a RaftError: ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return true;
}

/** Runs `call` and fails if a handler of `peer` is called within it. */
export function outside(peer: Peer, call: () => void): void {
  peer.inCall = true;
  call();
  peer.inCall = false;
}

export async function listen(t: TestContext, harness: TransportHarness): Promise<PeerServer> {
  const server = await PeerServer.listen(harness.transport, harness.listenAddress);
  t.after(() => server.close());
  return server;
}

export async function connect(t: TestContext, make: TransportFactory): Promise<Pair> {
  const harness = await make(t);
  const server = await listen(t, harness);
  const dialler = Peer.dial(harness.transport, server.address);
  t.after(() => dialler.connection?.destroy("the test is over"));
  const accepted = await server.accepted();
  await Promise.all([dialler.opened(), accepted.opened()]);
  return { harness, server, dialler, accepted };
}
