/** Plain sockets that know nothing of our framing: strangers, broken hosts, other servers. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** Connected to `address`; errors (a reset, say) are as good an end as any. */
export async function rawConnect(t: TestContext, address: string): Promise<Socket> {
  const at = address.lastIndexOf(":");
  const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)) });
  tame(socket);
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Resolves when the socket has ended, by an error or in order. */
export function rawClosed(socket: Socket): Promise<void> {
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/**
 * A reset at once: `resetAndDestroy` would first send what waits and an end, as `destroySoon` does. Not
 * while an end is on its way: there the system refuses it, and Node leaves the handle open for ever.
 */
export function rawReset(socket: Socket): void {
  if (socket.destroyed) return;
  const ending = socket.writableEnded && !socket.writableFinished;
  Object.assign(socket, { resetAndClosing: !socket.connecting && !ending });
  socket.destroy();
}

export type RawServer = {
  readonly address: string;
  /** Those accepted so far. */
  readonly sockets: Socket[];
  close(): Promise<void>;
};

/** A server that does with each connection what `serve` says, and reads what arrives. */
export async function rawListen(
  t: TestContext,
  serve: (socket: Socket) => void,
  options: { readonly allowHalfOpen?: boolean; readonly pauseOnConnect?: boolean } = {},
): Promise<RawServer> {
  const sockets: Socket[] = [];
  const server: Server = createServer(options, (socket) => {
    sockets.push(socket);
    tame(socket);
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  };
  t.after(close);
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, sockets, close };
}

function tame(socket: Socket): void {
  socket.on("error", () => {
    // The tests look at how it ended from our side.
  });
  socket.resume();
}
