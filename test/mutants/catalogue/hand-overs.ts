/** Leaders that go or rest, and what is made of their entries. */
import { type Mutant, unit } from "../types.js";

const handOver = unit("test/host/hand-over.test");
const resting = unit("test/host/resting.test");
const entries = unit("test/codec/entries.test");
const frame = unit("test/codec/frame.test");

export const handOvers: readonly Mutant[] = [
  {
    id: "successor-by-place",
    hazards: [],
    bug: "a leader that goes hands over to the last of those that answer, however far behind it is",
    file: "src/host/hand-over.ts",
    find: "if (match <= bestMatch) continue;",
    replace: "",
    catchers: [handOver],
  },
  {
    id: "successor-that-has-no-vote",
    hazards: [],
    bug: "a leader that goes asks a learner to follow it",
    file: "src/host/hand-over.ts",
    find: ' || member.state !== "voter") continue;',
    replace: ") continue;",
    catchers: [handOver],
  },
  {
    id: "handed-over-twice",
    hazards: [],
    bug: "a group that is closed while its host closes asks a second time, which takes the first request back",
    file: "src/host/hand-over.ts",
    find: "(group.handingOver ??= handOverOne(context, group))",
    replace: "handOverOne(context, group)",
    catchers: [handOver],
  },
  {
    id: "hand-over-without-a-pause",
    hazards: [],
    bug: "a leader that goes while a member joins asks again and again without a pause",
    file: "src/host/hand-over.ts",
    find: 'if (outcome === "pending") await pause();',
    replace: "",
    catchers: [handOver],
  },
  {
    id: "peer-without-a-channel-passed-over",
    hazards: [],
    bug: "a leader rests although one of its peers hears nothing of it",
    file: "src/host/resting.ts",
    find: "if (channel === null) return false;",
    replace: "if (channel === null) continue;",
    catchers: [resting],
  },
  {
    id: "repeats-before-it-looks",
    hazards: [],
    bug: "a leader that is not at rest any more says once more what it said before",
    file: "src/host/resting.ts",
    find: "restAgain(sleeper.rest, nowMs) && repeatAll(sleeper.channels, nowMs)",
    replace: "repeatAll(sleeper.channels, nowMs) && restAgain(sleeper.rest, nowMs)",
    catchers: [resting],
  },
  {
    id: "runs-without-bound",
    hazards: [95],
    bug: "in a turn with many peers that lag behind the bytes of every run are kept",
    file: "src/codec/entries.ts",
    find: "if (this.#runs.length >= 4) this",
    replace: "if (false) this",
    catchers: [entries],
  },
  {
    id: "damage-taken-for-a-farewell",
    hazards: [],
    bug: "a damaged length ends a connection in order, as if its other side had said goodbye",
    file: "src/codec/frame.ts",
    find: "length === farewellMark && sum === farewellMark",
    replace: "length === farewellMark",
    catchers: [frame],
  },
  {
    id: "no-time-in-columns",
    hazards: [],
    bug: "an entry whose time is no number is refused by itself and taken in columns",
    file: "src/codec/entries.ts",
    find: "Number.isFinite(view.getFloat64(offset + 21, true)) && entryEnd <= end",
    replace: "entryEnd <= end",
    catchers: [entries],
  },
];
