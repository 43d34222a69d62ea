/** What is measured is the package as it is published: by its name, in few files. Build it first. */
import type * as Package from "../src/index.js";
import type * as Testing from "../src/sim/index.js";

// Not as literals: the compiler has the types from the sources, whether or not they are built.
const named = { package: "rafted-value", testing: "rafted-value/testing" };

export const {
  connect,
  createCborCodec,
  createTcpTransport,
  defineValue,
  fileStorage,
  RaftError,
  startHost,
} = (await import(named.package)) as typeof Package;
export const { MemoryNetwork } = (await import(named.testing)) as typeof Testing;
export type { GroupHandle, GroupStatus } from "../src/index.js";
