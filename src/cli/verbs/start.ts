/** `start`: one host with one member, until it is told to stop. */
import type { GroupConfig } from "../../core/types.js";
import { RaftError } from "../../errors.js";
import { type DamagePolicy, type GroupHandle, type Host, startHost } from "../../index.js";
import { fileStorage } from "../../storage/file/index.js";
import type { TlsOptions } from "../../transport/tls-options.js";
import type { AnyDefinedValue } from "../../value/types.js";
import { loadValue } from "../load-value.js";
import type { AnyGroup } from "../open-group.js";
import { createStderrLog, print, toJson } from "../output.js";
import { runPrompt } from "../prompt.js";
import { listenForShutdown, type Shutdown } from "../shutdown.js";
import { tlsOf, tlsOptions } from "../tls.js";
import {
  addressList,
  checkAddress,
  jsonText,
  optionalText,
  requiredText,
  UsageError,
  type Verb,
  type VerbInput,
  wholeNumber,
} from "../usage.js";

export const startVerb: Verb = {
  name: "start",
  summary: "Run a member of a group until SIGTERM or Ctrl-C.",
  positionals: "",
  maxPositionals: 0,
  options: {
    id: { value: "ID", help: "this host's name, unique in the group" },
    listen: { value: "ADDR", help: "HOST:PORT to listen at; port 0 takes a free one" },
    group: { value: "NAME", help: "the group's name" },
    value: { value: "FILE", help: "queue, counter, kv, or a module that exports a value" },
    join: { value: "ADDR,...", help: "join the group of these members; else create a new group" },
    advertise: { value: "ADDR", help: "where the others reach this host, if not at --listen" },
    data: { value: "DIR", help: "keep everything in this directory; else in memory only" },
    "on-damage": { value: "POLICY", help: "of a damaged --data: refuse (default) or rejoin" },
    "heartbeat-ms": { value: "N", help: "for a new group: how often the leader beats (200)" },
    "election-timeout-ms": { value: "N", help: "for a new group: patience without leader (1000)" },
    config: { value: "JSON", help: "for a new group: any of its settings, instead of the two" },
    ...tlsOptions,
    repl: { value: null, help: "open a prompt once the member serves" },
    history: { value: "FILE", help: "with --repl: keep the typed lines in this file" },
  },
  notes: [
    "Prints `ready id=ID listen=ADDR` once it serves. A joiner takes the group's configuration.",
    "With a --data directory that holds a member already, that member goes on where it was.",
    "With --on-damage rejoin, one that is damaged is kept as DIR.set-aside-1, and this host joins anew.",
    "Started with an IPC channel, it also stops when that closes.",
    "With TLS, members show each other certificates; the one of --tls-cert is shown to both sides.",
    "rafted-value start --id foo --listen 127.0.0.1:7101 --group queue --value queue",
    "rafted-value start --id bar --listen 127.0.0.1:7102 --group queue --value queue --join 127.0.0.1:7101",
  ],
  async run(input) {
    const plan = planOf(input);
    const definition = await loadValue(plan.value);
    const shutdown = listenForShutdown();
    try {
      return await serve(plan, definition, shutdown);
    } catch (error) {
      throw withRemedy(error, plan);
    } finally {
      shutdown.dispose();
    }
  },
};

/** Damage is explained by a verb, which only this program can name. */
function withRemedy(error: unknown, { data }: Plan): unknown {
  if (data === null || !(error instanceof RaftError) || error.code !== "storageCorrupt")
    return error;
  const message = `${error.message}; see: rafted-value doctor ${data}`;
  return new RaftError(error.code, message, { applied: error.applied, cause: error });
}

type Plan = {
  readonly id: string;
  readonly listen: string;
  readonly advertise: string | null;
  readonly group: string;
  readonly value: string;
  readonly join: readonly string[] | null;
  readonly data: string | null;
  readonly tls: TlsOptions | null;
  readonly onDamage: DamagePolicy;
  readonly config: Partial<GroupConfig>;
  readonly timeoutMs: number | null;
  readonly prompt: boolean;
  readonly historyFile: string | null;
  readonly json: boolean;
};

function planOf(input: VerbInput): Plan {
  const join = optionalText(input, "join");
  const advertise = optionalText(input, "advertise");
  return {
    id: requiredText(startVerb, input, "id"),
    listen: checkAddress("--listen", requiredText(startVerb, input, "listen"), 0),
    advertise: advertise === null ? null : checkAddress("--advertise", advertise, 1),
    group: requiredText(startVerb, input, "group"),
    value: requiredText(startVerb, input, "value"),
    join: join === null ? null : addressList("--join", join),
    data: optionalText(input, "data"),
    tls: tlsOf(input),
    onDamage: onDamageOf(input),
    config: configOf(input),
    timeoutMs: input.timeoutMs,
    prompt: input.options["repl"] === true,
    historyFile: optionalText(input, "history"),
    json: input.json,
  };
}

