/**
 * Deliberate bugs: each is one that an implementation of Raft has had, or could have had here. They
 * show whether the tests, taken together, would have seen it (`npm run mutants`).
 */
import { clients } from "./catalogue/clients.js";
import { codec } from "./catalogue/codec.js";
import { connections } from "./catalogue/connections.js";
import { directories } from "./catalogue/directories.js";
import { disks } from "./catalogue/disks.js";
import { ends } from "./catalogue/ends.js";
import { files } from "./catalogue/files.js";
import { handOvers } from "./catalogue/hand-overs.js";
import { hosts } from "./catalogue/hosts.js";
import { links } from "./catalogue/links.js";
import { idle } from "./catalogue/idle.js";
import { elections } from "./catalogue/elections.js";
import { learners } from "./catalogue/learners.js";
import { memberships } from "./catalogue/membership.js";
import { recovery } from "./catalogue/recovery.js";
import { reads } from "./catalogue/reads.js";
import { replication } from "./catalogue/replication.js";
import { sessionBooks } from "./catalogue/sessions.js";
import { snapshots } from "./catalogue/snapshots.js";
import { storage } from "./catalogue/storage.js";
import { transport } from "./catalogue/transport.js";
import type { Mutant } from "./types.js";

export const catalogue: readonly Mutant[] = [
  ...elections,
  ...replication,
  ...reads,
  ...snapshots,
  ...memberships,
  ...learners,
  ...storage,
  ...recovery,
  ...directories,
  ...files,
  ...disks,
  ...clients,
  ...sessionBooks,
  ...connections,
  ...hosts,
  ...links,
  ...idle,
  ...transport,
  ...ends,
  ...codec,
  ...handOvers,
];
