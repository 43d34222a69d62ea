/**
 * The client of one group: what `connect()` gives and what a host's group handle is made of.
 *
 * Commands and linearizable queries find the leader by themselves and are sent again, within the call's
 * timeout, over lost connections, refusals and changes of leader: commands under the same session and
 * sequence, so that they are applied once. Every call is settled exactly once.
 */
import type { AdminVerbs } from "../codec/types.js";
import type { GroupConfig, GroupConfigChange } from "../core/types.js";
import { messageOf, RaftError } from "../errors.js";
import type { Clock, Codec, Logger, Random } from "../ports.js";
import { encodeCommandBody, encodeQueryBody } from "../value/body.js";
import { splitArgs } from "../value/define.js";
import type {
  AnyDefinedValue,
  CommandArgs,
  CommandName,
  CommandReply,
  QueryAnswer,
  QueryArgs,
  QueryName,
} from "../value/types.js";
import { type Call, callerOf, createCall, type Target } from "./call.js";
import { Dispatcher } from "./dispatcher.js";
import { abortedUnsent } from "./ledger.js";
import type { Dial } from "./link.js";
import { subscribe } from "./subscribe.js";
import {
  callOptionNames,
  checkCallOptions,
  checkConfigChange,
  checkId,
  defaultMaxOutstanding,
  defaultTimeoutMs,
  invalid,
  signalOf,
  timeoutOf,
} from "./options.js";
import type { CallOptions, CommandOptions, GroupClient, GroupEvent, GroupStatus } from "./types.js";

export type GroupClientOptions<D extends AnyDefinedValue> = {
  /** null: for administrative calls only. */
  readonly definition: D | null;
  readonly group: string;
  /** Only of that id; default: that of the first host that answers. */
  readonly groupId?: string | null;
  /** Addresses to begin with; the members' own list is learned from them. */
  readonly hosts: readonly string[];
  /** Refuses what is no address, under the name of its field. Default: every text may be one. */
  readonly checkAddress?: (address: string, field: string) => void;
  readonly dial: Dial;
  readonly clock: Clock;
  readonly random: Random;
  /** Of administrative verbs and events, and of the value unless its definition has its own. */
  readonly codec: Codec;
  readonly logger: Logger;
  /** The address to ask first, and for whatever any member can answer. */
  readonly home?: string | null;
  /** Milliseconds. Default 5000. */
  readonly defaultTimeoutMs?: number;
  /** Calls without an answer; one more is refused with `overloaded`. Default 65,536. */
  readonly maxOutstanding?: number;
  /** Their encoded arguments, in bytes. Default 64 MiB. */
  readonly maxOutstandingBytes?: number;
};

export type AdminOptions = CallOptions & {
  /** Ask the member at this address and no other. */
  readonly host?: string | undefined;
  /** Ask the leader, also for what any member could answer. */
  readonly leader?: boolean | undefined;
};

export interface AdminCalls {
  /**
   * Sends one administrative verb (see `AdminVerbs`) and gives back its decoded reply. `join`, `move`, `remove`,
   * `transfer` and `changeConfig` go to the leader, the others to `home` or any member;
   * `forceRemove` only ever to `options.host`, `home` or the one host that is known.
   */
  admin<V extends keyof AdminVerbs>(
    verb: V,
    body: AdminVerbs[V]["body"],
    options?: AdminOptions,
  ): Promise<AdminVerbs[V]["reply"]>;
  admin(verb: string, body: unknown, options?: AdminOptions): Promise<unknown>;
}

const leaderVerbs = ["join", "move", "remove", "transfer", "changeConfig"];
/** They mean one member and no other: nobody else may answer in its place. */
const ownVerbs = ["forceRemove", "barrier"];
/** An orderly close that takes longer is a connection that nobody reads. */
const closeMostMs = 1000;

/**
 * A client over any transport. `connect()` is this one over TCP; a host's group handle is this one over
 * a connection inside the process.
 */
export function createGroupClient<D extends AnyDefinedValue>(
  options: GroupClientOptions<D>,
): GroupClient<D> & AdminCalls {
  return new Client(options);
}

