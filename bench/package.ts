/**
 * What is measured is the package as it is published, in few files: build it first. By its path, as within
 * build/ its name stands for the compiled sources, which are two hundred modules.
 */
import { readFileSync } from "node:fs";
import type * as Package from "../src/index.js";
import type * as Testing from "../src/sim/index.js";

type Manifest = { readonly exports: Readonly<Record<string, { readonly default: string }>> };

/** From build/bench, where this file is compiled to. */
const root = new URL("../../", import.meta.url);
const { exports } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as Manifest;

/** Not by a literal: the compiler has the types from the sources, whether or not they are built. */
const published = (entry: string): Promise<unknown> =>
  import(new URL(exports[entry]!.default, root).href);

export const {
  connect,
  createCborCodec,
  createTcpTransport,
  defineValue,
  fileStorage,
  RaftError,
  startHost,
} = (await published(".")) as typeof Package;
export const { MemoryNetwork } = (await published("./testing")) as typeof Testing;
export type { GroupHandle, GroupStatus } from "../src/index.js";
