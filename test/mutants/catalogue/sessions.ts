/** What the group remembers of its clients, and hashes of what they were told. */
import { type Mutant, unit } from "../types.js";

const books = unit("test/value/session-books.test");

export const sessionBooks: readonly Mutant[] = [
  {
    id: "failed-command-tried-again",
    hazards: [85],
    bug: "a command that failed is run again when it is retried, and may succeed",
    file: "src/value/applier.ts",
    find: "keepReply(sessions, session, sequence, outcome);",
    replace: `if (outcome.applied === "maybe") keepReply(sessions, session, sequence, outcome);`,
    catchers: [books],
  },
  {
    id: "failed-id-tried-again",
    hazards: [85],
    bug: "a command that failed under a caller's own id runs again under the same id",
    file: "src/value/applier.ts",
    find: "if (id !== null) keepCommandId(applier.sessions, id, outcome);",
    replace: `if (id !== null && outcome.status === "ok") keepCommandId(applier.sessions, id, outcome);`,
    catchers: [books],
  },
  {
    id: "evicted-session-leaves-its-replies",
    hazards: [58],
    bug: "the replies of an evicted session stay, and the next snapshot cannot be read",
    file: "src/value/sessions.ts",
    find: "while (session.oldestOwn !== null) removeReply(sessions, session.oldestOwn);",
    replace: "",
    catchers: [books],
  },
  {
    id: "leap-stops-at-a-later-reply",
    hazards: [],
    bug: "replies that a later one overtook are kept although their client has them",
    file: "src/value/sessions.ts",
    find: "if (reply.sequence < floor) removeReply(sessions, reply);",
    replace: "if (reply.sequence >= floor) break;\n      removeReply(sessions, reply);",
    catchers: [books],
  },
  {
    id: "hashes-of-the-wrong-entries",
    hazards: [92],
    bug: "members that agree are taken for such that do not, once old hashes are let go",
    file: "src/value/reply-hashes.ts",
    find: "hashes.from += recentCount;",
    replace: "hashes.from += recentCount - 1;",
    catchers: [books],
  },
  {
    id: "every-fourth-byte-not-hashed",
    hazards: [92],
    bug: "replies that differ in a fourth byte are taken for the same",
    file: "src/value/reply-hashes.ts",
    find: "(bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)",
    replace: "(bytes[i + 2]! << 16)",
    catchers: [books],
  },
];
