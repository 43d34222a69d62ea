/** Learners: how they come, catch up, are promoted and go. */
import { type Mutant, scenario } from "../types.js";

export const learners: readonly Mutant[] = [
  {
    id: "address-of-a-removed-learner-stays",
    hazards: [],
    bug: "a learner that was removed cannot be added again: it is said to be there",
    file: "src/core/membership.ts",
    find: "members: membership.members.filter((member) => member.id !== id),",
    replace: "members: membership.members,",
    catchers: [scenario("learner-that-came-and-went")],
  },
  {
    id: "dead-learner-beside-its-next-life",
    hazards: [],
    bug: "a learner whose host came back under another id is sent everything for ever",
    file: "src/core/membership.ts",
    find: "membership.learners.filter((other) => !gone(other.id)).concat(learner)",
    replace: "membership.learners.concat(learner)",
    catchers: [scenario("learner-that-came-and-went")],
  },
  {
    id: "slow-round-is-good-enough",
    hazards: [69],
    bug: "a learner is promoted however long it took for what there was",
    file: "src/core/membership.ts",
    find: "tookMs < core.config.electionTimeoutMs",
    replace: "tookMs >= 0",
    catchers: [scenario("slow-learner-waits-for-another-round")],
  },
  {
    id: "slow-round-is-never-over",
    hazards: [],
    bug: "a learner that was too slow once is not promoted any more",
    file: "src/core/membership.ts",
    find: "  peer.catchUpTarget = lastIndex(core.log);\n  peer.catchUpSinceMs = core.nowMs;\n",
    replace: "  peer.catchUpTarget = lastIndex(core.log);\n",
    catchers: [scenario("slow-learner-waits-for-another-round")],
  },
  {
    id: "learners-promoted-together",
    hazards: [63],
    bug: "two learners that have caught up are promoted by two changes at once",
    file: "src/core/membership.ts",
    find: "changeMembership(core, role, joint, out);\n    return;",
    replace: "changeMembership(core, role, joint, out);",
    catchers: [scenario("learners-are-promoted-one-by-one")],
  },
  {
    id: "restarted-learner-never-leaves",
    hazards: [52],
    bug: "a learner that came back with a snapshot takes its removal for a time before it was added",
    file: "src/core/memberships.ts",
    find: "if (base !== null && isMember(base.membership, core.self.id)) core.wasMember = true;",
    replace: "",
    catchers: [scenario("learner-removed-after-a-restart")],
  },
];
