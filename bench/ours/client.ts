/** A client process: connects by the public API and runs a closed loop of one kind of call. */
import { connect } from "../package.js";
import { serveLoads, type LoadRequest } from "../load-process.js";
import { runClosedLoop } from "../load.js";
import { bigMap, counter, payload } from "./values.js";

export type CallKind = "command" | "query" | "stale" | "payload" | "map";
const mapKeys = 10;

export type OursTarget = {
  readonly hosts: readonly string[];
  readonly kind: CallKind;
  readonly bodyBytes: number;
};

function makeCall(target: OursTarget): {
  call: () => Promise<unknown>;
  close: () => Promise<void>;
} {
  const options = { group: "bench", hosts: target.hosts };
  switch (target.kind) {
    case "payload": {
      const client = connect(payload, options);
      const bytes = new Uint8Array(target.bodyBytes);
      return { call: () => client.command("put", bytes), close: () => client.close() };
    }
    case "map": {
      const client = connect(bigMap, options);
      let next = 0;
      const call = () => client.command("set", { key: `key-${next++ % mapKeys}`, value: next });
      return { call, close: () => client.close() };
    }
    case "command": {
      const client = connect(counter, options);
      return { call: () => client.command("inc", 1), close: () => client.close() };
    }
    case "query": {
      const client = connect(counter, options);
      return { call: () => client.query("get"), close: () => client.close() };
    }
    case "stale": {
      const client = connect(counter, options);
      return { call: () => client.queryStale("get"), close: () => client.close() };
    }
  }
}

serveLoads(async ({ target, load }: LoadRequest<OursTarget>) => {
  const { call, close } = makeCall(target);
  // Finds the leader and, if it needs one, registers its session.
  await call();
  const result = await runClosedLoop(call, load);
  await close();
  return result;
});
