/**
 * Who leads, as far as this client has heard.
 *
 * Hints carry terms and only ever lead forward (hazard 97): an older term is not believed, and within
 * one term a member that has said "not me" is not believed in again unless it claims leadership
 * itself. So two members that point at each other cannot keep a client going in circles.
 */
import type { MemberId, Term } from "../core/types.js";

export type Hint = {
  readonly term: Term;
  readonly leader: MemberId | null;
  readonly address: string | null;
};

export class LeaderCache {
  term: Term = 0;
  member: MemberId | null = null;
  /** As advertised to other members; null when it is not known. */
  address: string | null = null;
  /** Those who denied that they lead in `term`. */
  readonly #denied = new Set<MemberId>();

  /**
   * `from` is the member that gave the hint. True: somebody else leads now, or somebody at last.
   *
   * A hint that names nobody raises no term: a member that campaigned in vain and was then cut off
   * would otherwise outshout the leader that goes on without it.
   */
  learn(hint: Hint, from: MemberId): boolean {
    if (hint.leader === null) {
      // The leader itself takes it back: it has stepped down.
      if (from === this.member && hint.term >= this.term) this.deny(from);
      return false;
    }
    if (hint.term < this.term) return false;
    if (hint.term > this.term) {
      this.term = hint.term;
      this.#denied.clear();
      return this.#believe(hint.leader, hint.address);
    }
    if (hint.leader === from) this.#denied.delete(from);
    if (this.member !== null || this.#denied.has(hint.leader)) return false;
    return this.#believe(hint.leader, hint.address);
  }

  /** This member has answered that it does not lead. */
  deny(member: MemberId): void {
    this.#denied.add(member);
    if (this.member !== member) return;
    this.member = null;
    this.address = null;
  }

  #believe(leader: MemberId, address: string | null): boolean {
    const changed = this.member !== leader;
    this.member = leader;
    this.address = address;
    return changed;
  }
}