class Client<D extends AnyDefinedValue> implements GroupClient<D>, AdminCalls {
  readonly closed: Promise<void>;
  readonly #definition: D | null;
  readonly #valueCodec: Codec;
  readonly #adminCodec: Codec;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #hosts: readonly string[];
  readonly #home: string | null;
  readonly #options: GroupClientOptions<D>;
  /** Made by the first call: a host may have thousands of handles that nobody ever asks anything. */
  #made: Dispatcher | null = null;
  #ended = false;
  #onClosed: () => void = () => undefined;

  constructor(options: GroupClientOptions<D>) {
    const { definition, codec, clock } = options;
    this.#options = options;
    this.#definition = definition;
    this.#adminCodec = codec;
    this.#valueCodec = definition?.codec ?? codec;
    this.#clock = clock;
    this.#timeoutMs = options.defaultTimeoutMs ?? defaultTimeoutMs;
    this.#hosts = options.hosts;
    this.#home = options.home ?? null;
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
  }

  get #dispatcher(): Dispatcher {
    if (this.#made !== null) return this.#made;
    const { group, dial, random, logger, maxOutstanding, maxOutstandingBytes } = this.#options;
    const definition = this.#definition;
    this.#made = new Dispatcher({
      greeting: {
        from: random.id(),
        group,
        valueName: definition?.name ?? null,
        valueVersion: definition?.version ?? 0,
        compatibleVersions: definition?.compatibleVersions ?? [],
      },
      dial,
      hosts: this.#hosts,
      home: this.#home,
      groupId: this.#options.groupId ?? null,
      clock: this.#clock,
      random,
      logger,
      valueCodec: this.#valueCodec,
      adminCodec: this.#adminCodec,
      maxOutstanding: maxOutstanding ?? defaultMaxOutstanding,
      maxOutstandingBytes: maxOutstandingBytes ?? 64 * 1024 * 1024,
    });
    if (this.#ended) this.#made.close(() => undefined);
    return this.#made;
  }

  command<N extends CommandName<D>>(
    name: N,
    ...rest: [...args: CommandArgs<D, N>, options?: CommandOptions]
  ): Promise<CommandReply<D, N>> {
    // What is thrown in here rejects the promise.
    return new Promise<unknown>((resolve, reject) => {
      const definition = this.#defined();
      const { hasArg, arg, options } = splitArgs<CommandOptions>(definition, "command", name, rest);
      const signal = this.#admit("command", name, options);
      const id = options?.id ?? null;
      const body = encodeCommandBody(definition, this.#valueCodec, name, hasArg, arg, id);
      const call = this.#begin("command", name, "leader", body, options, resolve, reject);
      call.signal = signal;
      this.#dispatcher.submit(call);
    }) as Promise<CommandReply<D, N>>;
  }

  query<N extends QueryName<D>>(
    name: N,
    ...rest: [...args: QueryArgs<D, N>, options?: CallOptions]
  ): Promise<QueryAnswer<D, N>> {
    return this.#query(name, rest, false) as Promise<QueryAnswer<D, N>>;
  }

  queryStale<N extends QueryName<D>>(
    name: N,
    ...rest: [...args: QueryArgs<D, N>, options?: CallOptions]
  ): Promise<QueryAnswer<D, N>> {
    return this.#query(name, rest, true) as Promise<QueryAnswer<D, N>>;
  }

  status(options?: CallOptions): Promise<GroupStatus> {
    return this.admin("status", null, options) as Promise<GroupStatus>;
  }

  async changeConfig(change: GroupConfigChange, options?: CallOptions): Promise<GroupConfig> {
    checkConfigChange(change);
    return this.admin("changeConfig", change, options) as Promise<GroupConfig>;
  }

  async removeMember(id: string, options?: CallOptions): Promise<void> {
    await this.admin("remove", { id: checkId(id) }, options);
  }

  async transferLeadership(id: string | null, options?: CallOptions): Promise<void> {
    await this.admin("transfer", { id: id === null ? null : checkId(id) }, options);
  }

  snapshot(options?: CallOptions): Promise<AdminVerbs["snapshot"]["reply"]> {
    return this.admin("snapshot", null, options);
  }

  events(options?: {
    readonly signal?: AbortSignal | undefined;
  }): AsyncIterableIterator<GroupEvent> {
    return subscribe(this.#dispatcher, this.#home, this.#adminCodec, this.#clock, options);
  }

  admin<V extends keyof AdminVerbs>(
    verb: V,
    body: AdminVerbs[V]["body"],
    options?: AdminOptions,
  ): Promise<AdminVerbs[V]["reply"]>;
  admin(verb: string, body: unknown, options?: AdminOptions): Promise<unknown>;
  admin(verb: string, body: unknown, options?: AdminOptions): Promise<unknown> {
    return new Promise<unknown>((resolve, reject) => {
      const signal = this.#admit(verb, "", options);
      const target = this.#targetOf(verb, options);
      const bytes = encodeVerb(this.#adminCodec, verb, body);
      const call = this.#begin("admin", idIn(body), target, bytes, options, resolve, reject);
      call.verb = verb;
      call.signal = signal;
      this.#dispatcher.submit(call);
    });
  }

  close(): Promise<void> {
    if (this.#ended) return this.closed;
    this.#ended = true;
    const dispatcher = this.#made;
    if (dispatcher === null) {
      this.#onClosed();
      return this.closed;
    }
    const timer = this.#clock.after(closeMostMs, () => dispatcher.connections.destroyRest());
    dispatcher.close(() => {
      timer.cancel();
      this.#onClosed();
    });
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #query(name: string, rest: readonly unknown[], stale: boolean): Promise<unknown> {
    return new Promise<unknown>((resolve, reject) => {
      const definition = this.#defined();
      const { hasArg, arg, options } = splitArgs<CallOptions>(definition, "query", name, rest);
      const signal = this.#admit("query", name, options);
      const body = encodeQueryBody(definition, this.#valueCodec, name, hasArg, arg);
      const target = stale ? "near" : "leader";
      const call = this.#begin("query", name, target, body, options, resolve, reject);
      call.stale = stale;
      call.signal = signal;
      this.#dispatcher.submit(call);
    });
  }

  #defined(): D {
    if (this.#definition !== null) return this.#definition;
    throw invalid("definition", "is missing: this client is for administration only");
  }

  /** Refuses before anything is encoded; gives back the call's signal. */
  #admit(kind: string, name: string, options: CallOptions | undefined): AbortSignal | null {
    if (options !== undefined) {
      const names = kind === "command" || kind === "query" ? callOptionNames[kind] : null;
      checkCallOptions(options, names ?? callOptionNames.admin);
    }
    const signal = signalOf(options);
    if (!this.#ended && signal?.aborted !== true) return signal;
    const what = name === "" ? kind : `${kind} "${name}"`;
    if (!this.#ended) throw abortedUnsent(what, signal!);
    const caller = callerOf(this.#home, this.#options.group);
    throw new RaftError("closed", `${what}: ${caller} is closed`);
  }

  #begin(
    type: Call["type"],
    name: string,
    target: Target,
    body: Uint8Array,
    options: CallOptions | undefined,
    resolve: (reply: unknown) => void,
    reject: (error: Error) => void,
  ): Call {
    const nowMs = this.#clock.nowMs();
    const deadlineMs = nowMs + timeoutOf(options, this.#timeoutMs);
    const request = this.#dispatcher.nextRequest();
    return createCall(type, request, name, target, body, nowMs, deadlineMs, resolve, reject);
  }

  #targetOf(verb: string, options: AdminOptions | undefined): Target {
    const host: unknown = options?.host;
    if (host !== undefined) {
      if (typeof host !== "string" || host === "") {
        throw invalid("host", "must be the address of a member");
      }
      this.#options.checkAddress?.(host, "host");
      return { address: host };
    }
    if (options?.leader === true || leaderVerbs.includes(verb)) return "leader";
    if (!ownVerbs.includes(verb)) return "near";
    const address = this.#home ?? (this.#hosts.length === 1 ? this.#hosts[0]! : null);
    if (address !== null) return { address };
    throw invalid("host", `is missing: ${verb} means one member; say which, by its address`);
  }
}

function encodeVerb(codec: Codec, verb: string, body: unknown): Uint8Array {
  try {
    return codec.encode(body);
  } catch (cause) {
    const why = messageOf(cause);
    throw new RaftError("encodeFailed", `the argument of ${verb} has no encoding: ${why}`, {
      cause,
    });
  }
}

/** The member that a verb is about: whether a verb may be repeated depends on how it is named. */
function idIn(body: unknown): string {
  if (typeof body !== "object" || body === null || !("id" in body)) return "";
  return typeof body.id === "string" ? body.id : "";
}
