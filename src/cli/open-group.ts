/** From `--hosts` and `--group` to a client of the group. */
import { createSystemClock, createSystemRandom } from "../clock/system.js";
import { createGroupClient } from "../client/client.js";
import type { GroupClient } from "../client/types.js";
import { createCborCodec } from "../codec/values.js";
import { RaftError } from "../errors.js";
import { silentLogger } from "../host/options.js";
import { createTcpTransport } from "../transport/tcp.js";
import type { TlsOptions } from "../transport/tls-options.js";
import type { AnyDefinedValue } from "../value/types.js";
import { tlsOf, tlsOptions } from "./tls.js";
import {
  addressList,
  type OptionSpec,
  requiredText,
  UsageError,
  type Verb,
  type VerbInput,
} from "./usage.js";

export const groupOptions: Readonly<Record<string, OptionSpec>> = Object.freeze({
  hosts: { value: "ADDR,...", help: "where members listen; the first one is asked first" },
  group: { value: "NAME", help: "the group's name" },
  ...tlsOptions,
});

export const defaultTimeoutMs = 5000;

/** Commands and queries by names that only run time knows, and the administrative verbs. */
export interface AnyGroup extends Omit<
  GroupClient<AnyDefinedValue>,
  "command" | "query" | "queryStale"
> {
  command(name: string, ...rest: readonly unknown[]): Promise<unknown>;
  query(name: string, ...rest: readonly unknown[]): Promise<unknown>;
  queryStale(name: string, ...rest: readonly unknown[]): Promise<unknown>;
}

export interface AnyClient extends AnyGroup {
  admin(
    verb: string,
    body: unknown,
    options?: { readonly timeoutMs?: number; readonly host?: string },
  ): Promise<unknown>;
}

export type Target = {
  readonly hosts: readonly string[];
  readonly group: string;
  readonly tls: TlsOptions | null;
  readonly timeoutMs: number;
};

export function targetOf(verb: Verb, input: VerbInput): Target {
  return {
    hosts: addressList("--hosts", requiredText(verb, input, "hosts")),
    group: requiredText(verb, input, "group"),
    tls: tlsOf(input),
    timeoutMs: input.timeoutMs ?? defaultTimeoutMs,
  };
}

/** The first address alone: what means one member must not wander to whoever happens to answer. */
export function ownTargetOf(verb: Verb, input: VerbInput): Target {
  const target = targetOf(verb, input);
  return { ...target, hosts: target.hosts.slice(0, 1) };
}

/** `definition` null: for administration only. */
export function openClient(target: Target, definition: AnyDefinedValue | null): AnyClient {
  const transport = createTcpTransport(target.tls === null ? {} : { tls: target.tls });
  return createGroupClient({
    definition,
    group: target.group,
    hosts: target.hosts,
    dial: (address, handlers) => transport.dial(address, handlers),
    clock: createSystemClock(),
    random: createSystemRandom(),
    codec: createCborCodec(),
    logger: silentLogger,
    home: target.hosts[0]!,
    defaultTimeoutMs: target.timeoutMs,
  }) as unknown as AnyClient;
}

/** Runs `use` with a client that is closed afterwards, whatever comes. */
export async function withClient<T>(
  target: Target,
  definition: AnyDefinedValue | null,
  use: (client: AnyClient) => Promise<T>,
): Promise<T> {
  const client = openClient(target, definition);
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

const handlerPattern = /^[A-Za-z_$][A-Za-z0-9_$]{0,63}$/;

/**
 * A definition for one call to a group whose module is not at hand: it has the group's own value name
 * and version and knows the one name that was typed. The member that is asked knows the rest.
 */
export async function definitionFor(
  target: Target,
  kind: "command" | "query",
  name: string,
): Promise<AnyDefinedValue> {
  if (!handlerPattern.test(name)) {
    throw new UsageError(`${JSON.stringify(name)} cannot be the name of a ${kind}`);
  }
  const status = await withClient(target, null, (client) => client.status());
  const unused = (): never => {
    throw new RaftError("internal", "this definition is for calls only");
  };
  // Two parameters: whatever is given is the argument, never taken for options.
  const table = Object.freeze({ [name]: (_value: unknown, _arg: unknown) => unused() });
  return Object.freeze({
    name: status.valueName,
    version: status.valueVersion,
    mutable: false,
    initial: unused,
    commands: kind === "command" ? table : {},
    queries: kind === "query" ? table : {},
    codec: null,
    upgrade: null,
    compatibleVersions: [],
    partition: null,
  });
}
