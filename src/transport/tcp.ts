/**
 * The transport over TCP, optionally with mutual TLS.
 *
 * All payloads that one turn of the user hands to a connection leave in one write at the end of that
 * turn. A stranger's bytes never get further than the framing: they end their own connection.
 */
import { connect as connectTcp, createServer, type Server, Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { TLSSocket } from "node:tls";
import { getHeapStatistics } from "node:v8";
import { isOptions, RaftError, show, unknownName } from "../errors.js";
import { guarded, RateLimit, withoutPort } from "../logging.js";
import type { Connection, ConnectionHandlers, Listener, Logger, Transport } from "../ports.js";
import { platformChecksum } from "./checksum.js";
import { CollectionWatch, YoungCollections } from "./collections.js";
import { HeapLimit, type HeapState } from "./heap-limit.js";
import { nodeTls } from "./node-tls.js";
import { SharedSums } from "./shared-sums.js";
import { formatAddress, parseAddress, type TcpAddress } from "./tcp-address.js";
import { TcpConnection, type TcpShared } from "./tcp-connection.js";
import { reasonOf, refusalOf } from "./tcp-errors.js";
import { completeLimits, type TcpLimits } from "./tcp-limits.js";
import { clientTls, serverTls, type TlsOptions, verifyTls } from "./tls-options.js";

export type TcpTransportOptions = {
  /** Encrypts every connection of this transport, both dialled and accepted. */
  readonly tls?: TlsOptions | undefined;
  readonly limits?: Partial<TcpLimits> | undefined;
  /** Hears of what belongs to no connection: refused TLS handshakes, a full listener. */
  readonly logger?: Logger | undefined;
};

type Accept = (connection: Connection) => ConnectionHandlers;

/**
 * Makes a TCP transport. Throws RaftError `invalidArgument` for an unknown option, a limit out of range, or
 * certificates that do not load.
 *
 * @example
 * ```ts
 * const transport = createTcpTransport();
 * const listener = await transport.listen("127.0.0.1:0", () => handlers);
 * const connection = transport.dial(listener.address, handlers);
 * ```
 */
export function createTcpTransport(options: TcpTransportOptions = {}): Transport {
  checkOptions(options);
  if (options.tls !== undefined) verifyTls(options.tls);
  return new TcpTransport(options);
}

const optionNames: readonly string[] = Object.freeze(["tls", "limits", "logger"]);

/** A misspelt `tls` would be as good as none: then nothing is encrypted. */
function checkOptions(options: unknown): void {
  const what = "of the TCP transport";
  if (!isOptions(options)) {
    const why = `expected an object such as { tls }, got ${show(options)}`;
    throw new RaftError("invalidArgument", `options ${what}: ${why}`);
  }
  const strange = unknownName(options, optionNames);
  if (strange !== undefined) {
    const why = `is no option ${what}; there are ${optionNames.join(", ")}`;
    throw new RaftError("invalidArgument", `${strange} ${why}`);
  }
  checkLogger((options as { readonly logger?: unknown }).logger, what);
}

/** What a logger throws is swallowed, so a wrong one would be as good as none. */
function checkLogger(logger: unknown, what: string): void {
  if (logger === undefined) return;
  const methods = logger as Readonly<Record<string, unknown>> | null;
  const missing = ["debug", "info", "warn", "error"].find(
    (level) => typeof methods?.[level] !== "function",
  );
  if (missing === undefined) return;
  const why = `must be an object with a method "${missing}", got ${show(logger)}`;
  throw new RaftError("invalidArgument", `logger ${what} ${why}`);
}

class TcpTransport implements Transport, TcpShared {
  readonly limits: TcpLimits;
  readonly checksum = platformChecksum();
  readonly sums = new SharedSums(this.checksum);
  readonly logger: Logger | null;
  readonly secure: boolean;
  readonly heapLimit = new HeapLimit({
    nowMs: () => this.nowMs(),
    heap: heapState,
    soon: (work) => void setImmediate(work),
    nudge,
    collectYoung: () => this.#youngCollections.have(),
  });
  readonly #youngCollections = new YoungCollections();
  readonly #tls: TlsOptions | null;
  readonly #connections = new Set<TcpConnection>();
  readonly #collections = new CollectionWatch((isFull) => this.heapLimit.collected(isFull));
  /** With something to send that has not been written. */
  #unsent: TcpConnection[] = [];
  readonly #sweepMs: number;
  #sweep: NodeJS.Timeout | null = null;

  constructor(options: TcpTransportOptions) {
    const limits = completeLimits(options.limits ?? {});
    this.limits = limits;
    this.logger = options.logger === undefined ? null : guarded(options.logger);
    this.#tls = options.tls ?? null;
    this.secure = this.#tls !== null;
    const shortestMs = Math.min(
      limits.connectTimeoutMs,
      limits.handshakeTimeoutMs,
      limits.stallTimeoutMs,
      limits.closeTimeoutMs,
    );
    this.#sweepMs = Math.min(1000, Math.max(5, Math.floor(shortestMs / 4)));
  }

  nowMs(): number {
    return performance.now();
  }

  listen(address: string, accept: Accept): Promise<Listener> {
    let parsed: TcpAddress;
    try {
      parsed = parseAddress(address, "listen");
    } catch (error) {
      return Promise.reject(error as RaftError);
    }
    return startListening(this, this.#tls, parsed, accept);
  }

  dial(address: string, handlers: ConnectionHandlers): Connection {
    let parsed: TcpAddress;
    try {
      parsed = parseAddress(address, "dial");
    } catch (error) {
      return new StillbornConnection(address, handlers, error as RaftError, this.logger);
    }
    const tls = this.#tls;
    const socket =
      tls === null ? connectTcp(parsed) : nodeTls().connect({ ...parsed, ...clientTls(tls) });
    const connection = new TcpConnection(this, socket, address, "dialled");
    connection.setHandlers(handlers);
    socket.once(tls === null ? "connect" : "secureConnect", () => connection.opened());
    return connection;
  }

  watch(connection: TcpConnection): void {
    this.#connections.add(connection);
    if (this.#sweep !== null) return;
    // Sockets keep the process alive; looking after them must not.
    this.#sweep = setInterval(() => setImmediate(() => this.#look()), this.#sweepMs).unref();
    this.#collections.watch();
  }

  forget(connection: TcpConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0 || this.#sweep === null) return;
    clearInterval(this.#sweep);
    this.#sweep = null;
    this.#collections.stop();
    this.heapLimit.letGo();
  }

  flushLater(connection: TcpConnection): void {
    if (this.#unsent.push(connection) === 1) process.nextTick(this.flush);
  }

  readonly flush = (): void => {
    const unsent = this.#unsent;
    if (unsent.length === 0) return;
    this.#unsent = [];
    for (const connection of unsent) connection.flushNow();
  };

  /** One coarse round for all deadlines, instead of timers per connection. */
  #look(): void {
    const nowMs = this.nowMs();
    for (const connection of this.#connections) connection.checkDeadlines(nowMs);
    this.heapLimit.look(nowMs);
  }
}

function heapState(): HeapState {
  const {
    heap_size_limit: limitBytes,
    used_heap_size: usedBytes,
    external_memory: bufferBytes,
  } = getHeapStatistics();
  return { freeBytes: limitBytes - usedBytes, usedBytes, bufferBytes };
}

function nudge(bytes: number): void {
  try {
    new ArrayBuffer(bytes);
  } catch {
    // No room for it, so the next full collection comes by itself.
  }
}

function startListening(
  shared: TcpShared,
  tls: TlsOptions | null,
  address: TcpAddress,
  accept: Accept,
): Promise<Listener> {
  if (tls !== null && tls.key === undefined) {
    const why = "tls.key and tls.cert are needed to listen";
    return Promise.reject(new RaftError("invalidArgument", why));
  }
  const server =
    tls === null ? createServer() : nodeTls().createServer(serverTls(tls, shared.limits));
  server.maxConnections = shared.limits.maxConnections;
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      const where = formatAddress(address.host, address.port);
      reject(
        new RaftError("listenFailed", `listen: ${where}: ${reasonOf(error)}`, { cause: error }),
      );
    };
    server.once("error", failed);
    server.listen({ host: address.host, port: address.port }, () => {
      server.off("error", failed);
      resolve(new TcpListener(shared, server, address.host, accept));
    });
  });
}

class TcpListener implements Listener {
  readonly address: string;
  readonly #shared: TcpShared;
  readonly #server: Server;
  readonly #accept: Accept;
  /** Raw sockets by their remote end while their TLS handshake is under way. */
  readonly #shaking = new Map<string, Socket>();
  #fullReported = false;
  #closed: Promise<void> | null = null;

  constructor(shared: TcpShared, server: Server, host: string, accept: Accept) {
    const bound = server.address();
    this.address = formatAddress(
      host,
      typeof bound === "object" && bound !== null ? bound.port : 0,
    );
    this.#shared = shared;
    this.#server = server;
    this.#accept = accept;
    const { logger } = shared;
    const told = new RateLimit(shared);
    server.on("error", (error) => {
      logger?.warn({ address: this.address }, `a connection was not accepted: ${reasonOf(error)}`);
    });
    server.on("drop", () => this.#reportFull());
    if (!shared.secure) {
      server.on("connection", (socket: Socket) => this.#serve(socket));
      return;
    }
    server.on("connection", (raw: Socket) => this.#expectHandshake(raw));
    server.on("secureConnection", (socket: Socket) => {
      this.#shaking.delete(remoteOf(socket));
      this.#serve(socket);
    });
    server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
      const reason = refusalOf(error, socket);
      const remote = remoteOf(rawOf(socket));
      if (told.admits(`${withoutPort(remote)} ${reason}`)) {
        logger?.warn({ remote }, `TLS handshake refused: ${reason}`);
      }
      socket.destroy();
    });
  }

  /** Stops accepting; connections that were accepted go on. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#server.close();
      for (const raw of this.#shaking.values()) raw.destroy();
      this.#shaking.clear();
      setImmediate(resolve);
    });
    return this.#closed;
  }

  #serve(socket: Socket): void {
    if (this.#closed !== null) {
      socket.destroy();
      return;
    }
    this.#fullReported = false;
    const connection = new TcpConnection(this.#shared, socket, remoteOf(socket), "accepted");
    try {
      connection.setHandlers(this.#accept(connection));
    } catch (error) {
      this.#shared.logger?.error({ remote: connection.remote, error }, "accept threw");
      connection.destroy("accept threw");
      return;
    }
    connection.opened();
  }

  #expectHandshake(raw: Socket): void {
    const remote = remoteOf(raw);
    this.#shaking.set(remote, raw);
    raw.once("close", () => {
      if (this.#shaking.get(remote) === raw) this.#shaking.delete(remote);
    });
  }

  #reportFull(): void {
    if (this.#fullReported) return;
    this.#fullReported = true;
    const { maxConnections } = this.#shared.limits;
    this.#shared.logger?.warn(
      { address: this.address },
      `full: ${maxConnections} connections are served, more are turned away (maxConnections)`,
    );
  }
}

/**
 * What the handshake ran on. When Node refuses a certificate it has closed that already: then it alone remembers
 * whose it was, since `#expectHandshake` asked it.
 */
function rawOf(socket: TLSSocket): Socket {
  const { _parent: raw } = socket as TLSSocket & { readonly _parent?: unknown };
  return raw instanceof Socket ? raw : socket;
}

function remoteOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  return remoteAddress === undefined ? "unknown" : formatAddress(remoteAddress, remotePort ?? 0);
}

/** What `dial` returns for an address that cannot be one. */
class StillbornConnection implements Connection {
  readonly remote: string;
  readonly queuedBytes = 0;

  constructor(
    remote: string,
    handlers: ConnectionHandlers,
    error: RaftError,
    logger: Logger | null,
  ) {
    this.remote = String(remote);
    setImmediate(() => {
      try {
        handlers.onClose(error);
      } catch (thrown) {
        logger?.error({ remote, error: thrown }, "the onClose handler threw");
      }
    });
  }

  send(): void {
    // Nobody to send to; `onClose` is on its way.
  }
  close(): void {
    // It never was open.
  }
  destroy(): void {
    // It never was open.
  }
}
