/** A client process: connects by the public API and runs a closed loop of one kind of call. */
import { connect } from "../package.js";
import { serveLoads } from "../load-process.js";
import { bigMap, counter, payload } from "./values.js";

export type CallKind = "command" | "query" | "stale" | "payload" | "map";
const mapKeys = 10;

export type OursTarget = {
  readonly hosts: readonly string[];
  readonly kind: CallKind;
  readonly bodyBytes: number;
};

function makeCall(target: OursTarget): () => Promise<unknown> {
  const options = { group: "bench", hosts: target.hosts };
  switch (target.kind) {
    case "payload": {
      const client = connect(payload, options);
      const bytes = new Uint8Array(target.bodyBytes);
      return () => client.command("put", bytes);
    }
    case "map": {
      const client = connect(bigMap, options);
      let next = 0;
      return () => client.command("set", { key: `key-${next++ % mapKeys}`, value: next });
    }
    case "command": {
      const client = connect(counter, options);
      return () => client.command("inc", 1);
    }
    case "query": {
      const client = connect(counter, options);
      return () => client.query("get");
    }
    case "stale": {
      const client = connect(counter, options);
      return () => client.queryStale("get");
    }
  }
}

serveLoads(async (target: OursTarget) => {
  const call = makeCall(target);
  // Finds the leader and, if it needs one, registers its session.
  await call();
  return () => call;
});
