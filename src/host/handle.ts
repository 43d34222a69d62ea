/** What `host.group()` returns: a client of the group whose first address is the member next door. */
import { createGroupClient } from "../client/client.js";
import type { GroupClient } from "../client/types.js";
import type { AnyDefinedValue } from "../value/types.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";

/** A member's group: commands and queries on the value, and the member's own end. */
export interface GroupHandle<D extends AnyDefinedValue> extends GroupClient<D> {
  /** Member id, `hostId#incarnation`. */
  readonly id: string;
}

/**
 * `stop` ends the member on this host. Closing the handle stops the member; a member that ends
 * otherwise (removed, broken, its host closed) closes the handle.
 */
export function createHandle<D extends AnyDefinedValue>(
  context: HostContext,
  group: HostedGroup,
  definition: D,
  stop: () => Promise<void>,
): { readonly handle: GroupHandle<D>; readonly end: () => Promise<void> } {
  const client = createGroupClient<D>({
    definition,
    group: group.name,
    hosts: [],
    home: context.address,
    dial: context.dial,
    clock: context.clock,
    random: context.random,
    codec: context.codec,
    logger: context.logger,
  });
  const close = async (): Promise<void> => {
    await stop();
    await client.close();
  };
  const handle: GroupHandle<D> = {
    id: group.member.id,
    command: client.command.bind(client) as GroupHandle<D>["command"],
    query: client.query.bind(client) as GroupHandle<D>["query"],
    queryStale: client.queryStale.bind(client) as GroupHandle<D>["queryStale"],
    status: (options) => client.status(options),
    events: (options) => client.events(options),
    changeConfig: (change, options) => client.changeConfig(change, options),
    removeMember: (id, options) => client.removeMember(id, options),
    transferLeadership: (id, options) => client.transferLeadership(id, options),
    snapshot: (options) => client.snapshot(options),
    close,
    [Symbol.asyncDispose]: close,
    closed: client.closed,
  };
  return { handle, end: () => client.close() };
}
