/** A client process: connects by the public API and runs a closed loop of one kind of call. */
import { connect } from "../../src/index.js";
import { runClosedLoop, type LoadOptions } from "../load.js";
import { bigMap, counter, payload } from "./values.js";

export type CallKind = "command" | "query" | "stale" | "payload" | "map";
type Start = {
  readonly type: "start";
  readonly hosts: readonly string[];
  readonly kind: CallKind;
  readonly bodyBytes: number;
  readonly load: LoadOptions;
};

function fail(error: unknown): void {
  process.send?.({ type: "error", error: String(error) });
}

function makeCall(start: Start): { call: () => Promise<unknown>; close: () => Promise<void> } {
  const options = { group: "bench", hosts: start.hosts };
  switch (start.kind) {
    case "payload": {
      const client = connect(payload, options);
      const bytes = new Uint8Array(start.bodyBytes);
      return { call: () => client.command("put", bytes), close: () => client.close() };
    }
    case "map": {
      const client = connect(bigMap, options);
      let next = 0;
      const call = () => client.command("set", { key: `key-${next++ % 1000}`, value: next });
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

async function run(start: Start): Promise<void> {
  const { call, close } = makeCall(start);
  await call();
  const result = await runClosedLoop((done) => void call().then(done, fail), start.load);
  await close();
  process.send?.({ type: "result", result });
}

process.on("message", (message: Start) => {
  if (message.type === "start") run(message).catch(fail);
});
process.on("disconnect", () => process.exit(0));
process.send?.({ type: "ready", address: "" });
