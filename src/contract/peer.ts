/** Connection handlers that write down what they are told, and let a test wait for it. */
import assert from "node:assert/strict";
import type { Connection, ConnectionHandlers, Transport } from "../ports.js";

/** A condition that never comes true must fail its test with a sentence, not hang the run. */
const patienceMs = 20_000;

export class Peer implements ConnectionHandlers {
  readonly name: string;
  readonly payloads: Uint8Array[] = [];
  opens = 0;
  drains = 0;
  closes = 0;
  error: Error | null = null;
  connection: Connection | null = null;
  /** Called after the note was taken; tests throw or answer here. */
  onNote: ((what: "open" | "payload" | "drain" | "close") => void) | null = null;
  /** Set while a test is inside a call of the transport, in which no handler may run. */
  inCall = false;
  #waiting: { condition: () => boolean; resolve: () => void }[] = [];

  constructor(name: string) {
    this.name = name;
  }

  static dial(transport: Transport, address: string, name = "dialler"): Peer {
    const peer = new Peer(name);
    peer.connection = transport.dial(address, peer);
    return peer;
  }

  onOpen(): void {
    this.opens += 1;
    this.#note("open");
  }

  onPayload(payload: Uint8Array): void {
    this.payloads.push(payload);
    this.#note("payload");
  }

  onDrain(): void {
    this.drains += 1;
    this.#note("drain");
  }

  onClose(error: Error | null): void {
    this.closes += 1;
    this.error = error;
    this.#note("close");
  }

  /** Resolves once `condition` holds; looked at after every call of a handler. */
  async until(what: string, condition: () => boolean): Promise<void> {
    if (condition()) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`${this.name} waited in vain until ${what}: ${this.#summary()}`));
      }, patienceMs);
    });
    const met = new Promise<void>((resolve) => this.#waiting.push({ condition, resolve }));
    try {
      await Promise.race([met, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  opened(): Promise<void> {
    return this.until("it is open", () => this.opens > 0);
  }

  received(count: number): Promise<void> {
    return this.until(`${count} payloads are there`, () => this.payloads.length >= count);
  }

  async closed(): Promise<Error | null> {
    await this.until("it is closed", () => this.closes > 0);
    return this.error;
  }

  #note(what: "open" | "payload" | "drain" | "close"): void {
    assert.equal(this.inCall, false, `${what} was told to ${this.name} within a call`);
    assert.ok(what === "close" || this.closes === 0, `${what} after onClose (${this.name})`);
    try {
      this.onNote?.(what);
    } finally {
      const met = this.#waiting.filter(({ condition }) => condition());
      this.#waiting = this.#waiting.filter((one) => !met.includes(one));
      for (const { resolve } of met) resolve();
    }
  }

  #summary(): string {
    const { opens, drains, closes, error } = this;
    const received = this.payloads.length;
    return JSON.stringify({ opens, received, drains, closes, error: error?.message ?? null });
  }
}

/** A listener that keeps a `Peer` for every connection that it accepts. */
export class PeerServer {
  readonly peers: Peer[] = [];
  address = "";
  /** Called for each before its handlers are handed out. */
  onAccept: ((peer: Peer) => void) | null = null;
  close: () => Promise<void> = () => Promise.resolve();
  #waiting: { count: number; resolve: (peer: Peer) => void }[] = [];

  static async listen(transport: Transport, address: string): Promise<PeerServer> {
    const server = new PeerServer();
    const listener = await transport.listen(address, (connection) => server.#accept(connection));
    server.address = listener.address;
    server.close = () => listener.close();
    return server;
  }

  /** The `number`th accepted connection, counted from 1. */
  accepted(number = 1): Promise<Peer> {
    const peer = this.peers[number - 1];
    if (peer !== undefined) return Promise.resolve(peer);
    return new Promise((resolve) => this.#waiting.push({ count: number, resolve }));
  }

  #accept(connection: Connection): Peer {
    const peer = new Peer(`accepted ${this.peers.length + 1}`);
    peer.connection = connection;
    this.onAccept?.(peer);
    this.peers.push(peer);
    for (const { count, resolve } of this.#waiting) if (count === this.peers.length) resolve(peer);
    return peer;
  }
}

/** Bytes that differ from place to place and from seed to seed. */
export function patterned(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let word = (seed * 2654435761) >>> 0;
  for (let i = 0; i < length; i++) {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
    bytes[i] = word >>> 24;
  }
  return bytes;
}