function onDamageOf(input: VerbInput): DamagePolicy {
  const policy = optionalText(input, "on-damage") ?? "refuse";
  if (policy !== "refuse" && policy !== "rejoin") {
    throw new UsageError(`--on-damage must be refuse or rejoin, not ${JSON.stringify(policy)}`);
  }
  if (policy === "rejoin" && optionalText(input, "join") === null) {
    throw new UsageError("--on-damage rejoin needs --join ADDR,...: a host rejoins through others");
  }
  return policy;
}

/** What the values mean is checked by the library, which names the field. */
function configOf(input: VerbInput): Partial<GroupConfig> {
  const heartbeat = optionalText(input, "heartbeat-ms");
  const electionTimeout = optionalText(input, "election-timeout-ms");
  const config = optionalText(input, "config");
  if (config !== null) {
    if (heartbeat !== null || electionTimeout !== null) {
      throw new UsageError("--config and the single options exclude each other; use one of them");
    }
    const decoded = jsonText("--config", config);
    if (typeof decoded === "object" && decoded !== null && !Array.isArray(decoded)) return decoded;
    throw new UsageError(`--config must be a JSON object such as '{"heartbeatMs":200}'`);
  }
  return {
    ...(heartbeat === null ? {} : { heartbeatMs: wholeNumber("--heartbeat-ms", heartbeat, 1) }),
    ...(electionTimeout === null
      ? {}
      : { electionTimeoutMs: wholeNumber("--election-timeout-ms", electionTimeout, 1) }),
  };
}

async function serve(plan: Plan, definition: AnyDefinedValue, shutdown: Shutdown): Promise<number> {
  const log = createStderrLog();
  const host = await startHost({
    id: plan.id,
    listen: plan.listen,
    logger: log.logger,
    ...(plan.advertise === null ? {} : { advertise: plan.advertise }),
    ...(plan.data === null ? {} : { storage: fileStorage(plan.data) }),
    ...(plan.tls === null ? {} : { tls: plan.tls }),
  });
  try {
    const group = await enter(host, plan, definition, shutdown);
    if (group === null) return 0;
    const ready = { ready: true, id: plan.id, listen: host.address };
    print(plan.json ? toJson(ready) : `ready id=${plan.id} listen=${host.address}`);
    const outcome = await stay(group, plan, definition, shutdown);
    if (outcome === "ended") throw endOf(group, plan, log.errors());
    return outcome === "failed" ? 1 : 0;
  } finally {
    await host.close();
  }
}

/** Null: we were told to stop before the member served; a join under way ends with the host. */
async function enter(
  host: Host,
  plan: Plan,
  definition: AnyDefinedValue,
  shutdown: Shutdown,
): Promise<GroupHandle<AnyDefinedValue> | null> {
  const entering = host.group(plan.group, definition, {
    start: plan.join === null ? "create" : { join: plan.join },
    config: plan.config,
    onDamage: plan.onDamage,
    ...(plan.timeoutMs === null ? {} : { timeoutMs: plan.timeoutMs }),
  });
  entering.catch(() => undefined);
  return Promise.race([entering, shutdown.requested.then(() => null)]);
}

/** "ended": the member did, by itself. "failed": a line of a session that was piped in did. */
async function stay(
  group: GroupHandle<AnyDefinedValue>,
  plan: Plan,
  definition: AnyDefinedValue,
  shutdown: Shutdown,
): Promise<"ended" | "failed" | "done"> {
  const ended = group.closed.then(() => "ended" as const);
  const asked = shutdown.requested.then(() => "done" as const);
  if (!plan.prompt) return Promise.race([asked, ended]);
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  const over = new AbortController();
  const talk = runPrompt({
    group: group as unknown as AnyGroup,
    definition,
    input: process.stdin,
    output: process.stdout,
    terminal,
    prompt: `${plan.id}> `,
    historyFile: plan.historyFile,
    signal: over.signal,
  }).then((good) => (good || terminal ? ("done" as const) : ("failed" as const)));
  try {
    return await Promise.race([asked, ended, talk]);
  } finally {
    over.abort();
  }
}

/** A member that broke has said so; one that was taken out has nothing to complain about. */
function endOf(group: GroupHandle<AnyDefinedValue>, plan: Plan, errors: number): RaftError {
  const member = `member ${group.id} of group ${JSON.stringify(plan.group)}`;
  if (errors > 0) return new RaftError("closed", `${member} has ended, for the reason above`);
  return new RaftError(
    "removed",
    `${member} was taken out of it; start it anew with --join to return`,
  );
}
