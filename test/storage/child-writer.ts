/**
 * A process that writes until it is killed. Its lines on stdout say what was acknowledged:
 * `open`, `locked <message>`, `ack <ticket> <last index>`.
 *
 *     node child-writer.js DIR MODE     MODE: "write" or "hold"
 */
import { writeSync } from "node:fs";
import { RaftError } from "../../src/errors.js";
import { Opened, entryOf, hardStateOf, identityOf, noise } from "./support.js";

const [dir, mode] = process.argv.slice(2);

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

/** What the parent expects of entry `index`: its term and text follow from the index alone. */
function entries(first: number, count: number): ReturnType<typeof entryOf>[] {
  return Array.from({ length: count }, (_, at) => {
    const index = first + at;
    return entryOf(index, Math.floor(index / 100) + 1, `entry ${index} ${"x".repeat(index % 90)}`);
  });
}

async function write(opened: Opened): Promise<never> {
  const { storage } = opened;
  const found = opened.group("queue");
  if (found === undefined) storage.createGroup(identityOf("queue"));
  let next = (found?.entries.at(-1)?.index ?? found?.snapshot?.index ?? 0) + 1;
  let snapshotAt = found?.snapshot?.index ?? 0;
  for (;;) {
    // Several batches at once, so that some gather while a sync is under way.
    let ticket = 0;
    for (let batch = 0; batch < 4; batch++) {
      const list = entries(next, 1 + ((next * 7) % 40));
      next += list.length;
      ticket = opened.store("queue", list, { hardState: hardStateOf(Math.floor(next / 100) + 1) });
    }
    await opened.stored("queue", ticket);
    say(`ack ${ticket} ${next - 1}`);
    opened.answers.length = 0;
    if (next - snapshotAt > 3000) {
      snapshotAt = next - 1;
      await opened.snapshot("queue", snapshotAt, 1, noise(150_000, snapshotAt));
      storage.compactLog("queue", snapshotAt - 50);
      say(`snapshot ${snapshotAt}`);
    }
  }
}

try {
  const opened = await Opened.open(dir!, { firstSegmentBytes: 65_536, segmentBytes: 262_144 });
  say("open");
  if (mode === "write") await write(opened);
  // Holds the directory until it is killed; the timer keeps the process alive.
  setInterval(() => undefined, 1000);
} catch (error) {
  if (!(error instanceof RaftError) || error.code !== "storageLocked") throw error;
  say(`locked ${error.message}`);
}
