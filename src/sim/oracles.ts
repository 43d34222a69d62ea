/**
 * What must hold after every event, whatever happens: ghost state beside the cluster, which no crash
 * takes away. Each check looks only at what changed, so that it costs little.
 *
 * The numbers are those of Figure 3 and of the hazards' list of invariants.
 */
import { entryAt, lastIndex, termAt } from "../core/log.js";
import { type Core, emptyMembership } from "../core/state.js";
import type { Entry, LogIndex, MemberId, Membership, Term } from "../core/types.js";
import type { AppliedInfo } from "../value/types.js";
import { TraceHash } from "./hash.js";

/** Of a value of ours it would be a bug of the library; of a user's it is mostly this. */
export const notDeterministic = "a handler of the value is not deterministic";

export type Violate = (message: string) => void;

type Committed = {
  readonly hash: string;
  readonly term: Term;
  /** The term of the member that reported it first: later leaders must hold it. */
  readonly reportedTerm: Term;
};

type Placed = { readonly index: LogIndex; readonly membership: Membership };
const nobody: Placed = { index: 0, membership: emptyMembership };

/** What was seen of one member when it was last looked at. */
type Seen = {
  currentTerm: Term;
  votedFor: MemberId | null;
  commitIndex: LogIndex;
  lastApplied: LogIndex;
  role: Core["role"]["type"];
  /** Terms of its entries as checked, by index. */
  terms: Term[];
  lastIndex: LogIndex;
};

export class GroupOracle {
  readonly #group: string;
  readonly #violate: Violate;
  readonly #leaders = new Map<Term, MemberId>();
  /** By `index@term`: what such an entry holds, and the term before it. Enough for log matching. */
  readonly #entries = new Map<
    string,
    { readonly hash: string; readonly previousTerm: Term | null }
  >();
  readonly #committed: (Committed | undefined)[] = [];
  readonly #applied = new Map<LogIndex, string>();
  readonly #operations = new Map<string | number, AppliedInfo>();
  /** Commands of which callers were told that they are not applied. */
  readonly #refused = new Map<string | number, string>();
  readonly #seen = new Map<Core, Seen>();
  #highestCommitted: LogIndex = 0;
  #committedMembership: Placed = nobody;
  #newestMembership: Placed = nobody;

  constructor(group: string, violate: Violate) {
    this.#group = group;
    this.#violate = violate;
  }

  get committedIndex(): LogIndex {
    return this.#highestCommitted;
  }

  get leaderTerms(): number {
    return this.#leaders.size;
  }

  /** Looks at a member that may have changed since it was looked at last. */
  look(core: Core): void {
    let seen = this.#seen.get(core);
    if (seen === undefined) {
      seen = {
        currentTerm: 0,
        votedFor: null,
        commitIndex: 0,
        lastApplied: 0,
        role: "follower",
        terms: [],
        lastIndex: 0,
      };
      this.#seen.set(core, seen);
    }
    this.#checkMonotonic(core, seen);
    this.#checkLog(core, seen);
    this.#checkLeader(core, seen);
    this.#checkCommitted(core, seen);
    this.#noteMemberships(core);
    seen.currentTerm = core.currentTerm;
    seen.votedFor = core.votedFor;
    seen.commitIndex = core.commitIndex;
    seen.lastApplied = core.lastApplied;
    seen.role = core.role.type;
  }

  /** A member deletes what its disk holds of it: others must not count on it any more, or not yet (9). */
  deletes(member: MemberId): void {
    const counts = ({ membership }: Placed) =>
      membership.voters.includes(member) || membership.outgoing.includes(member);
    if (!counts(this.#committedMembership) || !counts(this.#newestMembership)) return;
    this.#fail(`${member} deleted all that it holds, and is a voter`);
  }

  /** That one is committed is known first to the member that acts on it; others hold the entry by then. */
  #noteMemberships(core: Core): void {
    for (const placed of core.memberships) {
      const { index } = placed;
      if (index >= this.#newestMembership.index) this.#newestMembership = placed;
      if (index <= core.commitIndex && index >= this.#committedMembership.index) {
        this.#committedMembership = placed;
      }
    }
  }

  /** Gone for good: its ghost is not needed any more. */
  forget(core: Core): void {
    this.#seen.delete(core);
  }

  /** A handler ran. `identity` names the caller's command: it may be applied once in all. */
  applied(
    member: string,
    applied: AppliedInfo,
    result: string,
    identity: string | number | null,
  ): void {
    const { index } = applied;
    const before = this.#applied.get(index);
    if (before === undefined) this.#applied.set(index, result);
    else if (before !== result) {
      this.#fail(
        `${member} applied ${result} at ${index}, where another member applied ${before}; ` +
          notDeterministic,
      );
    }
    if (identity === null) return;
    const first = this.#operations.get(identity);
    if (first === undefined) {
      this.#operations.set(identity, applied);
      this.#checkRefused(identity);
    } else if (first.index !== index) {
      this.#fail(
        `${member} applied command ${identity} at ${index} and at ${first.index}: not exactly once`,
      );
    }
  }

  /** A caller was told that its command is not applied, and why. */
  refused(identity: string | number, why: string): void {
    this.#refused.set(identity, why);
    this.#checkRefused(identity);
  }

