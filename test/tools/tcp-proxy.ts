/**
 * A TCP proxy that a test holds in its hand: cut, delay, throttle, reset, leave half open.
 *
 *     dialler  --toTarget-->    proxy    --toTarget-->    target
 *              <--fromTarget--           <--fromTarget--
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { rawReset } from "./raw.js";

export type Direction = "toTarget" | "fromTarget";

/** Above it the proxy reads no more before it could write, as a router would. */
const bufferBytes = 256 * 1024;

/** How the links of one proxy behave at the moment. */
type Weather = {
  readonly cut: Set<Direction>;
  delayMs: number;
  /** Per link and direction. */
  bytesPerSecond: number;
};

export class TcpProxy {
  readonly address: string;
  readonly #server: Server;
  readonly #target: { host: string; port: number };
  readonly #links = new Set<Link>();
  readonly #weather: Weather = { cut: new Set(), delayMs: 0, bytesPerSecond: Infinity };
  #accepted = 0;

  private constructor(server: Server, target: string) {
    const colon = target.lastIndexOf(":");
    this.#target = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
    this.#server = server;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (dialler: Socket) => this.#link(dialler));
  }

  /** Listens on a free port of 127.0.0.1 and forwards to `target` (host:port). */
  static async start(target: string): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TcpProxy(server, target);
  }

  /** Links that are up, or half up. */
  get links(): number {
    return this.#links.size;
  }

  /** Links that ever were. */
  get accepted(): number {
    return this.#accepted;
  }

  /**
   * From now on nothing comes through in that direction (default: both), on new links neither. As
   * with a cut cable nothing is lost: TCP sends it again, so it comes through after `heal`.
   */
  cut(direction?: Direction): void {
    for (const each of direction === undefined ? directions : [direction]) {
      this.#weather.cut.add(each);
    }
    this.#changed();
  }

  heal(): void {
    this.#weather.cut.clear();
    this.#changed();
  }

  /** What is read from now on comes out so much later. */
  setDelayMs(delayMs: number): void {
    this.#weather.delayMs = delayMs;
  }

  setBytesPerSecond(bytesPerSecond: number): void {
    this.#weather.bytesPerSecond = bytesPerSecond;
  }

  /** Breaks all links by a reset, to both sides; new ones may come up. */
  reset(): void {
    for (const link of this.#links) link.reset();
  }

  /**
   * The target's side of all links is reset while the dialler's stays open and silent, as if the
   * target's machine had lost its power (or the other way round).
   */
  leaveHalfOpen(gone: "target" | "dialler"): void {
    for (const link of this.#links) link.leaveHalfOpen(gone);
  }

  /** Ends all links and frees the port. */
  async close(): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, "close") : null;
    if (closed !== null) this.#server.close();
    this.reset();
    await closed;
  }

  #link(dialler: Socket): void {
    this.#accepted += 1;
    const target = connect({ ...this.#target, allowHalfOpen: true });
    const link = new Link(this.#weather, dialler, target, () => this.#links.delete(link));
    this.#links.add(link);
  }

  #changed(): void {
    for (const link of this.#links) link.pump();
  }
}

const directions: readonly Direction[] = ["toTarget", "fromTarget"];

class Link {
  readonly #dialler: Socket;
  readonly #target: Socket;
  readonly #pipes: readonly Pipe[];
  readonly #onGone: () => void;

  constructor(weather: Weather, dialler: Socket, target: Socket, onGone: () => void) {
    this.#dialler = dialler;
    this.#target = target;
    this.#onGone = onGone;
    this.#pipes = [
      new Pipe("toTarget", weather, dialler, target),
      new Pipe("fromTarget", weather, target, dialler),
    ];
    for (const socket of [dialler, target]) {
      socket.setNoDelay(true);
      // Either side breaking breaks the link; a refused target shows as a reset to the dialler.
      socket.on("error", () => this.reset());
      socket.on("close", () => this.#sideClosed());
    }
  }

  pump(): void {
    for (const pipe of this.#pipes) pipe.pump();
  }

  reset(): void {
    for (const pipe of this.#pipes) pipe.stop();
    for (const socket of [this.#dialler, this.#target]) rawReset(socket);
  }

  leaveHalfOpen(gone: "target" | "dialler"): void {
    for (const pipe of this.#pipes) pipe.stop();
    rawReset(gone === "target" ? this.#target : this.#dialler);
  }

  #sideClosed(): void {
    if (this.#dialler.destroyed && this.#target.destroyed) this.#onGone();
  }
}

/** One direction of a link. */
class Pipe {
  readonly #direction: Direction;
  readonly #weather: Weather;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #queue: { bytes: Buffer; dueMs: number }[] = [];
  #queuedBytes = 0;
  /** When the throttle lets the next piece pass. */
  #freeAtMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #writing = false;
  #ended = false;
  #stopped = false;

  constructor(direction: Direction, weather: Weather, from: Socket, to: Socket) {
    this.#direction = direction;
    this.#weather = weather;
    this.#from = from;
    this.#to = to;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.on("end", () => {
      this.#ended = true;
      this.pump();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#queue.length = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    // Goes on reading, so that the side that is left open can go on writing into the void.
    this.#from.resume();
  }

  #take(bytes: Buffer): void {
    if (this.#stopped) return;
    this.#queue.push({ bytes, dueMs: performance.now() + this.#weather.delayMs });
    this.#queuedBytes += bytes.length;
    if (this.#queuedBytes > bufferBytes) this.#from.pause();
    this.pump();
  }

  pump(): void {
    const idle = !this.#stopped && !this.#writing && this.#timer === null;
    if (!idle || this.#weather.cut.has(this.#direction)) return;
    const head = this.#queue[0];
    if (head === undefined) {
      if (this.#ended) this.#to.end();
      return;
    }
    const waitMs = Math.max(head.dueMs, this.#freeAtMs) - performance.now();
    if (waitMs <= 0) return this.#pass(head);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.pump();
    }, Math.ceil(waitMs));
  }

  /** Under a throttle, a twentieth of a second's worth at a time. */
  #pass(head: { bytes: Buffer; dueMs: number }): void {
    const { bytesPerSecond } = this.#weather;
    const piece = head.bytes.subarray(0, Math.max(1, Math.floor(bytesPerSecond / 20)));
    if (piece.length === head.bytes.length) this.#queue.shift();
    else head.bytes = head.bytes.subarray(piece.length);
    this.#freeAtMs = performance.now() + (piece.length / bytesPerSecond) * 1000;
    this.#queuedBytes -= piece.length;
    this.#writing = true;
    this.#to.write(piece, () => {
      this.#writing = false;
      if (this.#queuedBytes <= bufferBytes) this.#from.resume();
      this.pump();
    });
  }
}
