/** A transport that writes down what is sent over it. */
import type { Frame } from "../../src/codec/types.js";
import { decodeFrame } from "../../src/codec/wire.js";
import type { Connection, Transport } from "../../src/ports.js";

/** Every frame that a host sends, in order. */
export function recorded(transport: Transport, sent: Frame[]): Transport {
  const record = (connection: Connection): Connection => ({
    get remote() {
      return connection.remote;
    },
    get queuedBytes() {
      return connection.queuedBytes;
    },
    send: (payload) => {
      sent.push(decodeFrame(payload));
      connection.send(payload);
    },
    close: () => connection.close(),
    destroy: (reason) => connection.destroy(reason),
  });
  return {
    listen: (address, accept) =>
      transport.listen(address, (connection) => accept(record(connection))),
    dial: (address, handlers) => record(transport.dial(address, handlers)),
  };
}