  /** What is said not to be applied never is. */
  #checkRefused(identity: string | number): void {
    const why = this.#refused.get(identity);
    const applied = this.#operations.get(identity);
    if (why === undefined || applied === undefined) return;
    this.#fail(
      `command ${identity} was applied at ${applied.index}, though its caller heard that it was not: ${why}`,
    );
  }

  /** The entry by which a caller's command was applied, or null. */
  appliedBy(identity: string | number): AppliedInfo | null {
    return this.#operations.get(identity) ?? null;
  }

  #fail(message: string): void {
    this.#violate(`group ${this.#group}: ${message}`);
  }

  /** Terms, votes within a term, commitIndex and lastApplied never go back (8). */
  #checkMonotonic(core: Core, seen: Seen): void {
    const { id } = core.self;
    if (core.currentTerm < seen.currentTerm) {
      this.#fail(`${id} went back from term ${seen.currentTerm} to ${core.currentTerm}`);
    }
    const sameTerm = core.currentTerm === seen.currentTerm;
    if (sameTerm && seen.votedFor !== null && core.votedFor !== seen.votedFor) {
      this.#fail(
        `${id} voted twice in term ${core.currentTerm}: ${seen.votedFor}, ${core.votedFor}`,
      );
    }
    if (core.commitIndex < seen.commitIndex) {
      this.#fail(`${id} took back its commitIndex ${seen.commitIndex}: ${core.commitIndex}`);
    }
    if (core.lastApplied < seen.lastApplied) {
      this.#fail(`${id} took back its lastApplied ${seen.lastApplied}: ${core.lastApplied}`);
    }
    const inOrder = core.lastApplied <= core.commitIndex && core.commitIndex <= lastIndex(core.log);
    const covered = (core.snapshot?.index ?? 0) <= core.lastApplied;
    if (!inOrder || !covered || core.log.offset > (core.snapshot?.index ?? 0)) {
      this.#fail(
        `${id} is out of order: offset ${core.log.offset}, snapshot ${core.snapshot?.index ?? 0}, ` +
          `applied ${core.lastApplied}, committed ${core.commitIndex}, last ${lastIndex(core.log)}`,
      );
    }
  }

  /** Same index and term: same entry, same entries before (3); a leader only appends (2). */
  #checkLog(core: Core, seen: Seen): void {
    const { log } = core;
    const last = lastIndex(log);
    const leads = core.role.type === "leader" && seen.role === "leader";
    if (leads && core.currentTerm === seen.currentTerm && last < seen.lastIndex) {
      this.#fail(`leader ${core.self.id} cut its own log from ${seen.lastIndex} to ${last}`);
    }
    for (let index = last; index > log.offset; index--) {
      const entry = entryAt(log, index);
      if (seen.terms[index] === entry.term) break;
      if (leads && core.currentTerm === seen.currentTerm && index <= seen.lastIndex) {
        this.#fail(`leader ${core.self.id} replaced its entry ${index}`);
      }
      this.#checkEntry(core, entry);
      seen.terms[index] = entry.term;
    }
    if (last < seen.lastIndex) seen.terms.length = last + 1;
    seen.lastIndex = last;
  }

  #checkEntry(core: Core, entry: Entry): void {
    const key = `${entry.index}@${entry.term}`;
    const hash = hashEntry(entry);
    const previousTerm = termAt(core.log, entry.index - 1);
    const known = this.#entries.get(key);
    if (known === undefined) this.#entries.set(key, { hash, previousTerm });
    else if (known.hash !== hash || known.previousTerm !== previousTerm) {
      this.#fail(`${core.self.id} holds another ${key} than somebody else (log matching)`);
    }
  }

  /** One leader per term (1), and it holds everything that was committed before its term (4). */
  #checkLeader(core: Core, seen: Seen): void {
    if (core.role.type !== "leader") return;
    if (seen.role === "leader" && seen.currentTerm === core.currentTerm) return;
    const { id } = core.self;
    const other = this.#leaders.get(core.currentTerm);
    if (other === undefined) this.#leaders.set(core.currentTerm, id);
    else if (other !== id)
      this.#fail(`two leaders in term ${core.currentTerm}: ${other} and ${id}`);
    for (let index = this.#highestCommitted; index > core.log.offset; index--) {
      const committed = this.#committed[index];
      if (committed === undefined || committed.reportedTerm >= core.currentTerm) continue;
      if (termAt(core.log, index) !== committed.term) {
        this.#fail(`leader ${id} of term ${core.currentTerm} lacks committed entry ${index}`);
      }
      return;
    }
  }

  /** What is committed once stays the same everywhere (4), and rests on the leader's own term. */
  #checkCommitted(core: Core, seen: Seen): void {
    if (core.commitIndex === seen.commitIndex) return;
    const from = Math.max(seen.commitIndex, core.log.offset) + 1;
    for (let index = from; index <= core.commitIndex; index++) {
      const term = termAt(core.log, index)!;
      const hash = this.#entries.get(`${index}@${term}`)?.hash ?? "";
      const committed = this.#committed[index];
      if (committed === undefined) {
        this.#committed[index] = { hash, term, reportedTerm: core.currentTerm };
      } else if (committed.hash !== hash) {
        this.#fail(`${core.self.id} committed another entry at ${index} than somebody before`);
      }
    }
    if (core.commitIndex > this.#highestCommitted) {
      this.#highestCommitted = core.commitIndex;
      const term = termAt(core.log, core.commitIndex);
      if (core.role.type === "leader" && term !== core.currentTerm) {
        this.#fail(`leader ${core.self.id} committed by an entry of term ${term}, not its own`);
      }
    }
  }
}

function hashEntry(entry: Entry): string {
  const hash = new TraceHash();
  hash.text(entry.kind);
  hash.number(entry.session);
  hash.number(entry.sequence);
  hash.number(entry.lowestOutstanding);
  hash.number(entry.timeMs);
  for (const byte of entry.body) hash.word(byte);
  hash.word(entry.body.length);
  if (entry.payload !== null) hash.text(JSON.stringify(entry.payload));
  return hash.digest();
}
