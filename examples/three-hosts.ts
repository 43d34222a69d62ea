/** Three members in this process, for examples: what three programs on three machines would do each for itself. */
import {
  type AnyDefinedValue,
  type GroupHandle,
  type Host,
  startHost,
  type Storage,
} from "rafted-value";

export type Member<D extends AnyDefinedValue> = {
  readonly host: Host;
  readonly group: GroupHandle<D>;
};

export type ThreeHostsOptions = {
  readonly group: string;
  /** Where a host keeps its copy. Default: in memory. */
  readonly storageOf?: (id: string) => Storage;
};

/** The first creates the group, the others ask it to be taken in; where a directory holds a group already, that is used. */
export async function startThreeHosts<D extends AnyDefinedValue>(
  value: D,
  options: ThreeHostsOptions,
): Promise<Member<D>[]> {
  const hosts = await Promise.all(
    ["foo", "bar", "baz"].map((id) =>
      startHost({ id, listen: "127.0.0.1:0", storage: options.storageOf?.(id) }),
    ),
  );
  const first = hosts[0]!;
  return await Promise.all(
    hosts.map(async (host) => {
      const start = host === first ? "create" : { join: [first.address] };
      return { host, group: await host.group(options.group, value, { start }) };
    }),
  );
}

export function addressesOf(members: readonly { readonly host: Host }[]): string[] {
  return members.map(({ host }) => host.address);
}

export async function closeAll(members: readonly { readonly host: Host }[]): Promise<void> {
  await Promise.all(members.map(({ host }) => host.close()));
}

/** The host that leads goes away without a word, as in a crash; resolves with its id. */
export async function loseTheLeader<D extends AnyDefinedValue>(
  members: readonly Member<D>[],
): Promise<string> {
  const { leader } = await members[0]!.group.status();
  const lost = members.find(({ group }) => group.id === leader) ?? members[0]!;
  await lost.host.close();
  return lost.host.id;
}
