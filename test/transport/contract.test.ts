/** The transport contract, held by every transport of the house. */
import { createSystemClock } from "../../src/clock/system.js";
import { MemoryNetwork } from "../../src/transport/memory.js";
import { createTcpTransport } from "../../src/transport/tcp.js";
import { transportContract } from "../../src/contract/transport.js";
import { makeAuthority } from "../tools/certificates.js";

const highWaterBytes = 256 * 1024;
const lowWaterBytes = 64 * 1024;

const badTcpAddresses = [
  "",
  "7101",
  "localhost",
  "localhost:",
  ":7101",
  "::1:7101",
  "[::1]",
  "[nonsense]:7101",
  "127.0.0.1:65536",
  "127.0.0.1:-1",
  "127.0.0.1:x",
  "tcp://127.0.0.1:7101",
  "127.0.0.1:7101 ",
];

transportContract("memory", () => ({
  transport: new MemoryNetwork({
    clock: createSystemClock(),
    highWaterBytes,
    lowWaterBytes,
  }).transport("foo"),
  listenAddress: "memory:0",
  badAddresses: [""],
  highWaterBytes,
  lowWaterBytes,
}));

transportContract("tcp", () => ({
  transport: createTcpTransport({ limits: { highWaterBytes, lowWaterBytes } }),
  listenAddress: "127.0.0.1:0",
  badAddresses: badTcpAddresses,
  highWaterBytes,
  lowWaterBytes,
}));

const authority = makeAuthority();
const certified = authority.issue("foo.test");

transportContract("tcp with mutual TLS", () => ({
  transport: createTcpTransport({
    limits: { highWaterBytes, lowWaterBytes },
    tls: { ...certified, ca: authority.cert },
  }),
  listenAddress: "127.0.0.1:0",
  badAddresses: badTcpAddresses,
  highWaterBytes,
  lowWaterBytes,
}));
