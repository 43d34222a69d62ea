/** The last that comes of listeners, connections and addresses, and what they count. */
import { type Mutant, unit } from "../types.js";

const tcpEnds = unit("test/transport/tcp-ends.test");
const memory = unit("test/transport/memory.test");
const lifetime = unit("test/transport/tcp-lifetime.test");

export const ends: readonly Mutant[] = [
  {
    id: "closed-listener-serves",
    hazards: [],
    bug: "who was on its way in when a listener closed is served",
    file: "src/transport/tcp.ts",
    find: "if (this.#closed !== null) {\n      socket.destroy();",
    replace: "if (false) {\n      socket.destroy();",
    catchers: [tcpEnds],
  },
  {
    id: "handshakes-outlive-the-listener",
    hazards: [],
    bug: "a stranger that says nothing in its TLS handshake stays after the listener has closed",
    file: "src/transport/tcp.ts",
    find: "for (const raw of this.#shaking.values()) raw.destroy();",
    replace: "",
    catchers: [tcpEnds],
  },
  {
    id: "sweep-keeps-the-process",
    hazards: [],
    bug: "looking after connections is what a process stays alive for",
    file: "src/transport/tcp.ts",
    find: "this.#sweepMs).unref();",
    replace: "this.#sweepMs);",
    catchers: [tcpEnds],
  },
  {
    id: "stillborn-close-throws",
    hazards: [],
    bug: "an onClose that throws because an address is none ends the process",
    file: "src/transport/tcp.ts",
    find: "      } catch (thrown) {",
    replace: "      } catch (thrown) {\n        throw thrown;",
    catchers: [tcpEnds],
  },
  {
    id: "drained-below-the-high-mark",
    hazards: [95],
    bug: "who has filled a connection is asked for more as soon as one write has left",
    file: "src/transport/tcp-connection.ts",
    find: "this.#queuedBytes <= this.#shared.limits.lowWaterBytes",
    replace: "this.#queuedBytes <= this.#shared.limits.highWaterBytes",
    catchers: [lifetime],
  },
  {
    id: "writes-are-no-traffic",
    hazards: [],
    bug: "V8's limit stays low under a load of writes",
    file: "src/transport/tcp-connection.ts",
    find: "    this.#shared.heapLimit.carried(size);\n",
    replace: "",
    catchers: [tcpEnds],
  },
  {
    id: "reads-are-no-traffic",
    hazards: [],
    bug: "V8's limit stays low under a load of reads",
    file: "src/transport/tcp-connection.ts",
    find: "    this.#shared.heapLimit.carried(chunk.length);\n",
    replace: "",
    catchers: [tcpEnds],
  },
  {
    id: "aggregate-error-has-no-reason",
    hazards: [],
    bug: "of a host with several addresses, none of which answers, nobody is told why",
    file: "src/transport/tcp-errors.ts",
    find: "error instanceof AggregateError && error.errors[0] instanceof Error",
    replace: "false",
    catchers: [tcpEnds],
  },
  {
    id: "closed-twice-closes-the-next",
    hazards: [],
    bug: "in memory, a listener that is closed twice takes the next one at its address away",
    file: "src/transport/memory.ts",
    find: "if (this.#listeners.get(resolved) === listener) this",
    replace: "this",
    catchers: [memory],
  },
  {
    id: "last-words-at-drain-lost",
    hazards: [],
    bug: "in memory, what is sent in onDrain right before the end is lost",
    file: "src/transport/memory.ts",
    find: "if (!this.ended && this.#closing && this.#queue.length === 0) {",
    replace: "if (!this.ended && this.#closing) {",
    catchers: [memory],
  },
];
