/**
 * The ceiling: what three Node processes can do without consensus. The leader sends each turn's
 * commands to two followers as one batch, waits for one of them (and for its own disk), and answers.
 * No terms, no log, no elections, no checksums, no sessions, no value: anyone may make it faster.
 *
 * Started with `--followers ADDR,ADDR` it leads; without, it follows. `--data DIR`: with a disk.
 * Tells its port.
 */
import { createServer } from "node:net";
import { join } from "node:path";
import { follow } from "./follow.js";
import { GroupCommit, noDisk } from "./group-commit.js";
import { lead } from "./lead.js";
import { Turn } from "./turn.js";

const args = process.argv.slice(2);
const option = (name: string): string | null => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? null : args[at + 1]!;
};

const dir = option("data");
const disk = dir === null ? noDisk : new GroupCommit(join(dir, `ceiling-${process.pid}.log`));
const followers = option("followers")?.split(",") ?? null;
const turn = new Turn();
const accept = followers === null ? follow(disk, turn) : lead(followers, disk, turn);
turn.atEnd(() => disk.flush());
const server = createServer({ noDelay: true }, accept);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  process.send?.({ type: "ready", address: `127.0.0.1:${port}` });
});
process.on("disconnect", () => process.exit(0));
