/** `startHost` without defaults for the ports: those are composed in index.ts. */
import { RaftError } from "../errors.js";
import { Host } from "./host.js";
import { checkLimits, type HostLimits } from "./limits.js";
import {
  checkAddress,
  checkFreeze,
  checkHostId,
  checkHostOptions,
  checkPort,
  type HostOptions,
  type HostPorts,
} from "./options.js";

/** Ports that take the place of those that the options leave out. */
export type DefaultPorts = Pick<HostPorts, "clock" | "random" | "codec" | "logger" | "freeze"> & {
  readonly makeStorage: () => HostPorts["storage"];
  readonly makeTransport: (limits: HostLimits) => HostPorts["transport"];
};

/** Checks every field by name, then opens the storage and the port. */
export async function startHostWith(options: HostOptions, defaults: DefaultPorts): Promise<Host> {
  checkHostOptions(options);
  const { id, listen } = options;
  checkHostId(id);
  checkAddress("listen", listen);
  if (options.advertise !== undefined) checkAddress("advertise", options.advertise);
  checkWildcard(options);
  const limits = checkLimits(options.limits);
  const { storage, transport, clock, random, logger } = options;
  if (storage !== undefined) checkPort("storage", storage, ["open", "append", "flush", "close"]);
  if (transport !== undefined) checkPort("transport", transport, ["listen", "dial"]);
  if (clock !== undefined) checkPort("clock", clock, ["nowMs", "wallMs", "after", "soon"]);
  if (clock?.poll !== undefined) checkPort("clock", clock, ["poll"]);
  if (random !== undefined) checkPort("random", random, ["next", "id"]);
  if (logger !== undefined) checkPort("logger", logger, ["debug", "info", "warn", "error"]);
  checkFreeze(options.freeze);
  return await Host.start({
    id,
    listen,
    advertise: options.advertise ?? null,
    storage: storage ?? defaults.makeStorage(),
    transport: transport ?? defaults.makeTransport(limits),
    clock: clock ?? defaults.clock,
    random: random ?? defaults.random,
    logger: logger ?? defaults.logger,
    codec: defaults.codec,
    limits,
    freeze: options.freeze ?? defaults.freeze,
  });
}

/** Nothing, `*` or all zeros before the port, in whatever spelling. */
const wildcard = /^(\*|\[?(::ffff:)?[0:.]*\]?)?:\d+$/i;

/** Nobody can dial "every address of this machine". */
function checkWildcard({ listen, advertise }: HostOptions): void {
  if (advertise !== undefined || !wildcard.test(listen)) return;
  throw new RaftError(
    "invalidArgument",
    `advertise: listen ${JSON.stringify(listen)} names every address of this machine; say in ` +
      `advertise where the other hosts reach it, such as "10.0.0.7:7101"`,
  );
}
