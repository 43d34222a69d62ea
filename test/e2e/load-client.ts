/**
 * A program that keeps many increments under way: `node load-client.js HOSTS GROUP OUTSTANDING`.
 *
 * Started with an IPC channel. Tells how many were acknowledged, now and then; at the message `stop` it
 * begins no more, waits until every call has settled and tells what became of them.
 */
import { counter } from "../../src/cli/values.js";
import { connect, RaftError } from "../../src/index.js";

export type Progress = { readonly type: "progress"; readonly acknowledged: number };
export type Report = {
  readonly type: "report";
  readonly issued: number;
  readonly acknowledged: number;
  /** Rejected with applied "no": certainly without effect. */
  readonly refused: number;
  /** Rejected with applied "maybe". */
  readonly unknown: number;
  /** Replies (the sum after) that came more than once, or were not over the one before. */
  readonly repeated: number;
  readonly codes: readonly string[];
};

const tellEveryMs = 20;
/** Longer than any outage of these tests: what the group can still do, it has to do. */
const timeoutMs = 30_000;

async function main(hosts: readonly string[], group: string, outstanding: number): Promise<void> {
  const client = connect(counter, { group, hosts });
  const totals = { issued: 0, acknowledged: 0, refused: 0, unknown: 0, repeated: 0 };
  const replies = new Set<number>();
  const codes = new Set<string>();
  let going = true;
  const one = async (): Promise<void> => {
    totals.issued += 1;
    try {
      const sum = await client.command("inc", 1, { timeoutMs });
      totals.acknowledged += 1;
      if (replies.has(sum)) totals.repeated += 1;
      replies.add(sum);
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      codes.add(error.code);
      if (error.applied === "no") totals.refused += 1;
      else totals.unknown += 1;
    }
  };
  const lane = async (): Promise<void> => {
    while (going) await one();
  };
  process.on("message", (message) => {
    if (message === "stop") going = false;
  });
  const tell = (message: Progress | Report): void => void process.send!(message);
  const ticker = setInterval(
    () => tell({ type: "progress", acknowledged: totals.acknowledged }),
    tellEveryMs,
  );
  await Promise.all(Array.from({ length: outstanding }, lane));
  clearInterval(ticker);
  await client.close();
  tell({ type: "report", ...totals, codes: [...codes] });
  process.disconnect();
}

const [hosts, group, outstanding] = process.argv.slice(2);
// Whoever started us is gone: nobody wants the report.
process.on("disconnect", () => process.exit());
await main(hosts!.split(","), group!, Number(outstanding));
